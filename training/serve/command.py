"""`training serve`: its options; the work is in `server.py`."""

from pathlib import Path
from typing import Annotated

import typer

from training.shared_options import Device, Methods


def serve(
    runs: Annotated[list[str], typer.Argument(help="runs, exported folders, names on the Hub; all can be chosen")],
    host: Annotated[str, typer.Option(help="address to listen at; 0.0.0.0 opens the page to others")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free")] = 7860,
    password: Annotated[
        bool, typer.Option("--password", help="ask visitors for what TRAINING_SERVE_PASSWORD holds")
    ] = False,
    shards: Annotated[
        list[Path] | None, typer.Option(help="shard folder of the example clips, repeatable; default: the runs' own")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, max=24, help="clips that visitors may try")] = 6,
    max_seconds: Annotated[float, typer.Option(min=1, max=3600, help="longest video that is taken")] = 60.0,
    max_megabytes: Annotated[int, typer.Option(min=1, max=100_000, help="largest file that is taken")] = 200,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="videos worked on at once, each with models of its own")] = 1,
    method: Methods = None,
    device: Device = "auto",
) -> None:
    """Open a page to drop videos on: heat map, boxes, plots, two runs side by side, an image with another sound."""
    from training.serve.limits import Limits
    from training.serve.server import Request
    from training.serve.server import serve as open_page

    limits = Limits(max_megabytes, max_seconds)
    open_page(Request(runs, host, port, limits, shards, examples, jobs, password, device, tuple(method or ())))
