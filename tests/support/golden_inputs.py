"""Made inputs of the shipped golden values: scenes, maps and lists of scores, from whole random numbers only.

`numpy.random.RandomState` never changes its numbers, and every value is a whole number over a power of two, so that the
same inputs arise everywhere and need not be stored. Their shapes and names are those of ../shared/golden.
"""

import numpy as np

SCENES, NEGATIVES, POSITIVES = 64, 24, 40
FULL = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 21, 22, 30, 40, 50, 55, 57, 60, 62, 63)
LIST_SIZES = {"n64": 64, "n500": 500, "n500_ties": 500, "n500_constant_conf": 500, "n999": 999, "n10316": 10316}
TYPES = ("real", "easy", "hard")


def fractions(random: np.random.RandomState, shape: tuple[int, ...], steps: int = 4096) -> np.ndarray:
    """Whole multiples of 1 / steps in [0, 1)."""
    return random.randint(0, steps, shape) / np.float64(steps)


def scene() -> dict:
    """64 clips: boxes as fractions (VGG-SS) and in 256 pixels by annotator (Flickr), with an odd one of each kind."""
    random = np.random.RandomState(1)
    names = [f"MADEUP{number:05d}_{number % 60:06d}" for number in range(SCENES)]
    vggss, flickr = [], []
    for number in range(SCENES):
        corners = [_box(random) for _ in range(1 + (number % 5 == 3) + (number % 16 == 7))]
        vggss.append([[value / 4096 for value in box] for box in corners])
        first = [value // 16 for value in corners[0]]
        other = [min(255, value + 3) for value in first]
        flickr.append([[first], [other], [first if number % 17 == 3 else other]][: 2 + number % 2])
    vggss[10].append([0.1, 0.2, -2.5e16, 0.5])
    vggss[11].append(vggss[11][0])
    vggss[62], vggss[63] = [[0.0, 0.0, 1.0, 1.0]], [[0.25, 0.5, 0.75, 0.5]]
    return {"names": names, "vggss_boxes_normalised": vggss, "flickr_boxes_256": flickr}


def _box(random: np.random.RandomState) -> list[int]:
    """x1, y1, x2, y2 in 4096ths."""
    width, height = random.randint(400, 3900, 2)
    left, top = random.randint(0, 4096 - width), random.randint(0, 4096 - height)
    return [int(left), int(top), int(left + width), int(top + height)]


def maps() -> dict[str, np.ndarray]:
    """Low-resolution maps (cosines in [-1, 1], object maps from 0) that know the first box, more or less."""
    boxes = [each[0] for each in scene()["vggss_boxes_normalised"]]
    arrays = {f"low{side}": _located(side, boxes, side).astype(np.float32) for side in (7, 14)}
    arrays["obj7"] = (2.4 * (_located(7, boxes, 21) + 1) / 2 + 0.05).astype(np.float32)
    random = np.random.RandomState(5)
    arrays["neg7"] = (1.5 * fractions(random, (NEGATIVES, 7, 7)) - 1).astype(np.float32)
    return arrays | {"full_idx": np.array(FULL), "full": _full()}


def _located(side: int, boxes: list[list[float]], seed: int) -> np.ndarray:
    random = np.random.RandomState(seed)
    rows, columns = np.mgrid[0:side, 0:side] / np.float64(side - 1)
    made = []
    for x1, y1, x2, y2 in boxes:
        away = abs(columns - (x1 + x2) / 2) + abs(rows - (y1 + y2) / 2)
        skill = random.randint(0, 4) / 4
        made.append(np.clip(skill * (1 - away) + (1.5 - skill) * (fractions(random, (side, side)) - 0.5), -1, 1))
    return np.array(made)


def _full() -> np.ndarray:
    """(24, 224, 224) float32 in [0, 1]: slopes in all directions with a fine pattern, every value a 2^-16th."""
    random = np.random.RandomState(6)
    rows, columns = np.mgrid[0:224, 0:224]
    made = []
    for _ in FULL:
        down, across, step = (int(value) for value in random.randint((-130, -130, 100), (130, 130, 5000)))
        whole = down * rows + across * columns + step * (rows * columns % 7)
        made.append((whole - whole.min()) * 65535 // (whole.max() - whole.min()) / np.float64(65536))
    return np.array(made).astype(np.float32)


def composition() -> dict:
    """40 positives among the scenes, then 24 negatives of three types."""
    return {
        "pos_scene_idx": list(range(0, 60, 3)) + list(range(1, 60, 3)),
        "neg_idx": list(range(NEGATIVES)),
        "neg_type": [TYPES[number % 3] for number in range(NEGATIVES)],
        "obj_idx": [(7 * number) % SCENES for number in range(SCENES)],
    }


def lists() -> dict[str, np.ndarray]:
    """Scores of six evaluations: numbers of boxes, cIoU, confidence, area, type of each sample; ties in two."""
    arrays = {}
    for number, (name, size) in enumerate(LIST_SIZES.items()):
        random = np.random.RandomState(30 + number)
        positive = np.arange(size) < (40 if size == 64 else size // 2)
        levels = {"n500_ties": 8, "n500_constant_conf": 1}.get(name, 1 << 20)
        columns = {
            "bb": np.where(positive, 1 + (random.randint(0, 5, size) == 0), 0),
            "ciou": np.where(positive, fractions(random, (size,)), 0.0),
            "conf": 0.25 + 0.5 * fractions(random, (size,), levels),
            "area": np.where(positive, random.randint(1, 50177, size), 0).astype(float),
            "type": np.array(["" if each else TYPES[at % 3] for at, each in enumerate(positive)]),
        }
        arrays |= {f"{name}_{column}": values for column, values in columns.items()}
    return arrays


def retrieval() -> dict[str, np.ndarray]:
    """96 pairs of a feature map (24, 7, 7) and a vector (24,) that have something in common."""
    random = np.random.RandomState(8)
    audio = fractions(random, (96, 24)) - 0.5
    image = fractions(random, (96, 24, 7, 7)) - 0.5
    image += 0.5 * audio[:, :, None, None] * (fractions(random, (96, 1, 7, 7)) > 0.7)
    return {"img": image.astype(np.float32), "aud": audio.astype(np.float32)}


def onscreen() -> dict[str, list[float]]:
    """Distances and activations of 60 matching and 60 mismatched pairs."""
    random = np.random.RandomState(9)
    spread = {"dist_pos": (0.4, 1.0), "dist_neg": (0.7, 1.0), "act_pos": (0.0, 0.8), "act_neg": (-0.3, 0.6)}
    return {name: (low + wide * fractions(random, (60,))).tolist() for name, (low, wide) in spread.items()}


def interactive() -> dict:
    """51 items of IS3: 24 pairs, a group of two whose target holds a `_`, one alone; boxes in 224 pixels."""
    random = np.random.RandomState(10)
    names = [f"cat_dog_{number}_{target}" for number in range(24) for target in ("cat", "dog")]
    names += ["violin_bass_drum_7_violin", "violin_bass_drum_7_bass_drum", "cow_owl_9_cow"]
    boxes = [[value * 224 // 4096 for value in _box(random)] for _ in names]
    scores = fractions(random, (200, 2, 2))
    groups = {f"pair_{number}": values for number, values in enumerate(scores.tolist())}
    return {"names": names, "scene_idx": [number % SCENES for number in range(len(names))], "boxes_224": boxes,
            "groups": groups}  # fmt: skip


def music_solo() -> dict[str, list[list[float]]]:
    """Boxes x, y, width, height of the scenes by frame; scene 5 has none, scene 6 is not in the file."""
    named = scene()
    corners = dict(zip(named["names"], named["vggss_boxes_normalised"], strict=True))
    boxes = {
        f"{name}/frame.jpg": [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in own if x2 > x1 and y2 > y1]
        for name, own in corners.items()
    }
    fifth, sixth = list(boxes)[5:7]
    return {key: [] if key == fifth else own for key, own in boxes.items() if key != sixth}


def music_mixtures() -> dict[str, np.ndarray]:
    """Maps (16, K, 14, 14) of 11 and of 20 clusters, and which clusters each of 11 categories owns (11, K)."""
    arrays = {}
    for clusters in (11, 20):
        random = np.random.RandomState(clusters)
        owner = np.concatenate([random.permutation(11), random.randint(0, 11, clusters - 11)])
        owned = owner[None] == np.arange(11)[:, None]
        maps = 0.25 * fractions(random, (16, clusters, 14, 14)) ** 2
        for maps_of, rows in zip(maps, music_boxes()[clusters], strict=True):
            for x, y, width, height, row in rows:
                mine = maps_of[random.choice(np.flatnonzero(owned[row]))]
                mine[int(14 * y) : int(14 * (y + height)) + 1, int(14 * x) : int(14 * (x + width)) + 1] += 0.5
        arrays |= {f"maps_{clusters}": maps.astype(np.float32), f"corr_{clusters}": owned.astype(float)}
    return arrays


def music_boxes() -> dict[int, list[list[list[float]]]]:
    """By number of clusters, for each of 16 frames: x, y, width, height and the row of a category that is boxed."""
    random = np.random.RandomState(13)
    boxed = (0, 1, 2, 5, 6, 7, 9)  # the rows of the seven instruments in the released files
    found: dict[int, list[list[list[float]]]] = {11: [], 20: []}
    for frames in found.values():
        for number in range(16):
            rows = [*random.permutation(boxed)[: 1 + number % 3]]
            rows += rows[: number % 2]  # an instrument seen twice
            frames.append([[*(value / 4096 for value in _sized(random)), int(row)] for row in rows])
    return found


def _sized(random: np.random.RandomState) -> list[int]:
    """x, y, width, height in 4096ths."""
    left, top, right, bottom = _box(random)
    return [left, top, right - left, bottom - top]


def frame_masks() -> np.ndarray:
    """(20, 224, 224) uint8: four videos of five frames; frame 7 and the last video are empty."""
    random = np.random.RandomState(11)
    masks = np.zeros((20, 224, 224), np.uint8)
    for number in {*range(15)} - {7}:
        left, top, right, bottom = (value * 224 // 4096 for value in _box(random))
        masks[number, top:bottom, left:right] = 1
    return masks


def edge_cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Degenerate maps and truths (224, 224) float32 by the names of golden_edge.json."""
    ramp = (np.arange(224 * 224, dtype=np.float64).reshape(224, 224) / (224 * 224 - 1)).astype(np.float32)
    square, top, few, empty = (np.zeros((224, 224), np.float32) for _ in range(4))
    square[56:168, 56:168], top[:112], few[:50] = 1, 1, 1
    return {
        "01a_constant_map_0.3": (np.full_like(ramp, 0.3), square),
        "01b_constant_map_0.0": (np.zeros_like(ramp), square),
        "01c_constant_map_-0.3": (np.full_like(ramp, -0.3), square),
        "02_empty_gt_ramp": (ramp, empty),
        "05_zero_area_box_as_only_box": (ramp, empty),
        "09a_ties_8_levels": ((np.floor(ramp * 8) / 8).astype(np.float32), square),
        "09b_binary_map_exactly_half_ones": (top, top),
        "09c_binary_map_fewer_ones_than_half": (few, few),
        "10a_full_image_gt": (ramp, np.ones_like(ramp)),
    }


def accidents() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Maps without an order, and nothing asked of nothing: where the released answers are accidents."""
    ramp, square = edge_cases()["02_empty_gt_ramp"][0], edge_cases()["01a_constant_map_0.3"][1]
    one_nan, one_inf = ramp.copy(), ramp.copy()
    one_nan[10, 10], one_inf[100, 100] = np.nan, np.inf
    return {
        "02b_empty_gt_and_empty_prediction": (np.full_like(ramp, -5), np.zeros_like(ramp)),
        "03a_one_nan_pixel": (one_nan, square),
        "03b_all_nan": (np.full_like(ramp, np.nan), square),
        "03c_one_+inf_pixel": (one_inf, square),
    }


# numbers of boxes, cIoU and confidence of lists at the edge of what has a score
DEGENERATE_LISTS: dict[str, tuple[list[int], list[float], list[float]]] = {
    "07a_single_positive": ([2], [0.625], [0.75]),
    "07b_single_negative": ([0], [0.0], [0.25]),
    "07c_two_samples": ([1, 0], [0.875, 0.0], [0.5, 0.375]),
    "07d_empty": ([], [], []),
    "08a_all_negatives": ([0, 0, 0, 0], [0.0, 0.0, 0.0, 0.0], [0.125, 0.375, 0.25, 0.5]),
    "08b_no_negatives": ([1, 2, 1, 1], [0.75, 0.25, 0.5, 1.0], [0.25, 0.125, 0.5, 0.375]),
    "08c_no_true_positive": ([1, 3, 0, 0], [0.25, 0.125, 0.0, 0.0], [0.5, 0.25, 0.75, 0.125]),
    "08d_perfect_top": ([1, 1, 1, 0, 0], [0.75, 0.875, 1.0, 0.0, 0.0], [0.875, 0.75, 1.0, 0.25, 0.125]),
    "08e_constant_confidence": ([1, 1, 0, 0], [0.75, 0.25, 0.0, 0.0], [0.375, 0.375, 0.375, 0.375]),
    "08f_nan_confidence": ([1, 0], [0.75, 0.0], [float("nan"), 0.5]),
    "08g_nan_ciou": ([1, 0], [float("nan"), 0.0], [0.75, 0.5]),
    "10e_exactly_half_iou": ([1, 1, 0, 0], [0.5, 0.5, 0.0, 0.0], [0.875, 0.25, 0.5, 0.125]),
}
DISJOINT_ANNOTATORS = ((10, 10, 60, 85), (100, 100, 150, 175))
AGREEING_ANNOTATORS = ((20, 30, 120, 100), (40, 40, 130, 110))
DIRTY_BOXES = {
    "negative": [-0.1, 0.2, 0.5, 0.6],
    "over_one": [0.5, 0.5, 1.2, 1.3],
    "sentinel": [0.1, 0.1, -2.88e16, 0.5],
    "zero_area": [0.25, 0.25, 0.25, 0.75],
    "inverted": [0.75, 0.25, 0.25, 0.75],
    "subpixel": [0.5, 0.5, 0.5001, 0.5001],
}
