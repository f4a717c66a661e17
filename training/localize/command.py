"""`training localize`: heat maps over videos, several moments a second, with the original sound.

For each moment the model sees the frame shown then and hears the sound around it, exactly as in its shards. Peaks and
confidences go to a JSON file beside each overlay. All that can be refused is refused before any work. A finished
overlay is left alone, so that the same command goes on where it was stopped.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.outputs import check_not_read
from manifests.files.whole_folders import alone_at
from manifests.views import IN_WORDS
from pipeline.console import progress
from pipeline.remaining import in_words
from pipeline.sources.walk import Refusal
from training.localize import documents
from training.localize.cost import expected
from training.localize.options import Options
from training.localize.videos import Found, Video, find_videos, is_one_file, look_at, outputs
from training.localizer.localization import Localization
from training.localizer.model import Localizer
from training.overlay.carriage import FORMATS
from training.overlay.panels import Panel
from training.overlay.video import Written

SILENT = "is silent from beginning to end: its overlay shows no heat and says so"
MEND = "Mend it or take it away; a link out of its folder can be given by its own path."
NONE_OF = "none of the {} videos can be localized. The first: {}"
UNIT = "moments and frames"
Advance = Callable[[int], object]


@dataclass(frozen=True)
class Task:
    """A video, its overlay, and what that is made of."""

    found: Found
    video: Video
    overlay: Path
    made_of: Mapping[str, object]

    @property
    def is_finished(self) -> bool:
        return documents.is_finished(self.overlay, self.made_of)

    def size(self, options: Options) -> int:
        """Moments and frames, about."""
        return round(self.video.seconds * (options.maps_per_second + self.video.rate)) + 1


def localize(options: Options) -> dict[str, object]:
    """Do what was asked; returns facts for a summary.

    Raises InputError when a run is not finished, or no video can be localized: unreadable, without sound or image, or
    with a sound that the container cannot hold, or with an output that is somebody else's. Of several videos those are
    said and left out, as is one that turns out to be damaged while it is worked on. Raises WorkFailed when a result
    cannot be written.
    """
    options.check()
    one = is_one_file(options.videos)
    place = options.place(one)
    refusals: list[Refusal] = []
    found = [Found(options.videos[0], options.videos[0].name)] if one else find_videos(options.videos, place, refusals)
    overlays = outputs(found, place, ".mp4") if place.suffix.lower() not in FORMATS else [place]
    _check_places(overlays, [each.path for each in found], one)
    documents.check_peaks(options.peaks, [each.path for each in found])
    videos, refused = _looked_at(found, overlays, refusals)
    if one and refused:
        raise InputError(refused[0])
    count = len(found) + len(refusals)
    if not videos:
        raise InputError(NONE_OF.format(count, refused[0]))
    models = _models(options)
    tasks = _tasks(options, found, overlays, videos, models)
    written, broken = _work(options, [task for task in tasks if not task.is_finished], models, one)
    tasks = [task for task in tasks if task.overlay not in broken]
    if not tasks:
        raise InputError(NONE_OF.format(count, [*refused, *broken.values()][0]))
    documents.write_peaks(options.peaks, {task.found.name: task.overlay for task in tasks})
    if one:
        return _facts_of_one(options, tasks[0], written)
    return _facts(options, tasks, written, len(refused) + len(broken), place)


def _looked_at(
    found: Sequence[Found], overlays: Sequence[Path], refusals: Sequence[Refusal]
) -> tuple[dict[Path, Video], list[str]]:
    """The videos that can be localized, by their overlay, and why the others cannot; what a user should know of them is
    said."""
    videos, several = dict[Path, Video](), len(found) + len(refusals) > 1
    refused = [f"{each.path} cannot be localized: {each.message}. {MEND}" for each in refusals]
    for line in refused:
        _say(f"left out: {line}")
    with progress("looking at videos", len(found), "videos") if several else nullcontext(lambda _: None) as looked_at:
        for each, overlay in zip(found, overlays, strict=True):
            try:
                documents.check_own(overlay)
                videos[overlay] = video = look_at(each.path, overlay)
            except InputError as error:
                refused.append(str(error))
                _say(f"left out: {error}", several)
            else:
                _say(f"{each.path} {SILENT}", video.is_silent)
            looked_at(1)
    return videos, refused


def _say(line: str, wanted: bool = True) -> None:
    if wanted:
        print(line, file=sys.stderr, flush=True)


def _check_places(overlays: Sequence[Path], videos: Sequence[Path], one: bool) -> None:
    """InputError where an output cannot be made, or is a video that was given; folders of several are made later."""
    given = {"VIDEO": videos}
    for overlay in overlays:
        folder = overlay.absolute().parent
        folder = folder if one else next(each for each in (folder, *folder.parents) if each.exists())
        if not folder.is_dir():
            raise InputError(f"the folder of {overlay} does not exist. Make it, or choose another place with --out.")
        if not os.access(folder, os.W_OK):
            raise InputError(f"no file can be made in the folder of {overlay}. Choose another place with --out.")
        check_not_read(documents.document_of(overlay), given, documents.BESIDE)
        check_not_read(overlay, given)


def _models(options: Options) -> list[Localizer]:
    runs = [options.run, *([options.other_run] if options.other_run else [])]
    return [Localizer.load(run, options.device, options.view) for run in runs]


def _tasks(
    options: Options,
    found: Sequence[Found],
    overlays: Sequence[Path],
    videos: Mapping[Path, Video],
    models: Sequence[Localizer],
) -> list[Task]:
    drawn = options.drawn(dict(zip(("run", "other_run"), (model.digest for model in models), strict=False)))
    return [
        Task(each, videos[overlay], overlay, drawn | {"video_sha256": file_sha256(each.path)})
        for each, overlay in zip(found, overlays, strict=True)
        if overlay in videos
    ]


# --- the work --------------------------------------------------------------------------------------------------------


def _work(
    options: Options, tasks: Sequence[Task], models: Sequence[Localizer], one: bool
) -> tuple[dict[Path, tuple[Localization, Written]], dict[Path, str]]:
    """Localize and draw; returns what became of each overlay, and why others could not be made, which is said.

    InputError where that is the only one that was asked for.
    """
    if not tasks:
        return {}, {}
    seconds = expected([task.video for task in tasks], models, options.maps_per_second, 1 + options.beside)
    made, broken = {}, dict[Path, str]()
    with progress("localizing", sum(task.size(options) for task in tasks), UNIT, expected=seconds) as advance:
        for task in tasks:
            try:
                made[task.overlay] = _draw(options, task, models, advance)
            except InputError as error:
                if one:
                    raise
                broken[task.overlay] = str(error)
                _say(f"left out: {error}")
    return made, broken


def _draw(options: Options, task: Task, models: Sequence[Localizer], advance: Advance) -> tuple[Localization, Written]:
    left = task.size(options)

    def done(amount: int) -> None:
        nonlocal left
        advance(min(amount, left))
        left -= min(amount, left)

    task.overlay.parent.mkdir(parents=True, exist_ok=True)
    every, rate = 1 / options.maps_per_second, task.video.rate
    try:
        with alone_at(task.overlay, documents.document_of(task.overlay)):
            results = [model.localize(task.video.path, every, advance=done) for model in models]
            documents.write_document(task.overlay, results[0], task.made_of, options.threshold, None)
            panels = _panels(options, results)
            written = results[0].overlay_of(task.overlay, panels, advance=lambda seconds: done(round(seconds * rate)))
            documents.write_document(task.overlay, results[0], task.made_of, options.threshold, written)
    finally:
        done(left)
    return results[0], written


def _panels(options: Options, results: Sequence[Localization]) -> list[Panel]:
    """The overlay alone, or beside it the video as it is, or another model's."""
    if not options.beside:
        return [Panel(results[0].timeline(options.threshold))]
    named = [Panel(each.timeline(options.threshold), each.source.run) for each in results]
    return named if options.other_run else [Panel(None, "the video"), *named]


