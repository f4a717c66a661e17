"""The synthetic corpus: real files, the same bytes for the same seed, and a truth that is true."""

import csv
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from manifests.errors import InputError
from manifests.readers.label_lists import read_labels
from manifests.readers.vggss import read_vggss
from pipeline.media.front_ends import find_front_end
from pipeline.synth import lists
from pipeline.synth.audio import SAMPLE_RATE, mix, perform
from pipeline.synth.classes import LABELS, PALETTES, SOUND_CLASSES, SoundClass, palettes_of
from pipeline.synth.corpus import waveform, write_corpus
from pipeline.synth.render import central_frame, frames, sights
from pipeline.synth.scene import FRAMES, MOMENT_FRAME, Scene, draw_image, draw_scene
from pipeline.synth.truth import truth_rows

CLIPS, SEED = 11, 3
SCENES = 2100  # gives about 400 test clips with boxes
SIDE = 224


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "corpus"
    write_corpus(out, CLIPS, SEED, workers=2)
    return out


@pytest.fixture(scope="module")
def test_clips() -> list[lists.Clip]:
    indices = range(4, SCENES, 5)
    return [lists.clip_of(truth_rows(draw_scene(SEED, index))) for index in indices]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- files -----------------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes_whatever_the_workers(corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "again", CLIPS, SEED, workers=1)
    assert digests(tmp_path / "again") == digests(corpus)


def test_other_seed_other_world() -> None:
    one, other = draw_scene(SEED, 0), draw_scene(SEED + 1, 0)
    assert one.key != other.key
    assert waveform(one).tobytes() != waveform(other).tobytes()


def test_a_clip_does_not_depend_on_how_many_there_are(corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "small", 1, SEED, workers=1)
    (video,) = (tmp_path / "small" / "video").iterdir()
    assert video.read_bytes() == (corpus / "video" / video.name).read_bytes()


def test_resume_remakes_only_what_is_missing(corpus: Path, tmp_path: Path) -> None:
    before = digests(corpus)
    videos = sorted((corpus / "video").iterdir())
    stamp = videos[1].stat().st_mtime_ns
    scratch = corpus / "video" / ".encode-left-behind"
    scratch.mkdir()
    for path in (videos[0], corpus / "corpus.json", corpus / "objects" / LABELS[0] / "1.jpg"):
        path.unlink()
    write_corpus(corpus, CLIPS, SEED, workers=1)
    assert digests(corpus) == before
    assert videos[1].stat().st_mtime_ns == stamp
    assert not scratch.exists()


