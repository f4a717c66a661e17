"""What stays for a whole run: on the training device, and what that has no room for in this machine's memory."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


class KeptRows:
    """Rows (R, ...) of one shape, `lengths` (N,) of them for each clip; `on_device` (N,) bool says where a clip's lie.

    `there` has those on the device and `here` the others, in the order of clips, each clip's from its `starts` (N,) on.
    """

    def __init__(
        self, lengths: np.ndarray, on_device: np.ndarray, shape: Sequence[int], dtype: torch.dtype, device: torch.device
    ) -> None:
        self.lengths, self.on_device, self.device = lengths, on_device, device
        self.starts = np.empty(len(lengths), dtype=np.int64)
        for own in (on_device, ~on_device):
            self.starts[own] = np.cumsum(lengths[own]) - lengths[own]
        counts = int(lengths[on_device].sum()), int(lengths[~on_device].sum())
        # not pinned: torch pins powers of two, so that 33 GB would take 64; what is cut from it is
        self.there, self.here = (
            torch.empty((count, *shape), dtype=dtype, device=place)
            for count, place in zip(counts, (device, torch.device("cpu")), strict=True)
        )

    @classmethod
    def holding(cls, rows: Tensor, on_device: np.ndarray, device: torch.device) -> "KeptRows":
        """Rows (N, ...) of this machine's memory, one for each clip; no copy where they all stay there."""
        made = cls(np.ones(len(rows), dtype=np.int64), on_device, rows.shape[1:], rows.dtype, device)
        if on_device.all():
            made.there = rows.to(device)
        else:
            made.put(slice(0, len(rows)), rows)
        return made

    def put(self, clips: slice, rows: Tensor) -> None:
        """The rows of some clips in a row, on any device."""
        ends = np.concatenate([[0], np.cumsum(self.lengths[clips])])
        for run in self._runs(clips):
            part = rows[int(ends[run.start - clips.start]) : int(ends[run.stop - clips.start])]
            place, start = self.there if self.on_device[run.start] else self.here, int(self.starts[run.start])
            place[start : start + len(part)] = part.to(place.device)

    def _runs(self, clips: slice) -> Iterator[slice]:
        """Clips one after the other that lie in one place."""
        changes = np.flatnonzero(np.diff(self.on_device[clips])) + clips.start + 1
        return (slice(int(first), int(last)) for first, last in pairwise([clips.start, *changes, clips.stop]))

    def of(self, clips: np.ndarray) -> Tensor:
        """(B, ...) on the device: of clips (B,) that have one row each."""
        there, starts = self.on_device[clips], self.starts[clips]
        if there.all():
            return self.there[sent(starts, self.device)]
        ours = staging((int((~there).sum()), *self.here.shape[1:]), self.here.dtype, self.device)
        torch.index_select(self.here, 0, torch.from_numpy(starts[~there]), out=ours)
        ours = ours.to(self.device, non_blocking=True)
        if not there.any():
            return ours
        rows = torch.empty((len(clips), *ours.shape[1:]), dtype=ours.dtype, device=self.device)
        rows[sent(np.flatnonzero(there), self.device)] = self.there[sent(starts[there], self.device)]
        rows[sent(np.flatnonzero(~there), self.device)] = ours
        return rows

    def whole(self) -> Tensor:
        """All rows (N, ...) in this machine's memory, of clips that have one each."""
        if self.on_device.all():
            return self.there.cpu()
        rows = torch.empty((len(self.lengths), *self.here.shape[1:]), dtype=self.here.dtype)
        rows[torch.from_numpy(self.on_device)] = self.there.cpu()
        rows[torch.from_numpy(~self.on_device)] = self.here
        return rows


def staging(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Memory of this machine's for what goes to the device at once: pinned for a GPU, so that nobody waits for it."""
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def sent(values: np.ndarray, device: torch.device) -> Tensor:
    """Numbers on their way to the device; from pinned memory, so that nobody waits for them."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
