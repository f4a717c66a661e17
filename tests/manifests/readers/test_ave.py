"""AVE's events."""

import pytest

from manifests.errors import InputError
from manifests.readers.ave import read_ave

AVE = {"made": (11, 10, 2, 2), "released": (4143, 4097, 28, 26)}  # events, videos, categories, where one is empty


def test_ave(lists, source):
    events = read_ave(lists / "ave" / "Annotations.txt")
    every, videos, categories, empty = AVE[source]
    assert len(events) == every
    assert len({event.video for event in events}) == videos
    assert len({event.category for event in events}) == categories
    assert (events[empty].start, events[empty].end) == (0, 0)


def test_ave_errors(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Category&VideoID&Quality&StartTime&EndTime\nDog&abcdefghij0&good&1&5\n")
    assert [event.category for event in read_ave(path)] == ["Dog"]
    path.write_text("Dog&abcdefghij0&good&1&5\nDog&abc\n")
    with pytest.raises(InputError, match="line 2"):
        read_ave(path)
    path.write_text("nothing")
    with pytest.raises(InputError, match="no event"):
        read_ave(path)
