"""Where the file that stands for a key was rejected, the next one of that key is tried, in further shards.

Two names of one clip are often a download that broke off and its repetition: the larger one need not be the whole one.
"""

from functools import cache, partial
from itertools import chain

from pipeline.jobs.growth import unlisted
from pipeline.jobs.plan import Found, Plan, cut_shards
from pipeline.jobs.shard_job import stored_keys
from pipeline.jobs.unique_keys import by_place, next_files, place_of, unique_keys
from pipeline.sources.listing import Clip
from pipeline.storage.remote import Place


def with_next_files(plan: Plan, found: Found, out: Place) -> Plan | None:
    """A plan whose shards are all made, with further shards of the files to try next; None where there are none."""
    if all(refusal.reason != "duplicate" for refusal in plan.refusals):
        return None
    earlier = by_place(chain(*plan.shards))
    clips = [*found.clips, *unlisted(earlier.values(), found.clips)]
    waiting = next_files(clips, earlier)
    stored = _stored(plan, set(waiting), out)
    further = [clip for key, clip in waiting.items() if key not in stored]
    if not further:
        return None
    _, duplicates = unique_keys(clips, earlier | {place_of(clip): clip for clip in further})
    shards = cut_shards(further, plan.options.shard_clips or len(further))
    return Plan(plan.options, plan.roots, (*plan.shards, *shards), (*found.refusals, *duplicates))


def described(further: list[Clip]) -> str:
    """One line on the files of a plan's further shards."""
    return f"files tried because another one of their key was rejected: {len(further)} (such as {further[0].display})"


def _stored(plan: Plan, keys: set[str], out: Place) -> set[str]:
    """Those of the keys that a record was made of."""
    keys_of = cache(partial(stored_keys, out))
    planned = ((shard, clip.key) for shard, clips in enumerate(plan.shards) for clip in clips if clip.key in keys)
    return {key for shard, key in planned if key in (keys_of(shard) or ())}
