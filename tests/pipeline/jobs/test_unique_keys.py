"""Keys become unique, and shards are cut by them."""

from pathlib import Path

import pytest
from source_trees import files, tar

from manifests.errors import InputError
from manifests.keys import clip_key
from manifests.namesakes import clips_named
from pipeline.jobs.plan import cut_shards
from pipeline.jobs.unique_keys import unique_keys
from pipeline.sources.listing import list_sources

# --- keys become unique ----------------------------------------------------------------------------------------------


def test_two_namings_of_one_clip_keep_the_larger_file(tmp_path: Path) -> None:
    files(tmp_path, "3qesirWAGt4_20000_30000.mp4", content=b"1234")
    files(tmp_path, "new/3qesirWAGt4_000020.mp4", content=b"")
    clips, refusals = unique_keys(list_sources([tmp_path]).clips)
    assert [(clip.key, clip.path) for clip in clips] == [("3qesirWAGt4_000020", "3qesirWAGt4_20000_30000.mp4")]
    assert [(item.path, item.reason) for item in refusals] == [("new/3qesirWAGt4_000020.mp4", "duplicate")]


def test_a_label_told_by_the_folders_of_a_double_stays(tmp_path: Path) -> None:
    files(tmp_path, "video/AbCdEfGh_-1_30000_40000.mp4", content=b"1234")
    files(tmp_path, "train/elk bugling/vAbCdEfGh_-1_30_40_out.mkv")
    (clip,), _ = unique_keys(list_sources([tmp_path]).clips)
    assert (clip.path, clip.label, clip.split) == ("video/AbCdEfGh_-1_30000_40000.mp4", "elk bugling", "train")


def test_equal_names_in_several_folders_are_different_clips(tmp_path: Path) -> None:
    files(tmp_path, "dog/001.mp4", "cat/001.mp4", "001.mp4", "cat/002.mp4", "cat/002.avi")
    clips, refusals = unique_keys(list_sources([tmp_path]).clips)
    assert [clip.key for clip in clips] == ["001", "002", "cat__001", "dog__001"]
    assert [item.path for item in refusals] == ["cat/002.mp4"]


def test_folders_before_a_name_do_not_make_it_another_clip_s(tmp_path: Path) -> None:
    """`recordings__001` would be second 1 of the video `recordings_`, for every list."""
    files(tmp_path, "recordings/001.mp4", "interviews/1_11.mp4", "dog/001.mp4", "dog/1_11.mp4")
    keys = [clip.key for clip in unique_keys(list_sources([tmp_path]).clips)[0]]
    assert keys == ["dog__001", "dog__1_11", "src0__interviews__1_11", "src0__recordings__001"]
    assert [clip_key(key) for key in keys] == keys
    named = clips_named(["recordings/001.mp4", "interviews/1_11.mp4"], "a list").among(keys)
    assert list(named.values()) == ["src0__recordings__001", "src0__interviews__1_11"]


def test_names_that_differ_by_space_around_them_are_namesakes(tmp_path: Path) -> None:
    files(tmp_path, "a/lead.mp4", "b/ lead.mp4", "trail.mp4", "trail .avi", " alone .mp4")
    clips, refusals = unique_keys(list_sources([tmp_path]).clips)
    assert [clip.key for clip in clips] == ["a__lead", "alone", "b__lead", "trail"]
    assert [(item.path, item.reason) for item in refusals] == [("trail.mp4", "duplicate")]


@pytest.mark.parametrize(
    ("second", "said"), [("a", "are one folder"), ("link", "are one folder"), ("a/in", "lie one in the other")]
)
def test_a_folder_is_a_source_once(tmp_path: Path, second: str, said: str) -> None:
    files(tmp_path, "a/in/x.mp4", "ab/y.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert len(list_sources([tmp_path / "a", tmp_path / "ab"]).clips) == 2
    with pytest.raises(InputError, match=f"/a and .*/{second} {said}"):
        list_sources([tmp_path / "a", tmp_path / second])


def test_shards_are_cut_by_key_and_compressed_archives_stay_whole_and_in_order(tmp_path: Path) -> None:
    files(tmp_path, *(f"{number}.mp4" for number in (3, 1, 2)))
    tar(tmp_path / "z.tar.gz", ("9.mp4", b"x"), ("0.mp4", b"x"), ("5.mp4", b"x"), mode="w:gz")
    shards = cut_shards(list_sources([tmp_path]).clips, 2)
    assert [[clip.key for clip in clips] for clips in shards] == [["1", "2"], ["3"], ["9", "0"], ["5"]]
