"""Stage 1, media to shards: walk a corpus, decode every clip once, write deterministic WebDataset shards.

Data flows manifests <- pipeline <- index <- training; nothing here imports torch or webdataset.
"""

from typing import TYPE_CHECKING

from manifests.public_names import looked_up

if TYPE_CHECKING:
    from pipeline.shards.store import ShardStore as ShardStore

__getattr__ = looked_up(
    __name__,
    {"ShardStore": "pipeline.shards.store"},
)