def test_finished_corpus_is_left_alone(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = write_corpus(corpus, CLIPS, SEED)
    assert "nothing to do" in capsys.readouterr().out
    assert counts["clips"] == CLIPS


def test_bad_options_and_foreign_folders(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other options"):
        write_corpus(corpus, CLIPS + 1, SEED)
    with pytest.raises(InputError, match="no synthetic corpus"):
        write_corpus(tmp_path, CLIPS, SEED)
    with pytest.raises(InputError, match="cannot be written"):
        write_corpus(tmp_path / "notes.txt" / "below", CLIPS, SEED)
    for clips, seed, workers in ((0, 0, 1), (1, -1, 1), (1, 0, 0)):
        with pytest.raises(InputError):
            write_corpus(tmp_path / "new", clips, seed, workers)
    assert not (tmp_path / "new").exists()


def test_videos_are_h264_and_aac_and_show_what_was_painted(corpus: Path) -> None:
    scene = draw_scene(SEED, 4)
    with av.open(corpus / "video" / f"{scene.key}.mp4") as container:
        assert container.streams.video[0].codec_context.name == "h264"
        audio = container.streams.audio[0].codec_context
        assert (audio.name, audio.sample_rate) == ("aac", SAMPLE_RATE)
        duration = container.duration / av.time_base
        shown = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert len(shown) == FRAMES
    middle = [frame for time, frame in shown if time <= min(5.0, duration / 2)][-1]
    painted = np.asarray(central_frame(scene), float)
    assert np.sqrt(np.mean((middle - painted) ** 2)) < 12
    assert np.array_equal(frames(scene)[MOMENT_FRAME], painted)


def test_images_of_single_objects(corpus: Path) -> None:
    assert sorted(path.name for path in (corpus / "objects").iterdir()) == sorted(LABELS)
    with Image.open(corpus / "objects" / LABELS[5] / "0.jpg") as image:
        assert image.size == (128, 128)


# --- lists -----------------------------------------------------------------------------------------------------------


def test_lists_are_read_by_the_readers_of_the_real_data_sets(corpus: Path) -> None:
    scenes = [draw_scene(SEED, index) for index in range(CLIPS)]
    rows = read_labels(corpus / "vggsound.csv").rows
    assert {key: (row.label, row.split) for key, row in rows.items()} == {
        scene.key: (scene.label, scene.split) for scene in scenes
    }
    positives = read_vggss(corpus / "vggss.json")
    assert set(positives.keys) <= {scene.key for scene in scenes if scene.split == "test"}
    assert {path.stem for path in (corpus / "video").iterdir()} == set(rows)


def test_truth_table_agrees_with_vggss(corpus: Path) -> None:
    truth = pq.read_table(corpus / "truth.parquet").to_pylist()
    for entry in json.loads((corpus / "vggss.json").read_text()):
        boxes = [
            [row["x1"], row["y1"], row["x2"], row["y2"]]
            for row in truth
            if row["key"] == entry["file"] and row["sounding"] and row["on_screen"]
        ]
        assert entry["bbox"] == boxes
        assert all(0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 for x1, y1, x2, y2 in boxes)


def test_extended_csv_is_spelled_like_the_released_one(corpus: Path) -> None:
    content = (corpus / "vggss_test_plus_silent.csv").read_bytes()
    assert content.startswith(b"video,audio,label\r\n")
    assert not content.endswith(b"\n")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert all(row["label"] == "non-sounding" for row in csv.DictReader(content.decode().splitlines()))


def test_labels_with_a_comma_are_quoted() -> None:
    clip = lists.Clip("a_000001", "a", 1, "train", "bee, wasp buzzing", (), frozenset(), frozenset())
    assert lists.vggsound_csv([clip]) == 'a,1,"bee, wasp buzzing",train\n'


def test_negatives_are_negative_and_in_proportion(test_clips: list[lists.Clip]) -> None:
    clips = {clip.key: clip for clip in test_clips}
    pairs = lists.negatives(test_clips, SEED)
    positives = sum(clip.positive for clip in test_clips)
    assert sum(map(len, pairs.values())) == positives
    assert len(pairs["real"]) / positives == pytest.approx(379 / 5158, abs=0.01)
    assert len(pairs["hard"]) / positives == pytest.approx(1185 / 5158, abs=0.01)
    assert all(video == audio and not clips[video].positive for video, audio in pairs["real"])
    for video, audio in pairs["hard"]:
        assert clips[video].label == clips[audio].label
        assert clips[video].source_id != clips[audio].source_id
    assert not any(clips[audio].heard & clips[video].seen for video, audio in pairs["easy"])
    images = Counter(video for rows in pairs.values() for video, _ in rows)
    assert set(images.values()) == {1}


# --- scenes ----------------------------------------------------------------------------------------------------------


def union(boxes: tuple[tuple[float, float, float, float], ...]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for x1, y1, x2, y2 in (np.array(boxes) * SIDE).astype(int).tolist():
        mask[y1:y2, x1:x2] = True
    return mask


def test_sizes_floor_and_ceiling_are_those_of_vggss(test_clips: list[lists.Clip]) -> None:
    masks = [union(clip.boxes) for clip in test_clips if clip.positive]
    areas = np.array([mask.mean() for mask in masks])
    measured = np.quantile(areas, (0.05, 0.25, 0.5, 0.75, 0.95))
    assert measured == pytest.approx([0.033, 0.121, 0.253, 0.463, 0.780], rel=0.25)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    distance = np.hypot(rows, columns)
    disc = distance <= np.median(distance)
    scores = np.array([(mask & disc).sum() / (mask | disc).sum() for mask in masks])
    ceiling = np.minimum(areas, 0.5) / np.maximum(areas, 0.5)
    assert 0.25 <= np.mean(scores >= 0.5) <= 0.36
    assert 0.45 <= np.mean(ceiling >= 0.5) <= 0.56


def test_shares_of_the_kinds_of_clip() -> None:
    scenes = [draw_scene(SEED, index) for index in range(600)]
    kinds = Counter(scene.kind for scene in scenes)
    assert 0.02 < kinds["off_screen"] / len(scenes) < 0.09
    assert 0.01 < kinds["silent"] / len(scenes) < 0.06
    sources = Counter(sum(thing.sounding for thing in scene.things) for scene in scenes)
    assert set(sources) == {0, 1, 2, 3}
    distracted = sum(any(thing.on_screen and not thing.sounding for thing in scene.things) for scene in scenes)
    assert 0.45 < distracted / len(scenes) < 0.65
    assert {scene.label for scene in scenes} == set(LABELS)
    assert sum(scene.split == "test" for scene in scenes) == 120


def test_what_is_silent_in_the_image_is_of_another_class() -> None:
    for scene in (draw_scene(SEED, index) for index in range(300)):
        heard = {thing.label for thing in scene.things if thing.sounding}
        assert not any(thing.label in heard for thing in scene.things if not thing.sounding)
        if heard:
            assert max(scene.things, key=lambda thing: thing.gain).label == scene.label
        if scene.kind == "off_screen":
            assert scene.label in heard
            assert all(not thing.on_screen for thing in scene.things if thing.sounding)


def test_two_cuts_of_one_video_share_id_place_and_split() -> None:
    first, second = draw_scene(SEED, 10), draw_scene(SEED, 11)
    assert (first.source_id, first.split, first.label) == (second.source_id, second.split, second.label)
    assert first.key != second.key
    assert first.background_seed == second.background_seed


# --- images --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(SOUND_CLASSES)))
def test_box_is_tight_around_the_pixels_that_show_the_object(number: int) -> None:
    scene = draw_image(SEED, number, 0, 160, 120)
    empty = replace(scene, things=())
    changed = np.abs(np.asarray(central_frame(scene), int) - np.asarray(central_frame(empty), int)).sum(2)
    (sight,) = sights(scene)
    assert sight.box is not None
    x1, y1, x2, y2 = np.rint(np.array(sight.box) * (160, 120, 160, 120)).astype(int).tolist()
    inside = changed[y1:y2, x1:x2]
    assert inside.sum() > 0.99 * changed.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def two_objects() -> Scene:
    scenes = (draw_scene(SEED, index) for index in range(100))
    return next(scene for scene in scenes if sum(thing.on_screen for thing in scene.things) == 2)


def test_hidden_pixels_belong_to_the_object_in_front() -> None:
    scene = two_objects()
    front = scene.things[1]
    covered = replace(scene, things=(replace(front, scale=0.5 * front.scale), front))
    behind, before = sights(covered)
    assert behind.visible_share < 0.35
    assert before == sights(replace(scene, things=(front,)))[0]


def test_objects_move_and_the_camera_too() -> None:
    scene = two_objects()
    moving = frames(scene).astype(int)
    assert np.abs(moving[0] - moving[-1]).mean() > 3
    still = frames(replace(scene, things=())).astype(int)
    assert np.abs(still[0] - still[MOMENT_FRAME]).mean() > 1


def test_classes_have_several_looks_and_share_their_palettes() -> None:
    worn = Counter(PALETTES.index(palette) for number in range(len(LABELS)) for palette in palettes_of(number))
    assert set(worn) == set(range(len(PALETTES)))
    assert min(worn.values()) >= 6
    assert len({one.silhouette for one in SOUND_CLASSES}) == len({one.pattern for one in SOUND_CLASSES}) == len(LABELS)
    images = {central_frame(draw_image(SEED, 0, copy, 64, 64)).tobytes() for copy in range(5)}
    assert len(images) == 5


# --- sounds ----------------------------------------------------------------------------------------------------------


def hear(number: int, copy: int) -> np.ndarray:
    """A short description of a class's sound: spectrum, its spread over time, and the rhythm of its loudness."""
    rng = np.random.default_rng([SEED, number, copy])
    performance = perform(SOUND_CLASSES[number].voice, 3.0, rng)
    audio = mix([(performance, 1.0)], 3.0, rng, hiss=0.1, level=0.1)[::2]
    heard = np.pad(audio, (0, 33075 - len(audio)))
    image = find_front_end().spectrogram(heard).astype(np.float32)[:256].reshape(32, 8, 300).mean(1)
    rhythm = np.abs(np.fft.rfft(image.mean(0) - image.mean()))[1:40]
    return np.concatenate([image.mean(1), 2 * image.std(1), 4 * rhythm / (rhythm.sum() + 1e-6)])


def test_classes_can_be_told_by_ear() -> None:
    known = np.stack([np.mean([hear(number, copy) for copy in range(6)], 0) for number in range(len(LABELS))])
    right = [
        int(np.argmin(np.linalg.norm(known - hear(number, copy), axis=1)) == number)
        for number in range(len(LABELS))
        for copy in (100, 101)
    ]
    assert np.mean(right) > 0.8


def test_waveforms_stay_in_range_and_silence_is_digital() -> None:
    scenes = [draw_scene(SEED, index) for index in range(400)]
    assert all(np.abs(waveform(scene)).max() <= 0.951 for scene in scenes[:20])
    silent = [scene for scene in scenes if scene.kind == "silent"]
    assert {scene.hiss == 0 for scene in silent} == {True, False}
    assert all((not waveform(scene).any()) == (scene.hiss == 0) for scene in silent)


@pytest.mark.parametrize("one", SOUND_CLASSES, ids=LABELS)
def test_activity_is_the_envelope_of_the_audio(one: SoundClass) -> None:
    performance = perform(one.voice, 2.0, np.random.default_rng(SEED))
    activity = performance.activity(np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)
    power = np.square(performance.waveform())
    assert activity.min() >= 0
    assert 0.3 < activity.max() <= 1
    assert not power[activity == 0].any()
    assert np.average(activity, weights=power) >= activity.mean()
