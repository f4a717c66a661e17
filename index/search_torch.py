"""The torch backend: matrix product and top-k, for machines whose GPU faiss cannot use.

Imported by `index.search.open_search` only when asked for. Float32 throughout: TF32 would change 0.4 % of the
neighbours at k = 1000.
"""

import numpy as np
import torch

from index.ranking import GPU_RANKERS


def gpu_count() -> int:
    """How many GPUs torch can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


class TorchSearch:
    """Scores of a block of queries against the whole corpus, then `torch.topk`."""

    largest_count = None
    rounding = 48.0

    def __init__(self, vectors: np.ndarray, device: str, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = False
        self.name = f"torch matmul + topk, {device}"
        self.block = 2048 if device != "cpu" else 256  # scores are (block, N) float32
        self.rankers = GPU_RANKERS if device != "cpu" else 1
        self._device = device
        self._vectors = torch.from_numpy(np.array(vectors)).to(device)

    @torch.inference_mode()
    def hits(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        scores = torch.from_numpy(np.array(queries)).to(self._device) @ self._vectors.T
        best, positions = torch.topk(scores, count, dim=1)
        return best.cpu().numpy(), positions.cpu().numpy()
