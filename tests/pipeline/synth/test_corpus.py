"""The drawn corpus as files: the same bytes for the same seed, resumed, and videos that show what was painted."""

import hashlib
import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from synth_seed import CLIPS, SEED

from manifests.errors import InputError
from pipeline.synth.audio import SAMPLE_RATE
from pipeline.synth.classes import LABELS
from pipeline.synth.corpus import waveform, write_corpus
from pipeline.synth.render import central_frame, frames
from pipeline.synth.scene import FRAMES, MOMENT_FRAME, draw_scene


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


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
    for path in (videos[0], corpus / "corpus.json", corpus / "objects" / LABELS[0] / "1.jpg"):
        path.unlink()
    for path in (videos[2], corpus / "objects" / LABELS[1] / "0.jpg"):  # as after a crash of the machine
        os.truncate(path, path.stat().st_size // 2)
    write_corpus(corpus, CLIPS, SEED, workers=1)
    assert digests(corpus) == before
    assert videos[1].stat().st_mtime_ns == stamp


def test_finished_corpus_is_left_alone(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = write_corpus(corpus, CLIPS, SEED, 2)
    assert "nothing to do" in capsys.readouterr().out
    assert counts["clips"] == CLIPS


def test_bad_options_and_foreign_folders(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other options"):
        write_corpus(corpus, CLIPS + 1, SEED, 2)
    with pytest.raises(InputError, match="no synthetic corpus"):
        write_corpus(tmp_path, CLIPS, SEED, 2)
    with pytest.raises(InputError, match="cannot be written"):
        write_corpus(tmp_path / "notes.txt" / "below", CLIPS, SEED, 2)
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
