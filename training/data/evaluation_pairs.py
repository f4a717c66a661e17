"""Which image and which sound each test sample is: clips of the shards, by the sample's own name or by a list.

A clip is its own image and audio; a negative pair `<video>+<audio>` takes one of each. Where a corpus names its
samples otherwise than its clips (frames of a video, one image under several sounds), a csv `name,video,audio` says
which clips to take. What the shards lack is left out here and named in the result.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from manifests.annotations import TestSet
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.namesakes import Names, clips_named
from manifests.test_sets import ExtendedSet, Negative, Truth
from pipeline.shards.store import ShardStore
from training.data.pairs import EvaluationPair

HEADER = ["name", "video", "audio"]
_MISMATCH = (0, 211)  # the seed that draws foreign sounds


def read_pairs(path: Path, present: Collection[str] = ()) -> dict[str, tuple[str, str]]:
    """Name -> (clip of the image, clip of the sound), in the names that `present` clips have.

    InputError for another header, a bad row, rows of one name that contradict each other, or a name that several
    present clips could have.
    """
    rows = read_content(path).table(HEADER, 0, "Give a list of pairs: each sample once, with its two clips.")
    names = clips_named((text for row in rows for text in row[1:]), str(path))
    called = names.among(present)
    clips = [called.get(key, key) for key in names.keys]
    return {row[0]: pair for row, pair in zip(rows, zip(clips[::2], clips[1::2], strict=True), strict=True)}


def found_pairings(
    store: ShardStore, truth: Truth, pairs: dict[str, tuple[str, str]] | None = None
) -> list[EvaluationPair]:
    """Image and sound of everything in `truth` that the shards hold.

    InputError when they hold no test clip, or the pairs of a sample contradict each other.
    """
    row_of, wanted = {key: row for row, key in enumerate(store.keys)}, samples_of(truth, pairs)
    found = _held(wanted, row_of)
    if not found:
        raise _nothing_held(store, truth, wanted, pairs)
    negatives = truth.extended.negatives if truth.extended else ()
    return found + _held({pair.key: (pair.video, pair.audio) for pair in negatives}, row_of)


def _nothing_held(
    store: ShardStore, truth: Truth, wanted: dict[str, tuple[str, str]], pairs: dict[str, tuple[str, str]] | None
) -> InputError:
    """The error where shards have no clip of a set; a sample is named with its clips where pairs say what they are."""
    first, (video, audio) = next(iter(wanted.items()))
    named, advice = f"{first!r}", "or give --pairs where samples are not named as clips are"
    if pairs:
        named = f"{first!r} of the clips {video!r} and {audio!r}"
        advice = "or name the shards that hold the clips of --pairs with --shards"
    return InputError(
        f"none of the {len(wanted)} clips of {truth.test_set.source} is in {store.folder} (it holds "
        f"{len(store.keys)} clips, the first is {store.keys[0]!r}, the first wanted {named}). Ingest the test videos "
        f"into the same shards, {advice}."
    )


def samples_of(truth: Truth, pairs: dict[str, tuple[str, str]] | None = None) -> dict[str, tuple[str, str]]:
    """The clips of image and sound of every sample of a set, whether they are there or not. InputError as
    `found_pairings`."""
    own = truth.test_set.names
    given = _of_samples(pairs or {}, own)
    return {key: given.get(key, (key, key)) for key in own.keys}


def _of_samples(pairs: dict[str, tuple[str, str]], own: Names) -> dict[str, tuple[str, str]]:
    """Pairs by the key of the sample: a name is a sample's as it is (frames have folders in theirs), or by its clip.

    InputError for two names of one sample with other clips.
    """
    known = set(own.keys)
    others = [name for name in pairs if name not in known]
    called = dict(zip(others, clips_named(others, "--pairs").as_in(own), strict=True))
    found: dict[str, tuple[str, tuple[str, str]]] = {}
    for name, pair in pairs.items():
        first, earlier = found.setdefault(called.get(name, name), (name, pair))
        if earlier != pair:
            raise InputError(
                f"--pairs names one sample twice, as {first} with {' and '.join(earlier)} and as {name} with "
                f"{' and '.join(pair)}. Keep one of the two rows."
            )
    return {key: pair for key, (_, pair) in found.items()}


def with_mismatches(truth: Truth) -> ExtendedSet:
    """The set's own negative pairs, else one for each clip: its image with a seeded sound of another class."""
    return truth.extended or mismatched(truth.test_set)


def mismatched(test_set: TestSet) -> ExtendedSet:
    """Every clip's image with the sound of a clip of another class (of another clip where classes are unknown)."""
    random, annotations = np.random.default_rng(_MISMATCH), test_set.annotations
    pairs = []
    for own in annotations:
        foreign = [
            one.key for one in annotations if one.key != own.key and (one.label is None or one.label != own.label)
        ]
        if foreign:
            pairs.append(Negative(own.key, foreign[random.integers(len(foreign))], "easy"))
    return ExtendedSet(f"mismatched_{test_set.name}", test_set, tuple(pairs), test_set.source, test_set.sha256)


def _held(wanted: dict[str, tuple[str, str]], row_of: dict[str, int]) -> list[EvaluationPair]:
    return [
        EvaluationPair(name, row_of[video], row_of[audio])
        for name, (video, audio) in wanted.items()
        if video in row_of and audio in row_of
    ]
