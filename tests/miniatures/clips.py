"""VGGSound and what is made of it: clips of invented classes, VGG-SS, its parts, training lists, silent pairs."""

from dataclasses import dataclass

import numpy as np
from forms import UNIX, WINDOWS, Folder

LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
HEARD = ("kettle whistling", "door creaking, squeaking", "snow crunching", "gate slamming", "sleigh gliding, hissing",
         "windmill turning")  # fmt: skip
UNHEARD = ("loom rattling", "bellows blowing, puffing", "pump clanking", "churn splashing", "anvil ringing")
NEITHER, ELSEWHERE = "whole village humming", ("fountain pouring", "mill grinding")
CLASSES = (*HEARD, *UNHEARD, NEITHER, *ELSEWHERE)
TRAIN_OF_CLASS, TEST_OF_CLASS, BOXED_OF_CLASS = 15, 5, 4
UNSET = -2.5e16  # a corner nobody initialised


@dataclass(frozen=True)
class Clip:
    """A ten-second piece of a video."""

    video: str
    start: int
    label: str
    split: str
    number: int  # in its class

    @property
    def key(self) -> str:
        return f"{self.video}_{self.start:06d}"

    @property
    def milliseconds(self) -> str:
        return f"{self.video}_{self.start * 1000}_{self.start * 1000 + 10_000}"


def draw(random: np.random.RandomState) -> list[Clip]:
    """Clips in the order of their ids; every class has one video with two clips, in either split once."""
    clips = []
    for label in CLASSES:
        for number in range(TRAIN_OF_CLASS + TEST_OF_CLASS):
            split = "test" if number < TEST_OF_CLASS else "train"
            start = int(random.choice([0, 30, random.randint(1, 500)]))
            video = "".join(random.choice(LETTERS, 11))
            clips.append(Clip(video, start, label, split, number))
        clips[-1] = Clip(clips[-TRAIN_OF_CLASS].video, clips[-TRAIN_OF_CLASS].start + 11, label, "train", number)
    return sorted(clips, key=lambda clip: clip.key)


def write(folder: Folder, random: np.random.RandomState) -> None:
    clips = draw(random)
    train, test = ([clip for clip in clips if clip.split == split] for split in ("train", "test"))
    boxed = [test[at] for at in random.permutation(len(test))]
    boxed = [clip for clip in boxed if clip.number < BOXED_OF_CLASS and clip.label not in ELSEWHERE]
    _vggsound(folder, clips, test)
    _vggss(folder, random, boxed)
    _parts(folder, boxed)
    _training_lists(folder, train, test, boxed)
    _silent_pairs(folder, boxed)


def _vggsound(folder: Folder, clips: list[Clip], test: list[Clip]) -> None:
    rows = [(clip.video, clip.start, clip.label, clip.split) for clip in clips]
    folder.rows("vggsound/vggsound_rebuilt_82781.csv.gz", rows)
    folder.rows("vggsound/vggsound_test.csv", [(f"{clip.key}.mp4", clip.label) for clip in test], WINDOWS)
    groups = [(label, 50, "tools" if at % 2 else "weather") for at, label in enumerate(CLASSES)]
    folder.rows("vggsound/stat.csv", groups, WINDOWS)
    heard = [(clip.key, "A" if each else "AV", clip.label) for clip in test for each in range(1 + clip.number % 2)]
    header = ("video_id", "label", "modality", "background_music", "static_image", "voice_over")
    told = [(key, label, modality, "False", "False", "True") for key, modality, label in heard]
    folder.rows("vggsounder/vggsounder_plus_background_music.csv.gz", [header, *told])


def _vggss(folder: Folder, random: np.random.RandomState, boxed: list[Clip]) -> None:
    entries = [
        {"file": clip.key, "class": clip.label, "bbox": _boxes(random, number)} for number, clip in enumerate(boxed)
    ]
    folder.json("vggss/vggss.json", entries)
    folder.lines("vggss/vggss_test.csv", [clip.key for clip in boxed], WINDOWS)


def _boxes(random: np.random.RandomState, number: int) -> list[list[float]]:
    """One box, small to huge in turns; a few clips have more, none that is right, the whole image, the same twice."""
    if number == 9:
        return [[0.1, 0.1, UNSET, 0.5]]
    if number == 13:
        return [[0.0, 0.0, 1.0, 1.0]]
    boxes = [_box(random, (number + each) % 4) for each in range(1 + (number % 7 == 3) + 2 * (number % 19 == 11))]
    return boxes + {5: [[0.25, 0.25, UNSET, 0.75]], 17: boxes}.get(number, [])


