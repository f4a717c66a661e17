"""Truth by format name: the one place a command line's `--format` becomes annotations.

Each format has its reader in a module of its own; here they meet in one record, `Truth`, with what some tasks need
beside the boxes: negative pairs, pixel masks, instruments. `wanted` narrows a set to a released list (heard and unheard
classes, 250 of 5,000 Flickr images), and the list's name stays in the set's name.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.readers.annotation_table import read_table
from manifests.readers.ave import read_ave_videos
from manifests.readers.avsbench import MaskSet, read_avsbench_boxes, read_avsbench_masks
from manifests.readers.extended import ExtendedSet, read_extended
from manifests.readers.flickr import read_flickr
from manifests.readers.is3 import read_is3, read_vpo
from manifests.readers.music import MusicSet, read_music, read_music_synthetic
from manifests.readers.vggss import read_vggss
from manifests.splits import IdList, restrict


@dataclass(frozen=True)
class Truth:
    """A test set as it was read. `extended` holds it again with negative pairs; `masks` and `music` stand beside it
    where the corpus has pixel masks or names the instrument of every box.
    """

    format: str
    test_set: TestSet
    extended: ExtendedSet | None = None
    masks: MaskSet | None = None
    music: MusicSet | None = None

    @property
    def name(self) -> str:
        """What results are called after."""
        return self.extended.name if self.extended else self.test_set.name

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of everything that can be scored: clips, then negative pairs."""
        return self.test_set.keys + tuple(pair.key for pair in (self.extended.negatives if self.extended else ()))


def read_truth(
    path: Path | str,
    format: str,
    *,
    negatives: Path | str | None = None,
    wanted: IdList | None = None,
    name: str | None = None,
) -> Truth:
    """Read annotations of a format of `FORMATS`; `name` renames the set. InputError as the format's reader."""
    if format not in FORMATS:
        raise InputError(f"There is no annotation format {format!r}. The known ones are {', '.join(FORMATS)}.")
    if format == "extended" and negatives is None:
        raise InputError("Format extended is VGG-SS with silent pairs: give their csv with --negatives as well.")
    truth = _flickr(Path(path), wanted) if format == "flickr" else FORMATS[format](Path(path))
    if wanted is not None and format != "flickr":
        truth = _narrowed(truth, wanted)
    test_set = replace(truth.test_set, name=name) if name else truth.test_set
    extended = read_extended(negatives, test_set) if negatives is not None else None
    return replace(truth, format=format, test_set=test_set, extended=extended)


def _narrowed(truth: Truth, wanted: IdList) -> Truth:
    test_set, kept = restrict(truth.test_set, wanted), set(wanted.ids)
    masks, music = truth.masks, truth.music
    if masks is not None:
        masks = replace(masks, masks={key: file for key, file in masks.masks.items() if key in kept})
    if music is not None:
        music = replace(music, frames=tuple(frame for frame in music.frames if frame.key in kept))
    return replace(truth, test_set=test_set, masks=masks, music=music)


def _vggss(path: Path) -> Truth:
    return Truth("vggss", read_vggss(path))


def _flickr(path: Path, wanted: IdList | None = None) -> Truth:
    test_set = read_flickr(path, wanted.ids if wanted else None)
    return Truth("flickr", replace(test_set, name=f"flickr-{wanted.name}") if wanted else test_set)


def _is3(path: Path) -> Truth:
    return Truth("is3", read_is3(path))


def _vpo(path: Path) -> Truth:
    return Truth("vpo", read_vpo(path))


def _ave(path: Path) -> Truth:
    return Truth("ave", read_ave_videos(path))


def _table(path: Path) -> Truth:
    return Truth("parquet", read_table(path))


def _avsbench(path: Path, subset: str | None = None) -> Truth:
    """A box file, or the folder that holds gt_masks/; the subset is read off the path where it is not given."""
    subset = subset or _subset_named(path)
    if not path.is_dir():
        return Truth("avsbench", read_avsbench_boxes(path, subset))
    masks = read_avsbench_masks(path, subset)
    labels = {key: key.split("/")[0] if subset == "s4" else None for key in masks.masks}
    annotations = tuple(Annotation(key, label, ()) for key, label in labels.items())
    return Truth("avsbench", TestSet(masks.name, annotations, masks.source, masks.sha256), masks=masks)


def _subset_named(path: Path) -> str:
    named = {subset for part in path.parts[-3:] for subset in ("s4", "ms3") if subset in part.lower()}
    if len(named) != 1:
        raise InputError(f"{path} does not say which AVSBench subset it is. Give --format avsbench_s4 or avsbench_ms3.")
    return named.pop()


def _music(path: Path) -> Truth:
    """Frames of a json (solo, duet), or a folder of box arrays (synthetic)."""
    name = f"music_{path.name.partition('test')[0]}" if "test" in path.name else "music"
    music = read_music_synthetic(path) if path.is_dir() else read_music(path, name)
    return Truth("music", music.test_set(), music=music)


FORMATS: dict[str, Callable[[Path], Truth]] = {
    "vggss": _vggss,
    "flickr": _flickr,
    "extended": _vggss,
    "avsbench": _avsbench,
    "avsbench_s4": lambda path: _avsbench(path, "s4"),
    "avsbench_ms3": lambda path: _avsbench(path, "ms3"),
    "music": _music,
    "is3": _is3,
    "vpo": _vpo,
    "ave": _ave,
    "parquet": _table,
}
