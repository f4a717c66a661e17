"""Which clip a list means when several have its name: folders tell them apart, and a list speaks of its own folder."""

import json
from pathlib import Path

import pytest
from source_trees import files, tar

from manifests.readers.label_lists import read_labels
from pipeline.ingest import announce
from pipeline.jobs.unique_keys import unique_keys
from pipeline.sources.labels import find_labels
from pipeline.sources.listing import list_sources


def labelled(source: Path, *meta: Path) -> dict[str, tuple[str | None, str | None]]:
    """Label and split by the key that ingest gives."""
    listing = list_sources([source])
    joined, _ = unique_keys(find_labels(meta, listing).join(listing.clips))
    return {clip.key: (clip.label, clip.split) for clip in joined}


NAMESAKES = ("dog/001.mp4", "cat/001.mp4", "cat/002.mp4")


@pytest.mark.parametrize(
    "prefix", ["", "./", "/data/videos/", "videos/", "..\\videos\\"], ids=["plain", "dot", "whole", "deeper", "windows"]
)
def test_lists_tell_clips_of_one_name_apart_by_folders(tmp_path: Path, prefix: str) -> None:
    files(tmp_path / "videos", *NAMESAKES)
    meta = tmp_path / "mine.csv"
    meta.write_text("file,label\n" + "".join(f"{prefix}{name},{name[:3]}\n" for name in NAMESAKES))
    expected = {"cat__001": ("cat", None), "dog__001": ("dog", None), "002": ("cat", None)}
    assert labelled(tmp_path / "videos", meta) == expected
    assert read_labels(meta).conflicting == 0


def test_a_row_of_another_folder_is_not_taken_for_a_namesake(tmp_path: Path) -> None:
    files(tmp_path / "v", *NAMESAKES)
    meta = tmp_path / "mine.csv"
    meta.write_text("file,label\ndog/001.mp4,dog\nelsewhere/002.mp4,cow\n")
    assert labelled(tmp_path / "v", meta) == {
        "cat__001": (None, None),  # the list names the dog's
        "dog__001": ("dog", None),
        "002": ("cow", None),  # only one clip is called so, wherever the list saw it
    }
    meta.write_text("file,label\ndog/001.mp4,dog\ncat/001.mp4,cat\n")
    files(tmp_path / "w", "cow/001.mp4")
    assert labelled(tmp_path / "w", meta) == {"001": (None, None)}, "either of two rows could be meant"
    assert labelled(tmp_path / "v" / "dog", meta) == {"001": ("dog", None)}, "the source is the folder that is named"


def test_lists_tell_members_of_archives_apart(tmp_path: Path) -> None:
    tar(tmp_path / "src" / "part.tar", ("dog/001.mp4", b"x"), ("cat/001.mp4", b"y"))
    (tmp_path / "src" / "labels.csv").write_text("file,label\ndog/001.mp4,dog\ncat/001.mp4,cat\n")
    assert sorted(labelled(tmp_path / "src").values()) == [("cat", None), ("dog", None)]


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_metadata_of_hugging_face_speaks_of_its_own_folder(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(folder: str, rows: dict[str, object]) -> None:
        if name.endswith("csv"):
            text = "file_name,label\n" + "".join(f"{file},{label}\n" for file, label in rows.items())
        else:
            text = "".join(json.dumps({"file_name": file, "label": label}) + "\n" for file, label in rows.items())
        (tmp_path / folder / name).write_text(text)

    files(tmp_path, "data/train/0001.mp4", "data/train/more/0002.mp4", "data/test/0001.mp4", "other/0002.mp4")
    write("data/train", {"0001.mp4": "dog", "more/0002.mp4": 7})
    write("data/test", {"0001.mp4": "cat"})
    assert labelled(tmp_path) == {
        "data__train__0001": ("dog", "train"),
        "data__train__more__0002": ("7", "train"),
        "src0__data__test__0001": ("cat", "test"),  # `data__test__0001` would be second 1 of a video
        "other__0002": (None, None),
    }
    listing = list_sources([tmp_path])
    announce(listing, find_labels((), listing))
    shown = capsys.readouterr().out
    assert f"data/train/{name} " in shown
    assert "names 2 of these clips" in shown
    assert "left alone" not in shown


def test_metadata_at_the_top_names_files_in_folders(tmp_path: Path) -> None:
    files(tmp_path, "a/001.mp4", "b/001.mp4")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a/001.mp4", "label": "dog"}\n{"file_name": "b/001.mp4", "label": "cat", "split": "test"}\n'
    )
    assert labelled(tmp_path) == {"a__001": ("dog", None), "b__001": ("cat", "test")}
