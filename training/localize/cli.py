"""The options and the help of `training localize`; the work is in `command`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import summary
from training.shared_options import Device, Methods, View


def localize(
    run: Annotated[Path, typer.Argument(help="a finished run folder, or runs/<name> when it holds one")],
    video: Annotated[list[Path], typer.Argument(help="videos with sound, folders of them, or patterns like 'a/*.mp4'")],
    out: Annotated[
        Path | None,
        typer.Option(help="the video with the heat map over it, of several a folder; default: overlay.mp4, overlays"),
    ] = None,
    maps_per_second: Annotated[
        float, typer.Option(help="moments a second; between them the heat moves linearly")
    ] = 4.0,
    boxes: Annotated[bool, typer.Option("--boxes", help="draw and list boxes around what is hot")] = False,
    threshold: Annotated[
        float | None, typer.Option(help="of the boxes, in 0..1; gives boxes, too; default with --boxes: 0.5")
    ] = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="show the video as it is beside the overlay")
    ] = False,
    other_run: Annotated[Path | None, typer.Option(help="a second run, shown beside the first")] = None,
    peaks: Annotated[
        list[Path] | None, typer.Option(help="all moments of all videos in one file, .jsonl or .parquet; repeatable")
    ] = None,
    view: View = None,
    method: Methods = None,
    device: Device = "auto",
) -> None:
    """Put a run's heat map over videos, with their sound, and write peaks and confidences as JSON beside each."""
    from training.localize.command import localize as draw
    from training.localize.options import BOX_THRESHOLD, Options
    from training.outside_methods import import_named

    import_named(method or ())
    wanted = BOX_THRESHOLD if boxes and threshold is None else threshold
    options = Options(
        run, tuple(video), out, maps_per_second, view, device, wanted, side_by_side, other_run, tuple(peaks or ())
    )
    summary("localized", draw(options))
