"""Heat maps on their way to a threshold: enlarged, scaled, mixed with the object prior.

All maps are float32 (N, height, width), larger meaning more sounding. The order is fixed by the released evaluators:
enlarge first, scale afterwards (for bicubic the two do not commute), mix with the object prior last.
"""

import numpy as np

from manifests.pixels import SIZE


def upsample(maps: np.ndarray, interpolation: str, align_corners: bool, size: int = SIZE) -> np.ndarray:
    """Enlarge (N, h, w) to (N, size, size); `interpolation` is "bilinear" or "bicubic", "none" asks for size already.

    Bilinear without aligned corners equals OpenCV's INTER_LINEAR to 6e-8 (golden_interp). A constant map stays one: its
    pixels would differ by rounding alone, and ranks and stretching would make a mask of that. Runs on the CPU.
    """
    if interpolation == "none" or (maps.shape[1:] == (size, size)):
        if maps.shape[1:] != (size, size):
            raise ValueError(f"this protocol takes maps of {size} x {size}, not {maps.shape[1]} x {maps.shape[2]}")
        return np.ascontiguousarray(maps, np.float32)
    import torch

    low = torch.from_numpy(np.ascontiguousarray(maps, np.float32))[:, None]
    high = torch.nn.functional.interpolate(low, (size, size), mode=interpolation, align_corners=align_corners)
    enlarged, flat = high[:, 0].numpy(), is_constant(maps)
    enlarged[flat] = np.asarray(maps, np.float32)[flat][:, :1, :1]
    return enlarged


def resized(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Maps (N, h, w) at `size` (height, width), bilinear without aligned corners, averaged where they shrink."""
    if maps.shape[1:] == size:
        return maps
    import torch

    low = torch.from_numpy(np.ascontiguousarray(maps, np.float32))[:, None]
    return torch.nn.functional.interpolate(low, size, mode="bilinear", antialias=True)[:, 0].numpy()


def minmax(maps: np.ndarray) -> np.ndarray:
    """Stretch each map to [0, 1]; a constant map is returned unchanged (EZ-VSL `normalize_img`)."""
    low = maps.min(axis=(1, 2), keepdims=True)
    spread = maps.max(axis=(1, 2), keepdims=True) - low
    flat = spread == 0
    return (maps - np.where(flat, np.float32(0), low)) / np.where(flat, np.float32(1), spread)


def flipped_minmax(maps: np.ndarray) -> np.ndarray:
    """1 - minmax(-maps): LVS and SSL-TIE. Equals `minmax` to 1.3e-7 but merges some neighbouring float32 values."""
    return 1 - minmax(-maps)


def rescale(maps: np.ndarray, low: float, high: float) -> np.ndarray:
    """The fixed affine map that takes [low, high] to [0, 1] (SLAVC `normalize_minmax` with given bounds)."""
    return (maps - np.float32(low)) / np.float32(high - low)


def mix(audio_visual: np.ndarray, object_prior: np.ndarray, alpha: float) -> np.ndarray:
    """Object-guided localization: alpha * audio_visual + (1 - alpha) * object_prior, both scaled before."""
    return np.float32(alpha) * audio_visual + np.float32(1 - alpha) * object_prior


def is_constant(maps: np.ndarray) -> np.ndarray:
    """bool (N,): every pixel of the map has the same value."""
    return maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))


def top_quarter_mean(maps: np.ndarray) -> np.ndarray:
    """float32 (N,): mean of the largest quarter of the pixels, the confidence SLAVC's code uses."""
    flat = maps.reshape(len(maps), -1)
    count = flat.shape[1] // 4
    return np.partition(flat, flat.shape[1] - count, axis=1)[:, -count:].mean(axis=1)


def maximum(maps: np.ndarray) -> np.ndarray:
    """float32 (N,): the largest value, the confidence the Extended VGG-SS paper defines."""
    return maps.max(axis=(1, 2))
