"""A folder that was begun meets its sources again: what was planned stays, what is new is planned behind it.

Corpora arrive piece by piece, and shards that are finished are never written again. So clips keep the shard, the key
and the label they were planned with, and new ones become further shards. A clip that is gone, or of which a record was
made and that is another one now, stops the command: nobody knows then whether shards and sources still belong together.
One that was rejected is tried again when its file has changed: a download that was not whole then may be now.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain

from manifests.clip_lists.rows import normal_split
from manifests.errors import InputError
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import Found, Plan, cut_shards
from pipeline.jobs.shard_job import stored_keys
from pipeline.jobs.unique_keys import by_place, place_of, unique_keys
from pipeline.shards.companion import FLOW, PROPOSALS, TRUTH, companion_manifest
from pipeline.sources.archives import list_members
from pipeline.sources.listing import Clip, Refusal
from pipeline.sources.walk import readable
from pipeline.storage.remote import Place


def grown(saved: Plan, found: Found, out: Place, memory: Place) -> Plan:
    """The plan saved in the shard folder `out`, and behind it what is new in the sources. `memory` as of
    `pipeline.sources.listing.list_sources`. InputError names the options and the clips that are not what they were.
    """
    earlier = by_place(chain(*saved.shards))
    left_out = unlisted(earlier.values(), found.clips)
    there = [clip for clip in left_out if _lies_there(clip, found.roots, memory)]
    clips, duplicates = unique_keys([*found.clips, *there], earlier)
    new = [clip for clip in clips if place_of(clip) not in earlier]
    changes = _changes(saved, found, clips, out)
    missing = set(left_out) - set(there)
    options = list(_other_options(saved.options, found.options))
    if options or missing or list(_other_clips(earlier, changes.of_records)):
        others = _other_clips(earlier, [*changes.of_records, *changes.of_unread])
        differences = options or [*_counted("missing clips", missing), *others]
        raise InputError(
            f"{out} was begun with other input: {'; '.join([*differences, *_counted('new clips', new)])}. Repeat the "
            "first command to continue it, or give a new folder to --out. New clips would be added to the shards that "
            "are there, and rejected ones whose file has changed tried again; a stored clip never changes."
        )
    further = cut_shards([*new, *changes.of_rejects], saved.options.shard_clips or len(clips))
    refusals = _refusals(saved.refusals, (*found.refusals, *duplicates))
    return Plan(saved.options, found.roots, (*_updated(saved, changes.of_unread), *further), refusals)


def describe(saved: Plan, plan: Plan, found: Found, out: Place) -> Iterator[str]:
    """Lines that say what is new in a plan that has grown, and what of it the shards before do not know."""
    before, further = len(saved.shards), list(chain(*plan.shards[len(saved.shards) :]))
    known = {place_of(clip) for clip in chain(*saved.shards)}
    new = [clip for clip in further if place_of(clip) not in known]
    again = [clip for clip in further if place_of(clip) in known]
    which = f"shard {before}" if len(plan.shards) == before + 1 else f"shards {before} to {len(plan.shards) - 1}"
    stay = f"for {which}; the {before} shards before stay as they are"
    if new:
        yield f"new clips since this folder was begun: {len(new)} (such as {new[0].display}), {stay}"
    if again:
        yield f"rejected clips whose file has changed, tried again: {len(again)} (such as {again[0].display}), {stay}"
    if unread := set(chain(*plan.shards[:before])) - set(chain(*saved.shards)):
        yield from _counted("clips that changed before they were read, taken as they are now", unread)
    yield from _counted(
        "clips with a label or a split only now, which the shards keep without", _later_told(plan, found)
    )
    if new and (out / companion_manifest(TRUTH)).exists():
        yield "the annotations beside the shards know the clips before only: repeat `pipeline annotate` afterwards"
    if new and (out / companion_manifest(FLOW)).exists():
        yield "the flow beside the shards is of the clips before only: repeat `pipeline annotate --flow` afterwards"
    given = PROPOSALS not in plan.options.companions.kinds
    if new and given and (out / companion_manifest(PROPOSALS)).exists():
        yield "the given proposals are of the clips before only: repeat `pipeline annotate --proposals` afterwards"
    if plan.refusals != saved.refusals:
        yield f"inputs refused undecoded: {len(saved.refusals)} before, {len(plan.refusals)} now"


def unlisted(earlier: Iterable[Clip], listed: Iterable[Clip]) -> list[Clip]:
    """Those of `earlier` that are listed no more."""
    places = set(map(place_of, listed))
    return [clip for clip in earlier if place_of(clip) not in places]


def _lies_there(clip: Clip, roots: Sequence[Place], memory: Place) -> bool:
    """Whether a clip that is listed no more lies where it was: another version of this program may have taken files for
    clips that this one leaves alone, and the video of an image and its sound may have arrived."""
    if clip.root >= len(roots):
        return False
    root = roots[clip.root]
    try:
        if clip.member is not None:
            members, _ = list_members(root / clip.path, memory)
            wanted = (clip.member, clip.position, clip.size)
            return any((each.name, each.position, each.size) == wanted for each in members)
        paths = [root / path for path in (clip.path, clip.audio) if path is not None]
        return sum(path.stat().st_size for path in paths) == clip.size
    except FileNotFoundError:
        return False


def _refusals(before: tuple[Refusal, ...], now: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    """Those of now; in the words of before, when they are the same."""
    named = [{(refusal.path, refusal.reason) for refusal in refusals} for refusals in (before, now)]
    return before if named[0] == named[1] and len(before) == len(now) else now


# --- differences -----------------------------------------------------------------------------------------------------


def _other_options(before: IngestOptions, now: IngestOptions) -> Iterator[str]:
    was, wanted = before.stored(), now.stored()
    if now.shard_clips is None:  # left to the program: the folder's own
        wanted["shard_clips"] = was["shard_clips"]
    for name in was | wanted:
        if was.get(name, 0) != wanted.get(name, 0):  # what is not stored was not chosen
            yield f"{name} was {was.get(name, 0)}, now {wanted.get(name, 0)}"


@dataclass
class _Changes:
    """Planned clips as they are now, where they are no longer what they were: those that have a record, those that were
    rejected, those of shards that are not made yet."""

    of_records: list[Clip] = field(default_factory=list)
    of_rejects: list[Clip] = field(default_factory=list)
    of_unread: list[Clip] = field(default_factory=list)


def _changes(saved: Plan, found: Found, clips: Iterable[Clip], out: Place) -> _Changes:
    changes, keys_of = _Changes(), cache(partial(stored_keys, out))
    was = {place_of(clip): (shard, clip) for shard, planned in enumerate(saved.shards) for clip in planned}
    shards_of: dict[str, set[int]] = defaultdict(set)
    for number, planned in enumerate(saved.shards):
        for clip in planned:
            shards_of[clip.key].add(number)
    mended = _unreadable(saved.refusals) - _unreadable(found.refusals)
    for clip in (clip for clip in clips if place_of(clip) in was):
        shard, before = was[place_of(clip)]
        other = _content(clip) != _content(before) or (clip.member is not None and readable(clip.path) in mended)
        if not other and (clip.label, clip.split) == (before.label, normal_split(before.split)):
            continue
        keys = keys_of(shard)
        if keys is None and not clip.stream:  # the clips of a compressed archive must stay in its order
            changes.of_unread.append(clip)
        elif keys is None or clip.key in keys:
            changes.of_records.append(clip)
        elif other and not _is_anothers(clip, shard, shards_of, keys_of):
            changes.of_rejects.append(clip)
    return changes


def _is_anothers(
    clip: Clip, shard: int, shards_of: dict[str, set[int]], keys_of: Callable[[int], Container[str] | None]
) -> bool:
    """Whether the key of a rejected clip is that of another file's record, or may become it."""
    others = (keys_of(each) for each in shards_of[clip.key] if each > shard)
    return any(keys is None or clip.key in keys for keys in others)


