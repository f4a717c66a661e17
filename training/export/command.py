"""`training export`: its options; the work is in `folder.py` and `training.export.hub`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import summary


def export(
    run: Annotated[Path, typer.Argument(help="a finished run folder, or runs/<name> when it holds one")],
    out: Annotated[Path, typer.Option(help="folder to pass on: weights, config.json, card")] = Path("exported-model"),
    weights: Annotated[
        str | None, typer.Option(help="last (default), or best: of the best epoch on the validation clips")
    ] = None,
    format: Annotated[
        list[str] | None, typer.Option(help="also the map as a program of its own: onnx or torch-export; repeatable")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="of the weights: the Hub's word, as cc-by-4.0, or its own name; unknown takes it back"),
    ] = None,
    push: Annotated[str | None, typer.Option(help="ORG/NAME on the Hugging Face Hub; HF_TOKEN has the token")] = None,
) -> None:
    """Make a folder of a run that opens anywhere: Localizer.load(FOLDER)."""
    from training.export.folder import Wanted
    from training.export.folder import export as write
    from training.export.hub import check_push
    from training.export.hub import push as send
    from training.runs import load_run

    check_push(push)
    forms = tuple(dict.fromkeys(format or ()))
    facts = write(load_run(run, weights=weights or "last"), Wanted(out, forms, licence, push, weights is None))
    summary("exported", facts | (send(out, push) if push else {}))
