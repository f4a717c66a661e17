"""What a number is worth: scores of answers that neither look nor listen, and the best any answer could reach.

On VGG-SS under the top-half rule a centred disc reaches 34.02 and the ceiling is 50.54: a score without these two
beside it says little.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from manifests.pixels import SIZE, best_ciou, disc_map
from training.evaluation.postprocess import AUDIO_VISUAL, asked_pixels, binarise, prepare
from training.evaluation.protocol import MapProtocol
from training.evaluation.protocols.ezvsl import EZVSL
from training.evaluation.thresholds import RULES

CENTRED_DISC, WHOLE_IMAGE, RANDOM, NOTHING = "centred_disc", "whole_image", "random", "nothing"
_RANDOM_SIDE = 7


def floor_masks(
    keys: Sequence[str], protocol: MapProtocol, truth_pixels: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """bool (N, 224, 224) by floor name, for the samples `keys` with `truth_pixels` non-zero truth pixels, int (N,)."""
    return {
        CENTRED_DISC: disc_masks(protocol, truth_pixels),
        WHOLE_IMAGE: np.ones((len(keys), SIZE, SIZE), bool),
        RANDOM: random_masks(keys, protocol, truth_pixels, seed),
    }


def floor_masks_and_nothing(
    keys: Sequence[str], protocol: MapProtocol, truth_pixels: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """As `floor_masks`, and masks of no pixel: what frames without truth reward, where these have an IoU of 1."""
    return floor_masks(keys, protocol, truth_pixels, seed) | {NOTHING: np.zeros((len(keys), SIZE, SIZE), bool)}


def disc_masks(protocol: MapProtocol, truth_pixels: np.ndarray) -> np.ndarray:
    """bool (N, 224, 224): a disc around the image's centre, of the area that the rule asks for beside truths of
    `truth_pixels`, int (N,); of half the area where it asks for none."""
    rule = protocol if RULES[protocol.rule].fixes_area else EZVSL
    disc, asked = disc_map()[None], asked_pixels(rule, truth_pixels, len(truth_pixels), SIZE**2)
    of_area = {area: binarise(disc, rule, truth_pixels[asked == area][:1]).masks[0] for area in np.unique(asked)}
    return np.stack([of_area[area] for area in asked])


def random_masks(keys: Sequence[str], protocol: MapProtocol, truth_pixels: np.ndarray, seed: int) -> np.ndarray:
    """bool (N, 224, 224): uniform noise on a 7 x 7 grid put through the whole protocol, beside truths of
    `truth_pixels`, int (N,); it depends on key and seed, not on the order."""
    noise = np.stack([noise_map(key, seed) for key in keys])
    if protocol.interpolation == "none":
        noise = noise.repeat(SIZE // _RANDOM_SIDE, axis=1).repeat(SIZE // _RANDOM_SIDE, axis=2)
    return binarise(prepare(noise, protocol)[AUDIO_VISUAL].maps, protocol, truth_pixels).masks


def ceiling(weights: np.ndarray, protocol: MapProtocol) -> np.ndarray:
    """float64 (N,): the largest cIoU a map with distinct values can reach on truth maps (N, H, W) under the rule.

    A rule that fixes the number of predicted pixels leaves the heaviest truth pixels as the best answer. Where the
    rule does not fix the area the best answer is the truth itself: 1, or 0 when the truth is empty.
    """
    support = (weights.reshape(len(weights), -1) > 0).sum(axis=1)
    if not RULES[protocol.rule].fixes_area:
        return (support > 0).astype(np.float64)
    strict = protocol.comparator == ">" and not protocol.exact
    return best_ciou(weights, asked_pixels(protocol, support, len(weights), int(np.prod(weights.shape[1:]))) - strict)


def noise_map(key: str, seed: int) -> np.ndarray:
    """float32 (7, 7) in [-1, 1), of key and seed alone."""
    random = np.random.default_rng([seed, zlib.crc32(key.encode())])
    return random.uniform(-1, 1, (_RANDOM_SIDE, _RANDOM_SIDE)).astype(np.float32)
