"""One key: whatever ingest calls a clip, every list, label list, annotation, split and pair that names it finds."""

import csv
import io
import json
import re
import shutil
import string
import unicodedata
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from manifests.annotations import Annotation, TestSet
from manifests.files.suffixes import AUDIO_SUFFIXES, EVERY_SUFFIX, IMAGE_SUFFIXES, MEDIA_SUFFIXES
from manifests.keys import file_clip
from manifests.readers.annotation_table import read_table, write_table
from manifests.readers.extended import read_extended
from manifests.readers.label_lists import read_labels
from manifests.readers.vggss import read_vggss
from manifests.splits import read_ids
from pipeline.sources.labels import find_labels
from pipeline.sources.listing import list_sources
from training.data.evaluation_pairs import read_pairs
from training.evaluation.raw_maps import match_names
from training.reference_sounds import read_references

CASES = Path(__file__).resolve().parents[3].parent / "shared" / "cases"
letters = st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\\x85\u2028\u2029")
plain = st.text(string.ascii_letters + string.digits + " _-.,'#%+&[", min_size=1, max_size=16)
vggsound = st.builds(
    "{}_{}".format, st.text(string.ascii_letters + "_-", min_size=11, max_size=11), st.integers(0, 999)
)
stems = st.one_of(st.text(letters, min_size=1, max_size=12), plain, vggsound)
folders = st.sampled_from(["", "videos/", "train/dog barking/", "./a.b/", "/data/my clips/"])
settled = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


ESCAPE = re.compile("%[0-9A-F]{2}")


def usable(stem: str) -> bool:
    """Not a name whose end looks like a suffix, or that is a key with its escapes, or blank or not seen at an end."""
    looks_like_a_file = PurePosixPath(f"x{stem}").suffix.lower() in EVERY_SUFFIX
    is_seen = "Cf" not in map(unicodedata.category, stem[:1] + stem[-1:])
    return (
        is_seen and not looks_like_a_file and stem == stem.strip() and stem.strip(".") != "" and not ESCAPE.search(stem)
    )


def key_of_ingest(folder: Path, *names: str) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        for name in names:
            (folder / name).write_bytes(b"x")
    except (OSError, UnicodeEncodeError):
        assume(False)
    (clip,) = list_sources([folder]).clips
    return clip.key


def everything_that_names(folder: Path, name: str) -> dict[str, str]:
    """The key each kind of file gives for a clip it calls `name`."""

    def written(file: str, *rows: list[str]) -> Path:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        (folder / file).write_text(text.getvalue(), "utf-8")
        return folder / file

    (folder / "boxes.json").write_text(json.dumps([{"file": name, "class": "x", "bbox": []}]))
    (folder / "names.json").write_text(json.dumps([name]))
    truth = TestSet("t", (Annotation(name, None, ()),), "t", "0")
    write_table(truth, folder / "truth.parquet")
    pair = written("silent.csv", ["video", "audio", "label"], [name, name, "non-sounding"])
    (video, audio), *_ = read_pairs(written("p.csv", ["name", "video", "audio"], ["n", name, name])).values()
    (label,) = read_labels(written("labels.csv", ["file", "label"], [name, "dog"])).rows
    found = {
        "list": read_ids(written("list.csv", ["file"], [name])).ids[0],
        "json list": read_ids(folder / "names.json").ids[0],
        "label list": label,
        "vggss": read_vggss(folder / "boxes.json").keys[0],
        "table": read_table(folder / "truth.parquet").keys[0],
        "references": read_references(written("r.csv", ["category", "clip"], ["x", name])).clips[0],
        "negative": read_extended(pair, truth).negatives[0].video,
        "pairs": video,
        "pairs, sound": audio,
    }
    if "+" not in name:
        read = read_extended(pair, truth)
        names = match_names([video, f"{name}+{name}"], replace(truth, annotations=(Annotation(video, None, ()),)), read)
        found["pair"] = max(names, key=len).partition("+")[0]
    return found


@settled
@given(stems, st.sampled_from(sorted(MEDIA_SUFFIXES)), folders, st.booleans())
def test_a_video_is_found_by_every_file_that_names_it(tmp_path, stem, suffix, folder, upper) -> None:
    assume(usable(stem))
    name = stem + (suffix.upper() if upper else suffix)
    key = key_of_ingest(tmp_path / "src", name)
    for spelling in (name, stem, folder + name, folder + stem):
        found = everything_that_names(tmp_path, spelling)
        assert set(found.values()) == {key}, (spelling, found)


@settled
@given(
    stems,
    st.sampled_from(sorted(IMAGE_SUFFIXES)),
    st.sampled_from([*sorted(AUDIO_SUFFIXES), ".mp4.mp3", ".mkv.wav"]),
    folders,
)
def test_an_image_and_its_sound_are_found_by_either_name(tmp_path, stem, image, audio, folder) -> None:
    assume(usable(stem))
    key = key_of_ingest(tmp_path / "src", stem + image, stem + audio)
    for spelling in (stem + image, folder + stem + audio, stem, f"{stem}.mp4"):
        found = everything_that_names(tmp_path, spelling)
        assert set(found.values()) == {key}, (spelling, found)


