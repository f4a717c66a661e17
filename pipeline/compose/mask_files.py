"""Which files are masks, and which mask is of which photograph of the same class.

It is `<name>_mask.png` beside the photograph, or lies under the photograph's name in a folder of masks that mirrors the
photograph's: `masks/train/cat/1.png` and `train/masks/cat/1.png` are of `train/cat/1.jpg`. Where neither is there, a
mask may lie in fewer folders or in more, but not in others: `masks/cat/1.png`, never `masks/test/cat/1.png`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from manifests.files.spelling import compared
from pipeline.compose.files import KIND_WORDS, SIDE_WORDS, Rejection, class_by_folder, spelled_alike

MASK_FOLDERS = {name for name in KIND_WORDS if "mask" in name or "segmentation" in name}
MASK_ENDINGS = ("_mask", "-mask", ".mask")


@dataclass
class Masks:
    """The mask of each photograph that has one, and the photographs that share one or have several."""

    of: dict[Path, Path] = field(default_factory=dict)
    rejected: dict[Path, Rejection] = field(default_factory=dict)


def is_mask(path: Path, root: Path) -> bool:
    """Whether a file's folders or its ending call it a mask."""
    folders = {part.lower() for part in path.relative_to(root).parts[:-1]}
    return bool(folders & MASK_FOLDERS) or path.stem.lower().endswith(MASK_ENDINGS)


def find_masks(images: Iterable[Path], root: Path) -> Masks:
    """The masks among images below the root, by their photographs."""
    alike: dict[tuple[str, str], tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for path in images:
        label, masks = spelled_alike(class_by_folder(path, root) or ""), is_mask(path, root)
        alike[label, compared(_stem_of_photograph(path) if masks else path.stem)][masks].append(path)
    found = Masks()
    for photographs, masks in alike.values():
        if masks:
            _assign(photographs, masks, root, found)
    return found


def _stem_of_photograph(mask: Path) -> str:
    return next((mask.stem[: -len(end)] for end in MASK_ENDINGS if mask.stem.lower().endswith(end)), mask.stem)


def _assign(photographs: Sequence[Path], masks: Sequence[Path], root: Path, found: Masks) -> None:
    """Those of one class and name: what fits closely first. A mask that was given fits nothing else."""
    waiting, free = list(photographs), list(masks)
    for fits in _CLOSEST_FIRST:
        fitting = {path: [mask for mask in free if fits(path, mask, root)] for path in waiting}
        times = Counter(chain.from_iterable(fitting.values()))
        for path, own in fitting.items():
            if len(own) == 1 and times[own[0]] == 1:
                found.of[path] = own[0]
            elif own:
                several = f"{len(own)} masks fit it: {', '.join(map(str, own[:3]))}"
                shared = f"its mask {own[0]} fits {times[own[0]]} images of its class and name"
                found.rejected[path] = Rejection(str(path), "image", "several_fit", several if len(own) > 1 else shared)
        waiting = [path for path in waiting if not fitting[path]]
        free = [mask for mask in free if not times[mask]]


def _is_beside(photograph: Path, mask: Path, root: Path) -> bool:
    return photograph.parent == mask.parent


def _is_mirrored(photograph: Path, mask: Path, root: Path) -> bool:
    return _folders(photograph, root) == _folders(mask, root)


def _is_in_none_other(photograph: Path, mask: Path, root: Path) -> bool:
    """Whether one of the two lies in no folder that the other does not."""
    one, other = set(_folders(photograph, root)), set(_folders(mask, root))
    return one <= other or other <= one


_CLOSEST_FIRST: tuple[Callable[[Path, Path, Path], bool], ...] = (_is_beside, _is_mirrored, _is_in_none_other)


def _folders(path: Path, root: Path) -> tuple[str, ...]:
    """The folders of a file that do not say that it holds photographs, or masks."""
    folders = path.relative_to(root).parts[:-1]
    return tuple(spelled_alike(name) for name in folders if name.lower() not in KIND_WORDS - SIDE_WORDS)
