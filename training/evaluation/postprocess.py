"""A protocol applied: raw maps -> comparable maps and confidences -> binary masks.

Reproduces, protocol by protocol, the post-processing of the released test scripts (see `protocols/`). Everything works
on batches, (N, height, width); thresholds are ranks found per map, never across a batch.
"""

from dataclasses import dataclass

import numpy as np

from manifests.pixels import level_of
from training.evaluation import maps
from training.evaluation.protocol import MapProtocol
from training.evaluation.thresholds import RULES

AUDIO_VISUAL, OBJECT_PRIOR, COMBINED = MAPS = ("audio_visual", "object_prior", "combined")


@dataclass(frozen=True)
class Prepared:
    """Maps ready to be thresholded, float32 (N, 224, 224), and the confidence of each sample, float64 (N,)."""

    maps: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Masks:
    """Predicted pixels, bool (N, H, W), and the share of the image that ties at the threshold decided, (N,)."""

    masks: np.ndarray
    tie_share: np.ndarray


def prepare(
    raw: np.ndarray, protocol: MapProtocol, object_raw: np.ndarray | None = None, alpha: float = 0.4
) -> dict[str, Prepared]:
    """Raw maps (N, h, w), and optionally object-prior maps, as the protocol compares them.

    Keys: audio_visual and, with object maps, object_prior and combined = alpha * audio_visual + (1 - alpha) * object.
    A mixture of min-max maps has no level of its own, so its confidence is that of the audio-visual map; under
    fixed ranges (SLAVC) it is that of the mixture.
    """
    require_finite(raw)
    scaled, confidence = _scaled(_enlarged(raw, protocol), protocol, protocol.map_range)
    prepared = {AUDIO_VISUAL: Prepared(_finished(scaled, protocol), confidence)}
    if object_raw is None:
        return prepared
    require_finite(object_raw)
    object_high = (
        _enlarged(object_raw, protocol)
        if protocol.object_enlarging == "alike"
        else maps.upsample(object_raw, "bilinear", align_corners=True)
    )
    object_scaled, object_confidence = _scaled(object_high, protocol, protocol.object_range)
    mixture = maps.mix(scaled, object_scaled, alpha)
    prepared[OBJECT_PRIOR] = Prepared(_finished(object_scaled, protocol), object_confidence)
    mixture_confidence = confidence_of(mixture, protocol) if protocol.scaling == "fixed" else confidence
    prepared[COMBINED] = Prepared(maps.minmax(mixture) if protocol.stretch else mixture, mixture_confidence)
    return prepared


def _enlarged(raw: np.ndarray, protocol: MapProtocol) -> np.ndarray:
    return maps.upsample(raw, protocol.interpolation, protocol.align_corners)


def _scaled(high: np.ndarray, protocol: MapProtocol, bounds: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    if protocol.scaling == "fixed":
        high = maps.rescale(high, *bounds)
    confidence = confidence_of(high, protocol)
    scalings = {"minmax": maps.minmax, "flipped_minmax": maps.flipped_minmax}
    return (scalings[protocol.scaling](high) if protocol.scaling in scalings else high), confidence


def _finished(scaled: np.ndarray, protocol: MapProtocol) -> np.ndarray:
    already_stretched = protocol.scaling in ("minmax", "flipped_minmax")
    return maps.minmax(scaled) if protocol.stretch and not already_stretched else scaled


def confidence_of(high: np.ndarray, protocol: MapProtocol) -> np.ndarray:
    """float64 (N,): the protocol's confidence of enlarged maps (N, H, W) that were not min-max stretched."""
    rule = maps.maximum if protocol.confidence == "maximum" else maps.top_quarter_mean
    return rule(high).astype(np.float64)


def binarise(prepared: np.ndarray, protocol: MapProtocol, truth_pixels: np.ndarray | None = None) -> Masks:
    """Threshold prepared maps (N, H, W); the adaptive rule needs `truth_pixels`, int (N,), non-zero truth pixels.

    ValueError on NaN or infinite values: the released evaluators silently predict nothing (or nearly everything) there.
    """
    require_finite(prepared)
    flat = prepared.reshape(len(prepared), -1)
    thresholds = _thresholds(flat, protocol, truth_pixels)[:, None]
    masks = flat >= thresholds if protocol.comparator == ">=" else flat > thresholds
    tied = np.maximum((flat == thresholds).sum(axis=1) - 1, 0) / flat.shape[1]
    if protocol.keep_maximum:
        masks |= flat >= 1
    if protocol.exact:
        masks = _exactly(flat, thresholds, asked_pixels(protocol, truth_pixels, len(flat), flat.shape[1]))
    return Masks(masks.reshape(prepared.shape), tied if RULES[protocol.rule].fixes_area else np.zeros(len(flat)))


def asked_pixels(protocol: MapProtocol, truth_pixels: np.ndarray | None, count: int, total: int) -> np.ndarray:
    """int (count,): pixels at or above the threshold of a rule that fixes the area, when all values are distinct."""
    pixels = RULES[protocol.rule].pixels
    assert pixels is not None, f"the rule {protocol.rule} fixes no area"
    return np.broadcast_to(pixels(protocol.level, truth_pixels, total), count)


def _thresholds(flat: np.ndarray, protocol: MapProtocol, truth_pixels: np.ndarray | None) -> np.ndarray:
    rule = RULES[protocol.rule]
    if rule.value is not None:
        return rule.value(protocol.level, flat)
    asked = asked_pixels(protocol, truth_pixels, len(flat), flat.shape[1])
    return np.array([level_of(row, count) for row, count in zip(flat, asked, strict=True)], flat.dtype)


def _exactly(flat: np.ndarray, thresholds: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Masks of exactly `asked` pixels, filling up with tied pixels in raster order; constant maps predict nothing."""
    masks = flat > thresholds
    for mask, row, threshold, count in zip(masks, flat, thresholds, asked, strict=True):
        if row.max() > row.min():
            mask[np.flatnonzero(row == threshold)[: count - mask.sum()]] = True
    return masks


def require_finite(values: np.ndarray) -> None:
    """ValueError naming the first sample with a NaN or infinite value."""
    bad = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if bad.any():
        raise ValueError(f"{int(bad.sum())} of {len(values)} maps hold NaN or infinity, first at {int(bad.argmax())}")
