"""Flickr-SoundNet: photo numbers in every spelling of the released lists, and annotations by several people."""

import numpy as np
from forms import WINDOWS, Folder

TEST, ANNOTATED = 20, 6
XML = "<annotation>\n{people}\n</annotation>\n"
PERSON = "\t<annotator>\n\t\t<name>{name}</name>\n{boxes}\n\t</annotator>"
BOX = "\t\t<bbox><class>sound</class><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bbox>"


def write(folder: Folder, random: np.random.RandomState) -> None:
    photos = [str(number) for number in np.unique(random.randint(10**9, 2**31 - 1, 400))]
    test, rest = photos[:TEST], photos[TEST:]
    folder.rows("flickr/flickr_test_250.csv", _counted(test), WINDOWS, closed=False)
    folder.rows("flickr/flickr_test_249.csv", _counted(test[:-1]), WINDOWS)
    folder.lines("ssltie/test_flickr_250.txt", [f"{photo}.jpg" for photo in test[:-1]])
    folder.lines("flickr/ardasnck_test_list.txt", [f"{photo}.png" for photo in [*test[1:], rest[0]]])
    twice = [f"/hdd/Annotations/dataset/{photo}.mp4" for photo in [*test, *test[:3]]]
    folder.lines("flickr/ardasnck_supervised_test_list.txt", twice, closed=False)
    _training_lists(folder, test, rest)
    folder.lines("heartheflow/flickr_test_expanded.csv", [*rest[20:50], *test[:13]])
    pairs = [(photo, other, "non-sounding") for photo, other in zip(test, rest, strict=False)]
    folder.rows("extended/flickr_test_plus_silent.csv", [("video", "audio", "label"), *pairs], WINDOWS, closed=False)
    for photo in test[:ANNOTATED]:
        folder.text(f"flickr/Annotations/{photo}.xml", _annotated(random))


def _counted(photos: list[str]) -> list[tuple[str, int]]:
    return [(photo, 37 * at % 300) for at, photo in enumerate(photos)]


def _training_lists(folder: Folder, test: list[str], rest: list[str]) -> None:
    folder.lines("flickr/flickr_10k.txt", [*rest[:60], test[5]], closed=False)
    folder.lines("flickr/flickr_144k.txt.gz", [*rest[:150], *test[4:8]], closed=False)
    folder.lines("flickr/flickr_sup_train_4750.txt", rest[150:190], closed=False)
    folder.lines("flickr/ardasnck_Flickr_train_144k.txt.gz", [f"{photo}.wav" for photo in rest[139:260]], closed=False)
    clips = [f"videos/{photo[-1]}/{photo[-2]}/{photo[-3]}/{photo}.mp4" for photo in [*rest[::4], *test[:2]]]
    folder.lines("ssltie/train_flickr_10k.txt.gz", clips, closed=False)


def _annotated(random: np.random.RandomState) -> str:
    """Three people, the second of whom draws two boxes now and then."""
    people = []
    for person in range(3):
        corners = np.sort(random.randint(0, 257, (1 + (person == 1) * random.randint(0, 2), 2, 2)), axis=1)
        boxes = "\n".join(BOX.format(*each.ravel()) for each in corners)
        people.append(PERSON.format(name=f"person {person + 1}", boxes=boxes))
    return XML.format(people="\n".join(people))
