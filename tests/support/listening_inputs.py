"""Made inputs for what tests whether a localizer listens: maps under four sounds, masks, classes, mixtures, prompts.

Named as in golden_listening.npz; invented here, of one seed each, and small.
"""

import numpy as np
from golden_inputs import fractions

SOUNDS = ("positive", "silence", "noise", "offscreen")
CLIPS = 12


def boxes() -> list[list[list[int]]]:
    """In 224 pixels: clip 2 has none, clip 3 the whole image, clip 4 two."""
    random = np.random.RandomState(41)
    found = [[_box(random)] for _ in range(CLIPS)]
    found[2], found[3], found[4] = [], [[0, 0, 224, 224]], [_box(random), _box(random)]
    return found


def _box(random: np.random.RandomState) -> list[int]:
    (x1, x2), (y1, y2) = (np.sort(random.choice(225, 2, replace=False)) for _ in range(2))
    return [int(x1), int(y1), int(x2), int(y2)]


def fraction_boxes() -> dict[str, list[list[float]]]:
    """Of 24 clips, as fractions; two of some, one reaching outside."""
    random = np.random.RandomState(42)
    found = {f"clip{at:03d}": [[v / 224 for v in _box(random)] for _ in range(1 + at % 3 // 2)] for at in range(24)}
    found["clip005"] = [[-0.05, 0.2, 0.5, 0.6]]
    return found


def arrays() -> dict[str, np.ndarray]:
    """Every array by its name in the released file."""
    return {**_negatives(), **_robust(), **_classes(), **_mixtures(), **_masks(), **_prompts(), **_avgn()}


def _smooth(random: np.random.RandomState, count: int, side: int) -> np.ndarray:
    """(count, side, side) in [0, 1): a slope and a hill, so that masks are regions."""
    grid = np.linspace(0, 1, side)
    x, y = fractions(random, (count, 1, 1)), fractions(random, (count, 1, 1))
    hill = np.exp(-8 * ((grid[None, None, :] - x) ** 2 + (grid[None, :, None] - y) ** 2))
    return (0.75 * hill + 0.25 * fractions(random, (count, side, side))).astype(np.float32)


def _negatives() -> dict[str, np.ndarray]:
    """Maps of 7 x 7 as halved cosines, of 14 x 14 as cosines; clip 5 is all zero, clip 6 low everywhere."""
    random, found = np.random.RandomState(43), {}
    loud = dict(zip(SOUNDS, (1.0, 0.35, 0.7, 0.85), strict=True))
    for sound in SOUNDS:
        low, high = _smooth(random, CLIPS, 7), _smooth(random, CLIPS, 14)
        found[f"negatives_low7_{sound}"] = (0.45 + 0.35 * loud[sound] * low).astype(np.float32)
        found[f"negatives_low14_{sound}"] = (loud[sound] * high * 0.8 - 0.1).astype(np.float32)
        for side in (7, 14):
            found[f"negatives_low{side}_{sound}"][5], found[f"negatives_low{side}_{sound}"][6] = 0, 0.01
    found["negatives_object7"] = (2.4 * _smooth(random, CLIPS, 7)).astype(np.float32)
    return found


def _robust() -> dict[str, np.ndarray]:
    """Logits of 20 frames of 4 videos, all off under silence in frame 3, all on under noise in frame 4."""
    random = np.random.RandomState(44)
    found = {f"robust_logits_{sound}": (6 * _smooth(random, 20, 24) - 2.5).astype(np.float32) for sound in SOUNDS}
    found["robust_logits_silence"][3], found["robust_logits_noise"][4] = -1, 1
    found["robust_logits_positive"][11] = 0
    masks = (_smooth(random, 20, 24) > 0.55).astype(np.uint8)
    masks[7], masks[15:] = 0, 0
    return found | {"robust_masks": masks}


def _classes() -> dict[str, np.ndarray]:
    """Label maps of 12 frames: 2 is background only, 3 only predicted, 4 only true, 5 all wrong, 8 has class 70."""
    random = np.random.RandomState(45)
    true = (_smooth(random, 12, 16) > 0.5) * random.choice([1, 4, 9, 40], 12)[:, None, None]
    predicted = np.where(fractions(random, true.shape) < 0.8, true, random.choice([0, 1, 69], true.shape))
    true[2], predicted[2], true[3], predicted[4] = 0, 0, 0, 0
    true[5], predicted[5] = 4, 9
    true[8, :3] = 70
    return {"avss_labels_true": true.astype(np.uint8), "avss_labels_predicted": predicted.astype(np.uint8)}


PICTURES = {2: 6, 3: 4}  # cases by number of images
MAPS = {2: (2, 1, 2, 3, 0, 2), 3: (3, 2, 4, 0)}  # how many maps each case has
MUSIC_MAPS = (1, 2, 1, 2)


def _mixtures() -> dict[str, np.ndarray]:
    random, found = np.random.RandomState(46), {}
    for images, counts in MAPS.items():
        for case, count in enumerate(counts):
            for each in range(count):
                stack = _smooth(random, images, 7).reshape(-1, 7)
                found[f"duet_K{images}_case{case:02d}_map{each}"] = stack
    found["duet_K2_case02_map0"][:] = 0.25
    for case, count in enumerate(MUSIC_MAPS):
        for each in range(count):
            found[f"duet_music_case{case:02d}_map{each}"] = _smooth(random, 1, 7)[0]
    return found


def music_rows() -> list[list[list[float]]]:
    """x, y, width, height of the two instruments of each frame, all inside the frame."""
    random = np.random.RandomState(47)
    return [[[*(0.5 * fractions(random, (2,))), *(0.1 + 0.4 * fractions(random, (2,)))] for _ in range(2)]
            for _ in MUSIC_MAPS]  # fmt: skip


NAMES = {
    "vpoms": [
        f"{image:012d}_{sound}" for image, sounds in ((7, 3), (8, 1), (9, 2), (10, 1)) for sound in range(sounds)
    ],
    "is3": [f"kettle_fox_{1000 + at // 2}_{('kettle', 'fox')[at % 2]}" for at in range(7)],
}


def _masks() -> dict[str, np.ndarray]:
    """Masks 0 and 255 (224, 224); IS3's third is empty, VPO-MS's fourth full."""
    random, prior, found = np.random.RandomState(48), np.random.RandomState(51), {}
    for name, names in NAMES.items():
        count = len(names)
        masks = 255 * (_smooth(random, count, 28) > 0.5).astype(np.uint8).repeat(8, 1).repeat(8, 2)
        masks[3] = 0 if name == "is3" else 255
        found[f"kaist_{name}_masks"] = masks
        found |= {f"kaist_{name}_low{side}": _smooth(random, count, side) for side in (7, 14)}
        found[f"kaist_{name}_object7"] = (2.4 * _smooth(prior, count, 7)).astype(np.float32)
    return found


def _prompts() -> dict[str, np.ndarray]:
    """Features of 8 images and sounds, label maps of 32 x 32, prompts of four classes; class 20 is in no image."""
    random = np.random.RandomState(49)
    labels = random.choice([3, 7, 12], (8, 4, 4)).repeat(8, 1).repeat(8, 2)
    mask = np.ones((8, 10), np.float32)
    mask[2, 6:], mask[5, 4:] = 0, 0
    return {
        "denseav_image_features": (fractions(random, (8, 4, 8, 8)) - 0.5).astype(np.float32),
        "denseav_audio_features": (fractions(random, (8, 4, 1, 10)) - 0.5).astype(np.float32),
        "denseav_audio_mask": mask,
        "denseav_semseg": labels.astype(np.uint8),
        "denseav_prompt_classes": np.array([3, 7, 12, 20, 3, 7, 12, 20]),
        "denseav_heatmaps_sound_heads1": _smooth(random, 3, 32),
    }


def _avgn() -> dict[str, np.ndarray]:
    random = np.random.RandomState(50)
    low = (2 * _smooth(random, 24, 7) - 1).astype(np.float32)
    return {"avgn_low7": low, "avgn_object7": (2.4 * _smooth(random, 24, 7)).astype(np.float32)}