def _content(clip: Clip) -> tuple[object, ...]:
    """What tells that the bytes of a clip are others now."""
    return clip.size, clip.position, clip.offset


def _unreadable(refusals: Iterable[Refusal]) -> set[str]:
    """Among them the archives that could not be read to their end."""
    return {refusal.path for refusal in refusals if refusal.reason == "unreadable"}


def _updated(saved: Plan, unread: Sequence[Clip]) -> Iterator[tuple[Clip, ...]]:
    now = {place_of(clip): clip for clip in unread}
    return (tuple(now.get(place_of(clip), clip) for clip in shard) for shard in saved.shards)


def _other_clips(earlier: dict[tuple[object, ...], Clip], changed: Iterable[Clip]) -> Iterator[str]:
    pairs = [(earlier[place_of(clip)], clip) for clip in changed]
    yield from _counted("clips with another size", [now for was, now in pairs if was.size != now.size])
    labelled = [
        now
        for was, now in pairs
        if was.label not in (None, now.label) or normal_split(was.split) not in (None, now.split)
    ]
    yield from _counted("clips with another label or split", labelled)
    moved = [now for was, now in pairs if (was.position, was.offset) != (now.position, now.offset)]
    yield from _counted("clips in another place of the same archive", moved)


def _later_told(plan: Plan, found: Found) -> list[Clip]:
    """Clips of which a list or a folder says more now than when they were planned."""
    planned = {place_of(clip): clip for clip in chain(*plan.shards)}
    pairs = [(planned[place_of(clip)], clip) for clip in found.clips if place_of(clip) in planned]
    return [
        now
        for was, now in pairs
        if (was.label is None and now.label is not None) or (was.split is None and now.split is not None)
    ]


def _counted(what: str, clips: Collection[Clip]) -> list[str]:
    return [f"{what}: {len(clips)} (such as {min(clip.display for clip in clips)})"] if clips else []
