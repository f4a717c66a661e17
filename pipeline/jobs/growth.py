"""A folder that was begun meets its sources again: what was planned stays, what is new is planned behind it.

Corpora arrive piece by piece, and shards that are finished are never written again. So clips keep the shard, the key
and the label they were planned with, and new ones become further shards. A clip that is gone, or that is another one
now, stops the command: nobody knows then whether shards and sources still belong together.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain

from manifests.errors import InputError
from pipeline.jobs.options import IngestOptions
from pipeline.jobs.plan import Found, Plan, cut_shards
from pipeline.jobs.unique_keys import place_of, unique_keys
from pipeline.shards.companion import TRUTH, companion_manifest
from pipeline.sources.archives import list_members
from pipeline.sources.listing import Clip, Refusal
from pipeline.storage.remote import Place


def grown(saved: Plan, found: Found, out: Place, memory: Place) -> Plan:
    """The plan saved in the shard folder `out`, and behind it what is new in the sources. `memory` as of
    `pipeline.sources.listing.list_sources`. InputError names the options and the clips that are not what they were.
    """
    earlier = {place_of(clip): clip for clip in chain(*saved.shards)}
    unlisted = _unlisted(earlier.values(), found.clips)
    there = [clip for clip in unlisted if _lies_there(clip, found.roots, memory)]
    clips, duplicates = unique_keys([*found.clips, *there], earlier)
    new = [clip for clip in clips if place_of(clip) not in earlier]
    differences = [*_other_options(saved.options, found.options)] or [
        *_counted("missing clips", set(unlisted) - set(there)),
        *_other_clips(earlier, clips),
    ]
    if differences:
        raise InputError(
            f"{out} was begun with other input: {'; '.join([*differences, *_counted('new clips', new)])}. Repeat the "
            "first command to continue it, or give a new folder to --out. Clips that are new, and nothing else, would "
            "be added to the shards that are there."
        )
    shards = (*saved.shards, *cut_shards(new, saved.options.shard_clips or len(new)))
    return Plan(saved.options, found.roots, shards, _refusals(saved.refusals, (*found.refusals, *duplicates)))


def describe(saved: Plan, plan: Plan, out: Place) -> Iterator[str]:
    """Lines that say what is new in a plan that has grown."""
    before, new = len(saved.shards), list(chain(*plan.shards[len(saved.shards) :]))
    if new:
        which = f"shard {before}" if len(plan.shards) == before + 1 else f"shards {before} to {len(plan.shards) - 1}"
        yield (
            f"new clips since this folder was begun: {len(new)} (such as {new[0].display}), for {which}; the {before} "
            "shards before stay as they are"
        )
        if (out / companion_manifest(TRUTH)).exists():
            yield "the annotations beside the shards know the clips before only: repeat `pipeline annotate` afterwards"
    if plan.refusals != saved.refusals:
        yield f"inputs refused undecoded: {len(saved.refusals)} before, {len(plan.refusals)} now"


def _unlisted(earlier: Iterable[Clip], listed: Iterable[Clip]) -> list[Clip]:
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
    for name in was:
        if was[name] != wanted[name]:
            yield f"{name} was {was[name]}, now {wanted[name]}"


def _other_clips(earlier: dict[tuple[object, ...], Clip], clips: Iterable[Clip]) -> Iterator[str]:
    pairs = [(earlier[place_of(clip)], clip) for clip in clips if place_of(clip) in earlier]
    yield from _counted("clips with another size", [now for was, now in pairs if was.size != now.size])
    labelled = [now for was, now in pairs if (was.label, was.split) != (now.label, now.split)]
    yield from _counted("clips with another label or split", labelled)
    moved = [now for was, now in pairs if (was.position, was.offset) != (now.position, now.offset)]
    yield from _counted("clips in another place of the same archive", moved)


def _counted(what: str, clips: Collection[Clip]) -> list[str]:
    return [f"{what}: {len(clips)} (such as {min(clip.display for clip in clips)})"] if clips else []