def _box(random: np.random.RandomState, size: int) -> list[float]:
    low, high = ((15, 40), (60, 130), (145, 200), (230, 320))[size]
    width, height = random.randint(low, high, 2)
    left, top = random.randint(0, 321 - width), random.randint(0, 321 - height)
    return [int(value) / 320 for value in (left, top, left + width, top + height)]


def _parts(folder: Folder, boxed: list[Clip]) -> None:
    """What papers scored of VGG-SS: heard and unheard classes of two of them, clips that could still be had."""
    keys = {part: [clip.key for clip in boxed if clip.label in labels] for part, labels in
            (("heard", HEARD), ("unheard", UNHEARD), ("theirs", CLASSES[3:9]), ("others", CLASSES[:3]))}  # fmt: skip
    folder.lines("vggss/vggss_heard_test.csv", keys["heard"], closed=False)
    folder.lines("vggss/vggss_unheard_test.csv", keys["unheard"], closed=False)
    folder.lines("ssltie/openset_test_110_heard_2425.txt", [f"{key}.jpg" for key in keys["theirs"][2:]])
    folder.lines("ssltie/openset_test_110_unheard_2463.txt", [f"{key}.jpg" for key in keys["others"]])
    folder.lines("ssltie/test_vggss_4911.txt", [f"{clip.key}.jpg" for clip in boxed[3:]])
    folder.lines("sspl/vggss_test_4692.csv", [clip.key for clip in boxed[:40]], WINDOWS)
    folder.lines("heartheflow/vggss_test_trimmed.csv", [clip.key for clip in boxed[1:39]])
    folder.lines("kaist/ours_vggss_4655.txt", [clip.milliseconds for clip in boxed[8:]], closed=False)


def _training_lists(folder: Folder, train: list[Clip], test: list[Clip], boxed: list[Clip]) -> None:
    """The community's lists leak test clips, others leave them out; one lost what has a comma in its label."""
    seen, unboxed = {clip.key for clip in boxed[:30]}, [clip for clip in test if clip not in boxed]
    leaking = sorted([clip.key for clip in train[::2]] + [*seen] + [clip.key for clip in unboxed[:10]])
    folder.lines("vggss/vggss_144k.txt.gz", leaking)
    small = [clip.key for clip in [*train[:60:2], *train[1:17:2], *boxed[:12]]]  # eight of them not above
    folder.lines("vggss/vggss_10k.txt", sorted(small))
    folder.lines("ssltie/train_vggss_train_144k.txt.gz", [clip.key for clip in train])
    folder.lines("ssltie/train_vggss_train_10k.txt.gz", [clip.key for clip in train[::6]])
    labelled = [clip for clip in train if clip.label in HEARD] + [clip for clip in unboxed if clip.label in HEARD]
    rows = [(clip.key, clip.label) for clip in labelled]
    folder.rows("aclssl/vggss_heard_70k_labelled.csv.gz", rows, WINDOWS)
    kept = [clip.key for clip in labelled if clip.split == "train" and "," not in clip.label]
    folder.lines("vggss/vggss_heard.txt.gz", kept, UNIX, closed=False)
    theirs = [clip.key for clip in train if clip.label in CLASSES[3:9]]
    both = [clip.key for clip in boxed if clip.label in CLASSES[3:9]][2:20]
    folder.lines("ssltie/openset_train_110_70k.txt.gz", theirs + both)


def _silent_pairs(folder: Folder, boxed: list[Clip]) -> None:
    """A negative pair for every clip: itself where it is silent, another of its class, one of another class."""
    rows = [(clip.key, _foreign(clip, number, boxed).key, "non-sounding") for number, clip in enumerate(boxed)]
    folder.rows("extended/vggss_test_plus_silent.csv", [("video", "audio", "label"), *rows], WINDOWS, closed=False)


def _foreign(clip: Clip, number: int, boxed: list[Clip]) -> Clip:
    if number < 4:
        return clip
    alike = number < 16
    return next(each for each in boxed[number + 1 :] + boxed if (each.label == clip.label) == alike and each != clip)
