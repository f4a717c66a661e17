"""AVE's events."""

import pytest

from manifests.clip_lists.ave_rows import events_of
from manifests.clip_lists.layouts import read_clip_list
from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.readers.ave import read_ave_videos

AVE = {"made": (11, 10, 2, 2), "released": (4143, 4097, 28, 26)}  # events, videos, categories, where one is empty


def test_ave(lists, source):
    path = lists / "ave" / "Annotations.txt"
    events = events_of(path.read_text(), path)
    every, videos, categories, empty = AVE[source]
    assert len(events) == every
    assert len({event.video for event in events}) == videos
    assert len({event.category for event in events}) == categories
    assert (events[empty].start, events[empty].end) == (0, 0)


HEADER, DOG = "Category&VideoID&Quality&StartTime&EndTime", "Dog&abcdefghij0&good&1&5"


def read_list(path):
    return read_clip_list(read_content(path))


@pytest.mark.parametrize("read", [read_ave_videos, read_list])
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((DOG, "Dog&abc"), "line 2"),
        ((HEADER, DOG, "Cat&abcdefghij1&good&1.5&10"), "line 3"),  # no row is left out: its clip would be trained on
        (("Cat&abcdefghij1&good&1.5&10", DOG), "line 1"),
        ((DOG, HEADER), "line 2"),
        ((HEADER,), "no event"),
    ],
)
def test_what_is_no_row_is_refused_by_lists_and_by_truth(read, lines, said, tmp_path):
    (path := tmp_path / "a.txt").write_text("\n".join(lines))
    with pytest.raises(InputError, match=said):
        read(path)


def test_a_header_is_none(tmp_path):
    (path := tmp_path / "a.txt").write_text(f"{HEADER}\n{DOG}\n")
    assert [annotation.label for annotation in read_ave_videos(path).annotations] == ["Dog"]
    assert [row.label for row in read_list(path).rows] == ["Dog"]


def test_a_category_may_hold_commas_and_the_mark_between_columns(tmp_path):
    """A composed corpus calls its classes as the folders of its images are called."""
    (path := tmp_path / "a.txt").write_text("Violin, fiddle&abcdefghij0&good&0&10\nrock & roll&abcdefghij1&good&0&10\n")
    rows = [("abcdefghij0", "Violin, fiddle"), ("abcdefghij1", "rock & roll")]
    assert [(row.key, row.label) for row in read_list(path).rows] == rows
    assert [(each.key, each.label) for each in read_ave_videos(path).annotations] == rows
