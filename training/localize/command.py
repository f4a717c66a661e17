"""`training localize`: a model's heat map over a video, several moments a second, with the original sound.

For each moment the model sees the frame shown then and hears the sound around it, exactly as in its shards. Peaks and
confidences go to a JSON file.
"""

import json
import os
from pathlib import Path

from manifests.errors import InputError
from manifests.outputs import check_output, json_with
from manifests.views import IN_WORDS
from manifests.whole_files import write_text
from pipeline.console import progress
from training.localizer.media import refusing
from training.localizer.model import MOST_PER_SECOND, Localizer
from training.overlay.carriage import FORMATS, carried

_is_document = json_with("moments_per_second", "moments", "undecodable_packets")  # lies beside every overlay


def localize(
    run: Path,
    video: Path,
    out: Path,
    *,
    maps_per_second: float = 4.0,
    json_out: Path | None = None,
    view: str | None = None,
    device: str = "cpu",
) -> dict[str, object]:
    """Draw a model's maps over a video; returns facts for a summary.

    `json_out` defaults to `out` with the suffix .json; `view` replaces the run's way to show frames. Raises InputError
    when the run is not finished or the video is unreadable or lacks sound or image, WorkFailed when the result cannot
    be written.
    """
    _check(video, out, maps_per_second)
    json_out = json_out or out.with_suffix(".json")
    check_output(json_out, {"VIDEO": video}, _is_document, "training localize", "the file of peaks beside --out,")
    check_output(out, {"VIDEO": video}, lambda _: _is_document(json_out), "training localize")
    with refusing(video):
        carried(video, out)  # asked first, as a refusal after all the work would be a loss
    model = Localizer.load(run, device, view)
    every = 1 / maps_per_second
    with progress("localizing", model.moment_count(video, every), "moments") as advance:
        result = model.localize(video, every, advance=advance)
    with progress("drawing", max(1, int(result.source.duration)), "seconds") as advance:
        written = result.overlay(out, advance=advance)
    facts = {"frames": written.frames, "undecodable_packets": written.undecodable, "sound": written.audio}
    write_text(json_out, json.dumps(result.document(**facts), indent=1))
    return {
        "overlay": out,
        "peaks": json_out,
        "moments": len(result),
        "view": f"{(seen := result.source.view)}, {IN_WORDS[seen]}",
        "frames": written.frames,
        "sound": written.audio,
        "undecodable packets": written.undecodable,
    }


def _check(video: Path, out: Path, maps_per_second: float) -> None:
    if not video.is_file():
        raise InputError(f"there is no video {video}. Give the path of a video file.")
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"the overlay cannot be written as {out.name}: give --out a name in {', '.join(FORMATS)}.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"the folder of {out} does not exist. Make it, or choose another place with --out.")
    if not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"no file can be made in the folder of {out}. Choose another place with --out.")
    if not 0 < maps_per_second <= MOST_PER_SECOND:
        raise InputError(f"maps per second is {maps_per_second:g}; give more than 0 and at most {MOST_PER_SECOND:g}.")