@settled
@given(st.lists(stems.filter(usable), min_size=1, max_size=4, unique_by=lambda stem: file_clip(f"{stem}.mp4").key))
def test_plain_lines_with_any_letters_are_whole_names(tmp_path, names) -> None:
    """A list of file names as `ls` writes it: spaces, commas, brackets and ampersands belong to the names."""
    assume(not any('"' in name or name.startswith(("#", "[", "{")) for name in names))
    (tmp_path / "list.txt").write_text("".join(f"{name}.mp4\n" for name in ["plain clip", *names]), "utf-8")
    expected = dict.fromkeys(["plain clip", *(file_clip(f"{name}.mp4").key for name in names)])
    assert read_ids(tmp_path / "list.txt").ids == tuple(expected)


@pytest.mark.parametrize("file", ["\xadclip.mp4", "clip\u200b.mp4", "\ufeff\u2060.mov"])
def test_a_file_whose_name_has_letters_that_are_not_seen_is_found_with_its_suffix(tmp_path: Path, file: str) -> None:
    (tmp_path / "list.txt").write_text(f"plain clip.mp4\n{file}\n", "utf-8")
    assert read_ids(tmp_path / "list.txt").ids[1] == key_of_ingest(tmp_path / "src", file)


@pytest.mark.parametrize(("file", "key"), [("my.video.mp4", "my%2Evideo"), ("holiday.mov", "holiday")])
def test_stored_keys_stay_as_they_are(tmp_path: Path, file: str, key: str) -> None:
    assert key_of_ingest(tmp_path / "src", file) == key


HAD = [  # names that people's files have
    "café übung", "a%20b", "100%", "a%2Fb", "a+b", "a#b", "#1", "emoji 😀🎻", "👩‍👩‍👧", "two..dots", "v1.2.3", "-dash",
    "--x", "a  b", "tail ", "a'b", 'a"b', "a&b", "[a]", "{a}", "~a", "$HOME", "日本語", "한국어", "ﬁne", "İx", "ß",
    "001", "1e5", "NaN", "null", "true", "a__b", "__", "file", "label", "x.mp4", "x.tar", "http:a", "a\u00a0b", "train",
]  # fmt: skip


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_that_people_have_are_found_in_every_file_of_labels(tmp_path: Path, form: str) -> None:
    """The files in one form of Unicode, the list in the other."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    for name in HAD:
        (tmp_path / f"{unicodedata.normalize(form, name)}.mp4").write_bytes(b"x")
    rows = [(f"{unicodedata.normalize(other, name)}.mp4", f"class {number}") for number, name in enumerate(HAD)]
    table = io.StringIO()
    csv.writer(table).writerows([("file_name", "label"), *rows])
    lists = {
        "metadata.csv": table.getvalue(),
        "metadata.jsonl": "\n".join(json.dumps({"file_name": file, "label": label}) for file, label in rows),
        "mine.csv": "\n".join(table.getvalue().splitlines()[1:]),
        "mine.json": json.dumps(dict(rows)),
    }
    for file, text in lists.items():
        place = (tmp_path if file.startswith("metadata") else tmp_path.parent) / file
        place.write_text(text, "utf-8", newline="")
        listing = list_sources([tmp_path])
        found = find_labels(() if place.parent == tmp_path else (place,), listing).join(listing.clips)
        named = {unicodedata.normalize("NFC", clip.path.removesuffix(".mp4")): clip.label for clip in found}
        assert named == {unicodedata.normalize("NFC", name): f"class {number}" for number, name in enumerate(HAD)}
        place.unlink()


def test_a_decomposed_file_finds_its_composed_label() -> None:
    if not (CASES / "nfd_name").is_dir():
        pytest.skip("the case nfd_name is not in ../shared/cases")
    listing = list_sources([CASES / "nfd_name" / "src"])
    labels = find_labels((CASES / "nfd_name" / "N_labels.csv",), listing)
    assert [(clip.label, clip.split) for clip in labels.join(listing.clips)] == [("dog", "test"), ("cat", "test")]


def test_the_list_with_spaces_finds_its_truth() -> None:
    if not (CASES / "clip_list_spaces").is_dir():
        pytest.skip("the case clip_list_spaces is not in ../shared/cases")
    wanted = read_ids(CASES / "clip_list_spaces" / "N_part.txt").ids
    assert wanted == ("plain clip 00", "plain clip 01", "plain clip 02")
    assert set(wanted) < set(read_table(CASES / "clip_list_spaces" / "N_truth.parquet").keys)
