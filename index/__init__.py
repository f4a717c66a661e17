"""Stage 2, shards to neighbours: embeddings of every clip, then exact nearest neighbours of every embedding.

FAISS and torch never share a process, as their two OpenMP runtimes do not get along: only the networks of `index embed`
and `index build-knn --backend torch` import torch.
"""

from typing import TYPE_CHECKING

from manifests.public_names import looked_up

if TYPE_CHECKING:
    from index.neighbours import Neighbours as Neighbours

__getattr__ = looked_up(
    __name__,
    {"Neighbours": "index.neighbours"},
)
