"""Lists of frames and videos with boxes: AVSBench, IS3, VPO, MUSIC; and AVE, which says when and not where."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from clips import LETTERS
from forms import WINDOWS, Folder

MOUNT = "/mnt/made/datasets"
NOTHING = [0.0, 0.0, 0.0, 0.0]


def write(folder: Folder, random: np.random.RandomState) -> None:
    _avsbench(folder, random)
    _composed(folder, random)
    _music(folder, random)
    _ave(folder, random)


def _video(random: np.random.RandomState) -> str:
    return "".join(random.choice(LETTERS, 11))


def _box(random: np.random.RandomState, most: int) -> list[float]:
    """x1, y1, x2, y2: whole pixels written as floats, the far corner at most `most`."""
    (x1, x2), (y1, y2) = (np.sort(random.choice(most + 1, 2, replace=False)) for _ in range(2))
    return [float(x1), float(y1), float(x2), float(y2)]


def _entries(random: np.random.RandomState, names: Iterable[tuple[str, str]], most: int, empty: set[int]) -> list[Any]:
    """Entries of a box file of images and their audio; those at the places `empty` show nothing that sounds."""
    return [
        {"image": f"{MOUNT}/{image}", "audio": f"{MOUNT}/{audio}", "gt_box": NOTHING if at in empty else box}
        for at, (image, audio) in enumerate(names)
        for box in [_box(random, most)]
    ]


def _avsbench(folder: Folder, random: np.random.RandomState) -> None:
    single = [(_video(random), label) for label in ("helmet", "helmet", "race_sled", "bagpipe")]
    shown, heard = "s4_data/visual_frames/test", "s4_data/audio_wav/test"
    places = [(f"{shown}/{label}/{video}/{video}_{n}.png", f"{heard}/{label}/{video}.wav")
              for video, label in single for n in range(1, 6)]  # fmt: skip
    folder.json("avsbench/s4_box.json.gz", _entries(random, places, 223, {3, 11}))
    several = [f"{_video(random)}_{number}" for number in range(3)]
    places = [(f"ms3_data/visual_frames/{video}/{video}.mp4_{n}.png", f"ms3_data/audio_wav/test/{video}.wav")
              for video in several for n in range(1, 6)]  # fmt: skip
    folder.json("avsbench/ms3_box.json.gz", _entries(random, places, 223, {0, 5, 6, 7}))
    rows = [(f"{video}_{n}", label) for video, label in single for n in range(1, 6)]
    folder.rows("avsbench/avs1_s4_test.csv.gz", rows, WINDOWS)
    labels = ("man", "baby, man", "sled, helmet")
    rows = [(f"{video}_{n}", label) for video, label in zip(several, labels, strict=True) for n in range(1, 6)]
    folder.rows("avsbench/avs1_ms3_test.csv", rows, WINDOWS, closed=False)


def _composed(folder: Folder, random: np.random.RandomState) -> None:
    """IS3: an image under two sounds, the target's name not always that of the object; VPO: one box a sound."""
    names = []
    for at in range(10):
        pair = ("kettle", "fox") if at % 3 else ("babycough", "drum_bass")
        targets = pair[0].removesuffix("cough"), pair[1][:4]
        names += [f"{'_'.join(pair)}_{1000 + 7 * at}_{target}" for target in targets]
    asked = [names[at] for at in random.permutation(len(names))]
    places = [(f"synthetic/visual_frames/{name}.jpg", f"synthetic/audio_wav/{name}.wav") for name in asked]
    folder.json("is3/synthetic3240_bbox.json.gz", _entries(random, places, 224, set()))
    for subset, count, empty in (("ss", 8, set()), ("ms", 9, {2, 5})):
        names = [f"{random.randint(10**6):012d}_{random.randint(10**6)}" for _ in range(count)]
        places = [(f"composed/{subset}/visual_frames/{name}.jpg", f"composed/{subset}/audio_wav/{name}.wav")
                  for name in names]  # fmt: skip
        folder.json(f"kaist/vpo_{subset}_bbox.json.gz", _entries(random, places, 224, empty))


def _music(folder: Folder, random: np.random.RandomState) -> None:
    solo = {name: [_video(random) for _ in range(4)] for name in ("flute", "cello", "erhu")}
    duet = {name: [_video(random) for _ in range(2)] for name in ("flute violin", "cello acoustic_guitar")}
    for kind, videos in (("solo", solo), ("duet", duet)):
        folder.json(f"music/MUSIC_{kind}_videos.json", {"version": 1.0, "videos": videos}, indent=4)
    every = [video for videos in solo.values() for video in videos]
    lists = {"training_1": every[:5], "training_2": every[5:9], "validation": every[9:], "testing": every[10:]}
    for part, videos in lists.items():
        folder.lines(f"music/solo_{part}.txt", [_pair(video) for video in videos])
    both = [video for videos in duet.values() for video in videos]
    folder.lines("music/duet_pairs_train.txt", map(_pair, both[:3]), closed=False)
    folder.lines("music/duet_pairs_val.txt", map(_pair, both[3:]), closed=False)
    folder.json("music/solotest.json.gz", _frames(random, every[10:], [1], {3, 8}))
    folder.json("music/duettest.json.gz", _frames(random, both[2:], [1, 3], {4}))


def _pair(video: str) -> str:
    return f"{video}_0_1000.flac {video}_0_1000.mp4"


def _frames(random: np.random.RandomState, videos: list[str], shown: list[int], empty: set[int]) -> dict[str, Any]:
    """Six frames a video; a box in pixels and as fractions of a frame 640 wide, and the misspelt width."""
    names = [f"{video}_0_1000/frame_{second:03d}/{30 * second + 4:05d}.jpg" for video in videos for second in
             range(11, 77, 11)]  # fmt: skip
    frames = {}
    for at, name in enumerate(names):
        boxes = [] if at in empty else [_instrument(random, category) for category in shown[: 1 + at % 2]]
        frames[name] = {"bbox": boxes, "wdith": 640, "height": 360}
    return frames


def _instrument(random: np.random.RandomState, category: int) -> dict[str, Any]:
    x, y, width, height = (int(random.randint(*span)) for span in ((0, 320), (0, 180), (20, 320), (20, 180)))
    return {"box": [x, y, width, height], "normbox": [x / 640, y / 360, width / 640, height / 360],
            "category_id": category}  # fmt: skip


def _ave(folder: Folder, random: np.random.RandomState) -> None:
    """Ten videos, one of them with events of two categories, one event that lasts no time."""
    videos = [_video(random) for _ in range(10)]
    spans = [(0, 10), (6, 8), (0, 0), (4, 10)]
    rows = [(("Church organ", "Snow plough")[at % 2], video, "good", *spans[at % 4]) for at, video in enumerate(videos)]
    rows.append(("Church organ", videos[1], "good", 2, 5))
    folder.lines("ave/Annotations.txt", ("&".join(map(str, row)) for row in rows))