# --- what is said at the end -----------------------------------------------------------------------------------------


def _facts_of_one(
    options: Options, task: Task, written: Mapping[Path, tuple[Localization, Written]]
) -> dict[str, object]:
    peaks = ", ".join(map(str, (documents.document_of(task.overlay), *options.peaks)))
    places: dict[str, object] = {"overlay": task.overlay, "peaks": peaks}
    if task.overlay not in written:
        return places | {"state": "already finished"}
    result, made = written[task.overlay]
    return places | {
        "moments": len(result),
        "silent moments": int(result.silent.sum()),
        "of low confidence": int(result.unsure.sum()),
        "view": f"{(seen := result.source.view)}, {IN_WORDS[seen]}",
        "frames": made.frames,
        "sound": made.audio,
        "undecodable packets": made.undecodable,
    }


def _facts(
    options: Options,
    tasks: Sequence[Task],
    written: Mapping[Path, tuple[Localization, Written]],
    refused: int,
    place: Path,
) -> dict[str, object]:
    return {
        "overlays": place,
        "videos": f"{len(tasks)}, {in_words(sum(task.video.seconds for task in tasks))}",
        "already finished": len(tasks) - len(written),
        "left out": refused,
        "silent": sum(task.video.is_silent for task in tasks),
        "undecodable packets": sum(made.undecodable for _, made in written.values()),
        **({"peaks": ", ".join(map(str, options.peaks))} if options.peaks else {}),
    }
