"""Label lists beside the videos: which are used, and how they meet the clips."""

from pathlib import Path

import pytest
from source_trees import files

from manifests.errors import InputError
from pipeline.sources.labels import find_labels
from pipeline.sources.listing import list_sources

# --- labels beside the videos ----------------------------------------------------------------------------------------


def test_the_official_list_is_used_alone_and_said(tmp_path: Path) -> None:
    files(tmp_path, "AbCdEfGh_-1_000030.mp4", "AbCdEfGh_-1_000040.mp4")
    (tmp_path / "vggsound.csv").write_text("AbCdEfGh_-1,30,elk bugling,train\n-ZyXwVuTs09,0,marching,test\n")
    (tmp_path / "other.csv").write_text("AbCdEfGh_-1_000030.mp4,wrong\n")
    listing = list_sources([tmp_path])
    labels = find_labels((), listing)
    assert [(clip.label, clip.split) for clip in labels.join(listing.clips)] == [("elk bugling", "train"), (None, None)]
    first, second = labels.describe(listing.clips)
    assert "vggsound.csv" in first
    assert "names 1 of these clips; 1 it lists are absent, such as -ZyXwVuTs09_000000" in first
    assert "other.csv is not used" in second


def test_other_lists_are_used_when_they_fit(tmp_path: Path) -> None:
    files(tmp_path, "AVE/RUhOCu3LNXM.mp4")
    (tmp_path / "Annotations.txt").write_text("Church bell&RUhOCu3LNXM&good&0&10\n")
    (tmp_path / "stat.csv").write_text("Church bell,1050,home\n")
    (tmp_path / "absent.csv").write_text("AbCdEfGh_-1_000030.mp4,elk\n")
    listing = list_sources([tmp_path])
    labels = find_labels((), listing)
    assert [clip.label for clip in labels.join(listing.clips)] == ["Church bell"]
    assert {path.name for path, _ in labels.unused} == {"stat.csv", "absent.csv"}


@pytest.mark.parametrize(
    "rows", ["a.mp4,dog,train\nb.mp4,cat,test\nb.mp4,cat,train", "file,label,class\na.mp4,poodle,dog\nb.mp4,beagle,dog"]
)
def test_a_list_that_says_two_things_of_a_clip_is_never_left_out_in_silence(tmp_path: Path, rows: str) -> None:
    """Its splits would be lost with it, and test clips trained on. Another list may be named in its place."""
    files(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "meta.csv").write_text(rows)
    (tmp_path / "mine.txt").write_text("a.mp4,dog\nb.mp4,cat\n")
    listing = list_sources([tmp_path])
    with pytest.raises(InputError, match=r"meta\.csv has .* Or name the list that counts with --meta"):
        find_labels((), listing)
    named = find_labels((tmp_path / "mine.txt",), listing)
    assert [clip.label for clip in named.join(listing.clips)] == ["dog", "cat"]


def test_the_two_names_of_a_video_of_music_are_one(tmp_path: Path) -> None:
    files(tmp_path, "solo/flute/jW_AuF6dQYY_0_1000.mp4", "solo/flute/-ZyXwVuTs09.mp4")
    (tmp_path / "MUSIC_solo_videos.json").write_text(
        '{"videos": {"flute": ["jW_AuF6dQYY", "-ZyXwVuTs09"], "tuba": ["AbCdEfGh_-1"]}, "version": 1.0}'
    )
    listing = list_sources([tmp_path])
    labels = find_labels((), listing)
    assert [clip.label for clip in labels.join(listing.clips)] == ["flute", "flute"]
    (line,) = labels.describe(listing.clips)
    assert "names 2 of these clips; 1 it lists are absent, such as AbCdEfGh_-1" in line


def test_a_list_overrules_folders_and_many_clips_share_a_row(tmp_path: Path) -> None:
    files(tmp_path, "train/elk_bugling/AbCdEfGh_-1_30_40.mp4", "copy/AbCdEfGh_-1_000030.mp4", "train/elk/z.mp4")
    meta = tmp_path / "mine.csv"
    meta.write_text("AbCdEfGh_-1,30,elk bugling,test\n")
    listing = list_sources([tmp_path])
    joined = find_labels((meta,), listing).join(listing.clips)
    assert sorted((clip.label, clip.split) for clip in joined) == [
        ("elk", "train"),
        ("elk bugling", "test"),
        ("elk bugling", "test"),
    ]
