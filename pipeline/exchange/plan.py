"""Which files a corpus is exported to: those of each split one after another, at most so many clips in each.

Files are named as Hugging Face's `load_dataset` takes splits from them: `data/train-00000-of-00002.parquet`. Clips
follow one another as in the shards' manifest, those without a split count as `train`. In a file's name a split has
`_` for what is no letter of ASCII, no digit and no `_`; splits that would become one, or nothing, are refused.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from manifests.errors import InputError
from manifests.splits import TRAIN
from pipeline.shards.store import ShardStore

_NO_WORD = re.compile(r"\W+", re.ASCII)


@dataclass(frozen=True)
class Part:
    """One file: its name, the split whose clips it holds, and their rows in the shards."""

    name: str
    split: str
    rows: Sequence[int]


def parts_of(store: ShardStore, most: int, named: str) -> list[Part]:
    """The files of all clips, at most `most` in each, by split in the order in which they first appear.

    `named` makes a file's name of its split and number: "{}.tar". InputError for splits whose names do not tell them
    apart there.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    splits = [split or TRAIN for split in store.table["split"].to_pylist()]
    words = _words(dict.fromkeys(splits))
    for row, split in enumerate(splits):
        rows[words[split]].append(row)
    return [part for split, own in rows.items() for part in _parts_of_split(split, own, most, named)]


def _parts_of_split(split: str, rows: list[int], most: int, named: str) -> list[Part]:
    count = -(-len(rows) // most)
    cuts = [rows[number * most : (number + 1) * most] for number in range(count)]
    return [Part(named.format(f"{split}-{number:05d}-of-{count:05d}"), split, own) for number, own in enumerate(cuts)]


def _words(splits: Iterable[str]) -> dict[str, str]:
    """For each split its name as names of files have it: letters of ASCII, digits and `_` alone.

    InputError where nothing is left of one, and where two become one: test clips would count as others.
    """
    words: dict[str, str] = {}
    taken: dict[str, str] = {}
    for split in splits:
        words[split] = word = _NO_WORD.sub("_", split).strip("_")
        if not word or taken.setdefault(word, split) != split:
            raise InputError(
                f"the split {split!r} would be exported as {word!r}"
                + (f", as the split {taken[word]!r} is" if word else "")
                + ". Files of clips are named for their split, in ASCII letters, digits and _: ingest the clips again "
                "with splits that differ in these."
            )
    return words
