"""One key, one clip: files that share a name are told apart by their folders, or one of them stands for all."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from manifests.keys import safe_key
from pipeline.sources.listing import Clip, Refusal


def unique_keys(clips: Sequence[Clip]) -> tuple[list[Clip], list[Refusal]]:
    """One clip per key. Equal names of one's own in several folders are told apart by their folders; what is then still
    equal is the same clip under two names: the largest file is kept, the others are refused as duplicates. What only
    the folders of one of those say of label and split stays with the one that is kept."""
    by_key: dict[str, list[Clip]] = defaultdict(list)
    for clip in _with_folders(clips):
        by_key[clip.key].append(clip)
    kept, refusals = [], []
    for key in sorted(by_key):
        best, *others = sorted(by_key[key], key=lambda clip: (-clip.size, clip.root, clip.display))
        labelled = next((clip for clip in (best, *others) if clip.label), best)
        kept.append(replace(best, label=labelled.label, split=best.split or labelled.split))
        refusals += [Refusal(clip.display, "duplicate", f"{best.display} has the same key, {key}") for clip in others]
    return kept, refusals


def _with_folders(clips: Sequence[Clip]) -> list[Clip]:
    places: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for clip in clips:
        if not clip.start_known:
            places[clip.key].add((clip.root, _folder(clip)))
    return [_named_by_folder(clip) if len(places.get(clip.key, ())) > 1 else clip for clip in clips]


def _folder(clip: Clip) -> str:
    return str(PurePosixPath(clip.path if clip.member is None else f"{clip.path}/{clip.member}").parent)


def _named_by_folder(clip: Clip) -> Clip:
    folders = [safe_key(part) for part in PurePosixPath(_folder(clip)).parts]
    key = "__".join([*([f"src{clip.root}"] if clip.root else []), *folders, clip.key])
    return replace(clip, key=key, source_id=key)
