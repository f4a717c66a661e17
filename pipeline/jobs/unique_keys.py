"""One key, one clip: files that share a name are told apart by their folders, or one of them stands for all."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType

from manifests.keys import clip_key, key_in_folders, safe_key
from pipeline.sources.listing import Clip, Refusal

Where = tuple[object, ...]
NOTHING_YET: Mapping[Where, Clip] = MappingProxyType({})


def place_of(clip: Clip) -> Where:
    """Where a clip lies, and at which of several moments of a video, whatever it is called and however large it is."""
    moment = clip.moment if clip.audio is None else None  # an image lies at one moment of its sound
    return clip.root, clip.path, clip.member, clip.audio, moment


def by_place(planned: Iterable[Clip]) -> dict[Where, Clip]:
    """Planned clips by their places, in the order in which they were planned, for the last time where it was twice."""
    found: dict[Where, Clip] = {}
    for clip in planned:
        found.pop(place_of(clip), None)
        found[place_of(clip)] = clip
    return found


def unique_keys(clips: Sequence[Clip], earlier: Mapping[Where, Clip] = NOTHING_YET) -> tuple[list[Clip], list[Refusal]]:
    """One clip per key. Equal names of one's own in several folders are told apart by their folders; what is then still
    equal is the same clip under two names: the largest file is kept, the others are refused as duplicates. What only
    the folders of one of those say of label and split stays with the one that is kept.

    Clips planned `earlier`, `by_place`, keep their keys and are kept before any other: all of them, as one is only
    planned beside another that was rejected (`next_files`). The one planned last is what a refusal names.
    """
    kept, refusals = [], []
    order = {place: number for number, place in enumerate(earlier)}
    for group, count in _groups(clips, earlier):
        best, others = max(group[:count], key=lambda clip: order.get(place_of(clip), -1)), group[count:]
        kept += [
            _labelled([clip, *group[:number], *group[number + 1 :]], earlier.get(place_of(clip)))
            for number, clip in enumerate(group[:count])
        ]
        refusals += [
            Refusal(clip.display, "duplicate", f"{best.display} has the same key, {clip.key}") for clip in others
        ]
    return kept, refusals


def next_files(clips: Sequence[Clip], earlier: Mapping[Where, Clip]) -> dict[str, Clip]:
    """By key, of files that share it the next one to try once those planned `earlier` are rejected. A member of an
    archive is not tried for another one of the same name in it: nothing tells the two apart."""
    found = {}
    for group, count in _groups(clips, earlier):
        waiting = [clip for clip in group[count:] if place_of(clip) not in earlier]
        if waiting:
            best, *others = waiting
            found[best.key] = _labelled([best, *group[:count], *others], None)
    return found


def _groups(clips: Sequence[Clip], earlier: Mapping[Where, Clip]) -> Iterator[tuple[list[Clip], int]]:
    """Clips of one key, by key, in the order in which they are tried, and how many of them are kept."""
    by_key: dict[str, list[Clip]] = defaultdict(list)
    for clip in _with_folders(clips, earlier):
        by_key[clip.key].append(clip)
    for key in sorted(by_key):
        group = sorted(by_key[key], key=lambda clip: (*_newness(clip, earlier), -clip.size, clip.root, clip.display))
        planned = {place_of(clip): clip for clip in reversed(group) if place_of(clip) in earlier}
        first = [clip for clip in group if planned.get(place_of(clip)) is clip] or group[:1]
        yield [*first, *(clip for clip in group if clip not in first)], len(first)


def _newness(clip: Clip, earlier: Mapping[Where, Clip]) -> tuple[bool, bool]:
    """Whether it was not planned earlier; whether only its namesake in the same archive was."""
    was = earlier.get(place_of(clip))
    return was is None, was is not None and was.position != clip.position


def _labelled(group: Sequence[Clip], was: Clip | None) -> Clip:
    """The first of a group, with label and split of the group; those it was planned with stay while one says them."""
    best = group[0]
    if was is None:
        labelled = next((clip for clip in group if clip.label), best)
        return replace(best, label=labelled.label, split=best.split or labelled.split)
    label = was.label if was.label in {clip.label for clip in group} else best.label
    split = was.split if was.split in {clip.split for clip in group} else best.split
    return replace(best, label=label, split=split)


def _with_folders(clips: Sequence[Clip], earlier: Mapping[Where, Clip]) -> list[Clip]:
    places: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for clip in clips:
        if not clip.start_known:
            places[clip.key].add((clip.root, _folder(clip)))
    return [_named(clip, len(places.get(clip.key, ())), earlier.get(place_of(clip))) for clip in clips]


def _named(clip: Clip, folders: int, was: Clip | None) -> Clip:
    if was is not None:
        return replace(clip, key=was.key, source_id=was.source_id)
    return _named_by_folder(clip) if folders > 1 else clip


def _folder(clip: Clip) -> str:
    return str(PurePosixPath(clip.path if clip.member is None else f"{clip.path}/{clip.member}").parent)


def _named_by_folder(clip: Clip) -> Clip:
    """Its source stands before the folders where there are others, and where lists would read the key as another one:
    `recordings__001` as second 1 of a video `recordings_`."""
    folders = [safe_key(part) for part in PurePosixPath(_folder(clip)).parts]
    key = key_in_folders(folders, clip.key)
    if clip.root or clip_key(key) != key:
        key = key_in_folders([f"src{clip.root}"], key)
    return replace(clip, key=key, source_id=key)
