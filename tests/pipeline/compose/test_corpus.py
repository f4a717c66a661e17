"""The composed corpus as files: deterministic, read by every reader, of the kinds and shares asked for."""

import csv
import errno
import hashlib
import json
import os
import shutil
import struct
import tempfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from material import RATE, write_background, write_cut_out, write_material, write_tone
from PIL import Image

from manifests.errors import InputError, WorkFailed
from manifests.masks import load_mask
from manifests.pixels import SIZE, box_votes, disc_map
from manifests.truth import read_truth
from pipeline.compose.corpus import MaterialFolders, write_composed
from pipeline.compose.settings import Settings
from pipeline.ingest import IngestRequest, run_ingest
from pipeline.shards.store import ShardStore
from training.score_file import score_file

Rows = dict[str, list[dict]]
READABLE = (
    ("vggss", "vggss.json"),
    ("flickr", "flickr/Annotations"),
    ("avsbench", "avsbench/s4_data"),
    ("avsbench", "avsbench/ms3_data"),
    ("avsbench_s4", "avsbench/s4_box.json"),
    ("avsbench_ms3", "avsbench/ms3_box.json"),
    ("is3", "is3/synthetic_bbox.json"),
    ("vpo", "vpo/vpo_ss_bbox.json"),
    ("vpo", "vpo/vpo_ms_bbox.json"),
    ("ave", "ave/Annotations.txt"),
    ("parquet", "table/boxes.parquet"),
)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def truth(corpus: Path) -> Rows:
    found: Rows = defaultdict(list)
    for row in pq.read_table(corpus / "truth.parquet").to_pylist():
        found[row["key"]].append(row)
    return found


@pytest.fixture(scope="module")
def described(corpus: Path) -> dict:
    return json.loads((corpus / "corpus.json").read_text())


