"""Which files a corpus is exported to: those of each split one after another, at most so many clips in each.

Files are named as Hugging Face's `load_dataset` takes splits from them: `data/train-00000-of-00002.parquet`. Clips
follow one another as in the shards' manifest, those without a split count as `train`.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.shards.store import ShardStore

TRAIN = "train"
_NO_WORD = re.compile(r"\W+", re.ASCII)


@dataclass(frozen=True)
class Part:
    """One file: its name, the split whose clips it holds, and their rows in the shards."""

    name: str
    split: str
    rows: Sequence[int]


def parts_of(store: ShardStore, most: int, named: str) -> list[Part]:
    """The files of all clips, at most `most` in each, by split in the order in which they first appear.

    `named` makes a file's name of its split and number: "{}.tar".
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, split in enumerate(store.table["split"].to_pylist()):
        rows[_word(split or TRAIN)].append(row)
    return [part for split, own in rows.items() for part in _parts_of_split(split, own, most, named)]


def _parts_of_split(split: str, rows: list[int], most: int, named: str) -> list[Part]:
    count = -(-len(rows) // most)
    cuts = [rows[number * most : (number + 1) * most] for number in range(count)]
    return [Part(named.format(f"{split}-{number:05d}-of-{count:05d}"), split, own) for number, own in enumerate(cuts)]


def _word(split: str) -> str:
    """A split's name as names of files have it: letters, digits and `_` alone."""
    return _NO_WORD.sub("_", split).strip("_") or TRAIN
