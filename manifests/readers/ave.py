"""AVE: which seconds of a clip an event is seen and heard in. There are no boxes; it serves retrieval and images.

`Annotations.txt` has (video, category) pairs: 4,143 rows of 4,097 videos in the released file, one with an empty span
(line 27). `manifests.clip_lists.ave_rows` says what a row is.

The released split orders are read as the rows that they number (`manifests.clip_lists.ave_orders`). Other HDF5 is
refused with the one line that turns it into rows of this very format, which every reader of lists takes.
"""

from pathlib import Path

from manifests.annotations import Annotation, TestSet, make_test_set
from manifests.clip_lists.ave_orders import text_of
from manifests.clip_lists.ave_rows import events_of
from manifests.files.content import read_content
from manifests.splits import IdList
from manifests.test_sets import RETRIEVAL, Format, Truth


def read_ave_videos(path: Path | str) -> TestSet:
    """The videos of `Annotations.txt` without boxes, labelled with the category of their first row."""
    content = read_content(path)
    labels: dict[str, str] = {}
    for event in events_of(text_of(content), content.path):
        labels.setdefault(event.video, event.category)
    return make_test_set("ave", (Annotation.named(video, label, ()) for video, label in labels.items()), content)


def _truth(path: Path, _wanted: IdList | None) -> Truth:
    return Truth("ave", read_ave_videos(path), tasks=frozenset({RETRIEVAL}))


FORMATS = {"ave": Format("AVE: Annotations.txt, videos without boxes", _truth)}