def test_same_bytes_whatever_the_workers_and_what_was_there(
    corpus: Path, material: MaterialFolders, settings: Settings, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(corpus, again)
    (again / "corpus.json").unlink()
    frame, audio = (sorted((again / kind).iterdir())[3] for kind in ("frames", "audio"))
    frame.write_bytes(frame.read_bytes()[:100])
    audio.unlink()
    shutil.rmtree(again / "objects")
    write_composed(again, material, settings, workers=1)
    assert digests(again) == digests(corpus)


def test_a_finished_corpus_is_left_alone_and_another_refused(
    corpus: Path, material: MaterialFolders, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_composed(corpus, material, settings, workers=1)["clips"] == settings.clips
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(InputError, match="other options"):
        write_composed(corpus, material, replace(settings, seed=4), workers=1)


def test_other_material_is_another_corpus(corpus: Path, settings: Settings, tmp_path: Path) -> None:
    write_material(tmp_path, files=5)
    with pytest.raises(InputError, match="other options"):
        write_composed(corpus, MaterialFolders(tmp_path, tmp_path), settings, workers=1)


@pytest.mark.parametrize(("format", "name"), READABLE)
def test_every_format_is_read(corpus: Path, format: str, name: str) -> None:
    assert read_truth(corpus / name, format).test_set.keys


def test_negatives_are_read(corpus: Path, truth: Rows) -> None:
    read_truth(corpus / "vggss.json", "extended", negatives=corpus / "vggss_test_plus_silent.csv")
    rows = list(csv.DictReader((corpus / "vggss_test_plus_silent.csv").read_text().splitlines()))
    assert rows
    for row in rows:
        seen = {each["object_label"] for each in truth[row["video"]] if each["on_screen"]}
        heard = {each["object_label"] for each in truth[row["audio"]] if each["sounding"]}
        same_class = truth[row["video"]][0]["label"] == truth[row["audio"]][0]["label"]
        assert same_class or not seen & heard


@pytest.mark.usefixtures("here")
def test_all_clips_are_ingested(corpus: Path, truth: Rows, tmp_path: Path) -> None:
    run_ingest(IngestRequest((corpus,), tmp_path / "shards", workers=1))
    store = ShardStore.open(tmp_path / "shards")
    assert set(store.keys) == set(truth)
    assert pq.read_metadata(tmp_path / "shards" / "rejects.parquet").num_rows == 0
    for row in pq.read_table(tmp_path / "shards" / "manifest.parquet").to_pylist():
        first = truth[row["key"]][0]
        assert (row["label"], row["split"]) == (first["label"], first["split"])
        assert (row["width"], row["height"]) == (first["width"], first["height"])


def test_kinds_are_there_and_mean_what_they_say(truth: Rows, described: dict) -> None:
    kinds = Counter(rows[0]["kind"] for rows in truth.values())
    assert set(kinds) == {"ordinary", "off_screen", "silent"}
    assert described["off-screen classes"] == ["rain"]
    heard_only = 0
    for rows in truth.values():
        sounding = [row for row in rows if row["sounding"]]
        match rows[0]["kind"]:
            case "silent":
                assert not sounding
                assert any(row["on_screen"] for row in rows)
            case "off_screen":
                assert not any(row["on_screen"] for row in sounding)
                assert sounding[0]["object_label"] not in {row["object_label"] for row in rows if row["on_screen"]}
                heard_only += sounding[0]["object_label"] == "rain"
            case _:
                assert all(row["on_screen"] for row in sounding)
                quiet = {row["object_label"] for row in rows if not row["sounding"]}
                assert not quiet & {row["object_label"] for row in sounding}
    assert heard_only
    assert any(sum(row["sounding"] for row in rows) > 1 for rows in truth.values())
    assert any(any(not row["sounding"] and row["kind"] == "ordinary" for row in rows) for rows in truth.values())


def test_what_is_heard_is_the_class(corpus: Path, truth: Rows) -> None:
    """Tones of a class lie between 300 and 1200 Hz by its number; the loudest tone of a clip is its label's."""
    import wave

    for key, rows in truth.items():
        if rows[0]["kind"] != "ordinary":
            continue
        with wave.open(str(corpus / "audio" / f"{key}.wav")) as handle:
            assert (handle.getframerate(), handle.getnchannels()) == (22050, 1)
            samples = np.frombuffer(handle.readframes(handle.getnframes()), "<i2").astype(float)
        spectrum = np.abs(np.fft.rfft(samples))[: int(1200 * len(samples) / 22050)]
        pitch = spectrum[200:].argmax() * 22050 / len(samples) + 200 * 22050 / len(samples)
        assert int((pitch + 20) // 300) - 1 == ["banjo", "cat", "french_horn"].index(rows[0]["label"])


def test_what_is_seen_is_where_the_truth_says(corpus: Path, truth: Rows) -> None:
    """Objects are pure in colour: the channel that the class is painted in is strongest inside of its box."""
    for key, rows in truth.items():
        pixels = np.asarray(Image.open(corpus / "frames" / f"{key}.jpg").convert("RGB"), float)
        for row in rows:
            if (
                row["on_screen"]
                and row["visible_share"] > 0.9
                and (row["x2"] - row["x1"]) * (row["y2"] - row["y1"]) > 0.02
            ):
                y = (row["y1"] + row["y2"]) / 2 * row["height"]
                x = (row["x1"] + row["x2"]) / 2 * row["width"]
                colour = pixels[int(y), int(x)]
                assert colour.argmax() == ["banjo", "cat", "french_horn"].index(row["object_label"])
                assert colour.max() - np.median(colour) > 60


def test_masks_are_of_the_object_and_not_of_its_box(corpus: Path, truth: Rows) -> None:
    masks = sorted((corpus / "avsbench/s4_data/gt_masks/test").rglob("*.png"))
    assert masks
    for path in masks:
        mask = load_mask(path, SIZE)
        boxes = [
            (row["x1"], row["y1"], row["x2"], row["y2"])
            for row in truth[path.parent.name]
            if row["sounding"] and row["on_screen"]
        ]
        around = box_votes(boxes) > 0
        grown = np.pad(around, 2)
        grown = np.any([np.roll(grown, (dy, dx), (0, 1)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)], axis=0)[2:-2, 2:-2]
        assert mask.any()
        assert not (mask & ~grown).any()
        assert mask.sum() <= around.sum() * 1.02
    assert any(load_mask(path, SIZE).sum() < 0.9 * 224**2 for path in masks)


def test_no_source_is_on_both_sides(corpus: Path, described: dict) -> None:
    sides: dict[str, set[str]] = defaultdict(set)
    for row in pq.read_table(corpus / "sources.parquet").to_pylist():
        sides[f"{row['role'] == 'audio'} {row['source']}"].add(row["split"])
    assert described["split"]["divided file by file"] == {"image and background": [], "audio": []}
    assert all(len(found) == 1 for found in sides.values())


def test_statistics_are_those_of_the_files(described: dict, truth: Rows) -> None:
    measured = described["statistics"]
    counted = described["counts"]
    assert measured["ciou50"]["clips"] == counted["test with boxes"]
    for rule in ("top half", "adaptive"):
        shares = measured["ciou50"][rule]
        assert all(shares[name] <= shares["ceiling"] for name in ("centred disc", "prior", "whole image"))
    agreement = measured["same class among neighbours"]
    assert agreement["by sound"]["1"] > 0.6 > agreement["chance"]
    same = measured["same class in the same surroundings"]
    assert same["share"] > same["chance"] + 0.05


def test_training_score_gives_the_floors_that_corpus_json_states(corpus: Path, described: dict, tmp_path: Path) -> None:
    keys = [each["file"] for each in json.loads((corpus / "vggss.json").read_text())]
    np.savez(tmp_path / "maps.npz", names=keys, maps=np.stack([disc_map()] * len(keys)))
    for rule, protocol in (("top half", "ezvsl"), ("adaptive", "adaptive")):
        found = score_file(
            tmp_path / "maps.npz", corpus / "vggss.json", "vggss", protocol, tmp_path / f"{protocol}.json"
        )
        stated = described["statistics"]["ciou50"][rule]
        assert found["n_scored"] == described["counts"]["test with boxes"]
        assert found["scores"]["audio_visual"]["ciou50"] == pytest.approx(stated["centred disc"], abs=1e-4)
        assert found["floors"]["whole_image"]["ciou50"] == pytest.approx(stated["whole image"], abs=1e-4)
        assert found["ceiling"]["ciou50"] == pytest.approx(stated["ceiling"], abs=1e-4)


def test_pairs_name_clips_that_are_there(corpus: Path, truth: Rows) -> None:
    for folder in ("avsbench", "music", "is3", "vpo"):
        for row in csv.DictReader((corpus / folder / "pairs.csv").read_text().splitlines()):
            assert {row["video"], row["audio"]} <= set(truth)
    several = list(csv.DictReader((corpus / "is3" / "pairs.csv").read_text().splitlines()))
    images = Counter(row["video"] for row in several)
    assert images
    assert set(images.values()) == {2}


@pytest.mark.usefixtures("here")
def test_videos_move_and_are_where_the_truth_says(material: MaterialFolders, tmp_path: Path) -> None:
    import av

    out = tmp_path / "video"
    write_composed(out, material, Settings(clips=3, seed=1, video=True), workers=1)
    assert not (out / "frames").exists()
    made = {path: path.read_bytes() for path in (out / "video").iterdir()}
    cut_off, *_ = made
    cut_off.write_bytes(made[cut_off][:-100])  # as after a crash of the machine
    (out / "corpus.json").unlink()
    write_composed(out, material, Settings(clips=3, seed=1, video=True), workers=1)
    assert {path: path.read_bytes() for path in made} == made
    for path in made:
        with av.open(path) as container:
            frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
        assert len(frames) == 33
        assert np.abs(frames[0] - frames[-1]).max() > 40
    run_ingest(IngestRequest((out,), tmp_path / "shards", workers=1))
    assert len(ShardStore.open(tmp_path / "shards").keys) == 3


def test_single_objects_are_of_the_training_side(corpus: Path) -> None:
    names = {path.name for path in (corpus / "objects").iterdir()}
    assert names == {"banjo", "cat", "french_horn"}
    assert all(Image.open(path).size == (128, 128) for path in (corpus / "objects").rglob("*.jpg"))
    assert len(list((corpus / "objects").rglob("*.jpg"))) == 3 * 5


def write_nothing(path: Path) -> None:
    """A wav of floats that are no numbers."""
    samples = np.full(22050, np.nan, "<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 3, 1, 22050, 88200, 4,
                       32, b"data", len(samples))  # fmt: skip
    path.write_bytes(head + samples)


def test_one_clip_is_a_corpus(material: MaterialFolders, tmp_path: Path) -> None:
    assert write_composed(tmp_path / "one", material, Settings(clips=1), workers=1)["test"] == 0


def test_a_class_name_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "material"
    shutil.copytree(folder, root)
    rows = [f"{kind}/{copy}.{end},../up" for copy in range(6) for kind, end in (("pictures", "png"), ("audio", "wav"))]
    (root / "cat" / "list.csv").write_text("\n".join(["file,label", *(f"cat/{row}" for row in rows)]))
    write_composed(tmp_path / "out", MaterialFolders(root, root), Settings(clips=2), workers=1)
    assert {path.name for path in (tmp_path / "out" / "objects").iterdir()} == {"%2E%2E%2Fup", "banjo", "french_horn"}
    assert {path.name for path in tmp_path.iterdir()} == {"material", "out"}


def test_bad_files_are_left_out_with_a_reason(tmp_path: Path) -> None:
    root = write_material(tmp_path / "material", files=4)
    (root / "cat/pictures/broken.png").write_bytes(b"no image")
    Image.new("RGBA", (40, 40)).save(root / "cat/pictures/empty.png")
    Image.new("RGB", (40, 40)).save(root / "cat/pictures/opaque.jpg")
    Image.new("RGBA", (40, 40), (9, 9, 9, 255)).crop((0, 0, 5, 5)).save(root / "cat/pictures/whole.png")
    write_tone(root / "cat/audio/quiet.wav", 500, 1, quiet=True)
    (root / "cat/audio/broken.ogg").write_bytes(b"no sound")
    write_nothing(root / "cat/audio/nan.wav")
    write_tone(root / "cat/audio/cut.wav", 500, 3)
    (root / "cat/audio/cut.wav").write_bytes((root / "cat/audio/cut.wav").read_bytes()[: 3 * RATE])
    write_cut_out(root / "owl/pictures/0.png", 1, 1)
    write_tone(root / "nowhere.wav", 500, 1)
    counts = write_composed(tmp_path / "out", MaterialFolders(root, root), Settings(clips=4), workers=1)
    rows = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    found = {Path(row["path"]).name: row["reason"] for row in rows}
    assert found == {
        "broken.png": "unreadable",
        "empty.png": "empty_outline",
        "opaque.jpg": "no_outline",
        "whole.png": "no_outline",
        "quiet.wav": "silent",
        "broken.ogg": "unreadable",
        "nan.wav": "corrupt",
        "cut.wav": "corrupt",
        "0.png": "class_alone",
        "nowhere.wav": "no_class",
    }
    assert counts["files left out"] == len(found)
    assert counts["left out: audio, silent"] == 1


def test_names_that_are_not_utf_8_are_written_out(tmp_path: Path) -> None:
    root, name = write_material(tmp_path / "material", files=3), os.fsdecode(b"caf\xe9")
    (root / "cat").rename(root / name)
    (root / name / "pictures" / "0.png").rename(root / name / "pictures" / f"{name}.png")
    (root / "banjo/audio" / f"{name}.wav").write_bytes(b"no sound")
    write_composed(tmp_path / "out", MaterialFolders(root, root), Settings(clips=12), workers=1)
    ((rejected,), used) = (
        pq.read_table(tmp_path / "out" / f"{kind}.parquet").to_pylist() for kind in ("rejects", "sources")
    )
    assert rejected["path"].endswith("banjo/audio/caf\\xe9.wav")
    assert {row["label"] for row in used} <= {"banjo", "caf\\xe9", "french_horn", "rain", None}
    assert "caf\\xe9/pictures/caf\\xe9.png" in {row["file"] for row in used}
    listed = csv.reader((tmp_path / "out" / "vggsound.csv").read_text().splitlines())
    assert {label for _, _, label, _ in listed} == {"banjo", "caf\\xe9", "french_horn"}


def test_a_folder_of_something_else_is_refused_before_the_material_is_looked_at(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("years of work")
    absent = MaterialFolders(tmp_path / "absent", tmp_path / "absent")
    with pytest.raises(InputError, match="exists and is no composed corpus"):
        write_composed(tmp_path / "mine", absent, Settings(clips=2), workers=1)
    with pytest.raises(InputError, match="other options"):
        write_composed(corpus, absent, Settings(clips=2), workers=1)


def test_a_full_temporary_folder_is_no_fault_of_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for place, name in ((Path, "write_bytes"), (tempfile, "mkdtemp")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, full)
            with pytest.raises(WorkFailed, match=r"temporary folder .*TMPDIR"):
                write_composed(tmp_path / "out", MaterialFolders(folder, folder), Settings(clips=2), workers=1)
    assert not (tmp_path / "out").exists()


def test_material_that_makes_no_corpus_is_refused(folder: Path, tmp_path: Path) -> None:
    one = write_material(tmp_path / "one", ("cat",))
    other = write_material(tmp_path / "other", ("dog", "owl"))
    bad = write_material(tmp_path / "bad", ("cat", "dog"), files=2)
    for path in (bad / "dog" / "pictures").iterdir():
        path.write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    alone = tmp_path / "alone"
    write_background(alone / "a.jpg", 0)
    out, made = tmp_path / "out", Settings(clips=2)
    for images, audio, backgrounds, said in (
        (one, folder, None, "only the class 'cat' in common"),
        (other, folder, None, "no class in common"),
        (tmp_path / "empty", folder, None, "no class in common"),
        (tmp_path / "absent", folder, None, "--pictures .* is no folder"),
        (bad, bad, None, "leave 1 usable classes.*unreadable"),
        (folder, folder, tmp_path / "empty", "holds no image"),
        (folder, folder, alone, "leaves 1 usable images"),
    ):
        with pytest.raises(InputError, match=said):
            write_composed(out, MaterialFolders(images, audio, backgrounds), made, workers=1)
    for wrong in ({"clips": 0}, {"seed": -1}, {"several": 1.5}, {"off_screen": 0.7, "silent": 0.5}):
        with pytest.raises(InputError):
            write_composed(out, MaterialFolders(folder, folder), Settings(**wrong), workers=1)
    with pytest.raises(InputError, match="lies in the material"):
        write_composed(one / "out", MaterialFolders(one, folder), made, workers=1)
    with pytest.raises(InputError, match="--workers"):
        write_composed(out, MaterialFolders(folder, folder), made, workers=0)
    assert not out.exists()
