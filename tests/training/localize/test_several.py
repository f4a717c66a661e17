"""`training localize` over folders and patterns: what is refused first, names, resuming, boxes, panels, peaks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from bright_localizer import FPS, HEIGHT, SECONDS, WIDTH, BrightAndLoud, Deaf, square_at, square_video, stand_in
from places import PYTHONPATH

from manifests.errors import InputError
from manifests.files.whole_folders import alone_at
from pipeline.media.encode import encode_video
from training.localize import command, cost, documents
from training.localize.options import Options
from training.localize.videos import find_videos
from training.localizer.localization import Localization
from training.localizer.model import Localizer

RUN = Path("runs/bright/0123abcd-s0")


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, BrightAndLoud())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos with a sound, without any stream of it, and one that is silent."""
    folder = tmp_path_factory.mktemp("made")
    square_video(folder / "clip.mp4")
    square_video(folder / "silent.mp4", loud_until=0.0)
    encode_video(folder / "mute.mp4", np.zeros((5, 32, 32, 3), np.uint8), 5, None)
    return folder


@pytest.fixture
def corpus(made: Path, tmp_path: Path) -> Path:
    """A folder as people have them."""
    folder = tmp_path / "corpus"
    (folder / "more").mkdir(parents=True)
    for name, source in (
        ("a.mp4", "clip.mp4"),
        ("more/a.mp4", "clip.mp4"),
        ("more/b.mp4", "silent.mp4"),
        ("mute.mp4", "mute.mp4"),
    ):
        shutil.copy(made / source, folder / name)
    (folder / "broken.mov").write_bytes(b"no video")
    (folder / "notes.txt").write_text("no video either")
    (folder / "._a.mp4").write_bytes(b"litter")
    return folder


def localize(*videos: Path, **options: Any) -> dict[str, object]:
    return command.localize(Options(RUN, videos, **({"maps_per_second": 1.0} | options)))


def test_a_folder_becomes_a_folder(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = localize(corpus, out=tmp_path / "out")
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert made == ["a.json", "a.mp4", "more/a.json", "more/a.mp4", "more/b.json", "more/b.mp4"]
    assert (facts["videos"], facts["left out"], facts["silent"], facts["already finished"]) == ("3, 18 s", 2, 1, 0)
    said = capsys.readouterr().err
    assert said.index("left out:") < said.index("localizing:")  # before any work
    assert said.index("is silent from beginning to end") < said.index("localizing:")
    assert "no_audio" in said
    assert "broken.mov" in said
    assert "notes.txt" not in said


KILLED = """
import os, sys
from pathlib import Path
import pytest
from bright_localizer import BrightAndLoud, stand_in
from training.localize import command
from training.localize.options import Options
from training.overlay import video
stand_in(pytest.MonkeyPatch(), BrightAndLoud())
video._Writer.run = lambda writer: os.kill(os.getpid(), 9)
command.localize(Options(Path(sys.argv[1]), (Path(sys.argv[2]),), Path(sys.argv[3])))
"""


@pytest.mark.slow
def test_what_a_killed_command_left_goes_with_the_next(made: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    (tmp_path / ".overlay.mp4.part").touch()  # another program's
    for _ in range(2):
        line = [sys.executable, "-c", KILLED, str(RUN), str(made / "clip.mp4"), str(tmp_path / "overlay.mp4")]
        assert subprocess.run(line, env=environment, check=False).returncode == -9
    left = [path.name for path in tmp_path.iterdir() if path.name.endswith((".tmp.mp4", ".lock"))]
    assert len(left) == 2  # of the last one alone
    localize(made / "clip.mp4", out=tmp_path / "overlay.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".overlay.mp4.part", "overlay.json", "overlay.mp4"]


def test_an_overlay_that_another_command_writes_is_left_to_it(corpus: Path, tmp_path: Path) -> None:
    with alone_at(tmp_path / "out" / "a.mp4"):
        assert localize(corpus, out=tmp_path / "out")["left out"] == 3
    assert localize(corpus, out=tmp_path / "out")["already finished"] == 2


def test_finished_overlays_are_left_alone(corpus: Path, tmp_path: Path) -> None:
    localize(corpus, out=tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.mp4")}
    assert localize(corpus, out=tmp_path / "out")["already finished"] == 3
    assert before == {path: path.stat().st_mtime_ns for path in before}
    (tmp_path / "out" / "a.mp4").unlink()
    assert localize(corpus, out=tmp_path / "out")["already finished"] == 2
    changed = [path for path in before if path.stat().st_mtime_ns != before[path]]
    assert changed == [tmp_path / "out" / "a.mp4"]


def test_a_damaged_overlay_or_document_is_made_again(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    localize(corpus, out=out)
    whole = (out / "a.mp4").read_bytes(), (out / "a.json").read_text()
    (out / "a.mp4").write_bytes(whole[0][:-1000])
    assert localize(corpus, out=out)["already finished"] == 2
    assert (out / "a.mp4").stat().st_size == len(whole[0])
    for damaged in ("", "garbage", whole[1][:200]):
        (out / "a.json").write_text(damaged)
        assert localize(corpus, out=out)["already finished"] == 2
        assert (out / "a.json").read_text() == whole[1]
    (out / "a.json").write_text(whole[1][:200])
    (out / "a.mp4").write_bytes(whole[0][:500])
    assert localize(corpus, out=out)["already finished"] == 2
    (out / "a.json").write_text(
        json.dumps({key: told for key, told in json.loads(whole[1]).items() if "bytes" not in key})
    )
    assert localize(corpus, out=out)["already finished"] == 3  # as written before sizes were


@pytest.mark.parametrize(("document", "overlay"), [('{"mine": 1}', None), ("", b"a video"), ("garbage", b"a video")])
def test_what_others_have_where_an_output_would_be_is_left_alone(
    corpus: Path, tmp_path: Path, document: str, overlay: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (out := tmp_path / "out").mkdir()
    (out / "a.json").write_text(document)
    if overlay is not None:
        (out / "a.mp4").write_bytes(overlay)
    assert localize(corpus, out=out)["left out"] == 3
    assert (out / "a.json").read_text() == document
    assert overlay is None or (out / "a.mp4").read_bytes() == overlay
    assert "was not written by `training localize`" in capsys.readouterr().err


def test_links_and_pipes_are_left_out_with_a_reason(made: Path, tmp_path: Path, capsys) -> None:
    (folder := tmp_path / "corpus").mkdir()
    shutil.copy(made / "clip.mp4", folder / "a.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    os.mkfifo(folder / "pipe.mp4")  # opening it would wait for ever
    (folder / "out.mp4").symlink_to(made / "clip.mp4")
    for given, count in (((folder,), 4), ((folder / "*.mp4",), 3), (tuple(sorted(folder.iterdir())), 3)):
        assert localize(*given, out=tmp_path / "made")["left out"] == count
        said = capsys.readouterr().err
        assert said.count("left out:") == count
        assert (said.count("a link that leads nowhere"), said.count("a named pipe")) == (2, 1)
    (folder / "a.mp4").unlink()
    with pytest.raises(InputError, match=r"gone\.mp4 is a link that leads nowhere"):
        localize(folder, out=tmp_path / "made")
    with pytest.raises(InputError, match="is a named pipe"):
        localize(folder / "pipe.mp4", out=tmp_path / "made" / "a.mp4")


def test_a_damaged_video_does_not_end_the_work_on_others(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One without an image that can be decoded, one without such a sound; one whose damage is met while it is read."""
    (folder := tmp_path / "corpus").mkdir()
    for name in ("a", "b", "c", "d"):
        shutil.copy(made / "clip.mp4", folder / f"{name}.mp4")
    for name, kind in (("a", "video"), ("b", "audio")):
        blank_packets(folder / f"{name}.mp4", kind)
    whole = Localizer.localize

    def met(own: Localizer, video: Path, *given: Any, **named: Any) -> Localization:
        if video.name == "c.mp4":
            raise InputError("c.mp4 is damaged in its middle")
        return whole(own, video, *given, **named)

    monkeypatch.setattr(Localizer, "localize", met)
    facts = localize(folder, out=tmp_path / "out", peaks=(tmp_path / "peaks.jsonl",))
    assert (facts["videos"], facts["left out"], facts["silent"]) == ("1, 6 s", 3, 0)
    said = capsys.readouterr().err
    for line in ("holds no image that can be decoded", "gives no sound", "c.mp4 is damaged in its middle"):
        assert line in said
    rows = [json.loads(line)["video"] for line in (tmp_path / "peaks.jsonl").read_text().splitlines()]
    assert set(rows) == {"d.mp4"}
    (folder / "d.mp4").unlink()
    with pytest.raises(InputError, match="none of the 3 videos"):
        localize(folder, out=tmp_path / "other")
    with pytest.raises(InputError, match="in its middle"):
        localize(folder / "c.mp4", out=tmp_path / "c.mp4")


def blank_packets(video: Path, kind: str) -> None:
    """Overwrite what one kind of stream holds, and leave the container whole."""
    content = bytearray(video.read_bytes())
    with av.open(str(video)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(**{kind: 0}) if packet.size]
    for position, size in packets:
        content[position : position + size] = b"\xff" * size
    video.write_bytes(content)


def test_what_was_asked_for_otherwise_is_made_again(made: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "overlay.mp4"
    assert "moments" in localize(made / "clip.mp4", out=out)
    assert localize(made / "clip.mp4", out=out)["state"] == "already finished"
    assert "moments" in localize(made / "clip.mp4", out=out, threshold=0.5)
    assert "moments" in localize(made / "silent.mp4", out=out, threshold=0.5)
    stand_in(monkeypatch, Deaf())  # without weights, as the other: told apart by nothing, so left alone
    assert localize(made / "silent.mp4", out=out, threshold=0.5)["state"] == "already finished"
    assert "moments" in localize(made / "silent.mp4", out=out, threshold=0.5, view="centre_crop")


def test_a_command_that_was_ended_while_drawing_goes_on(made: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "overlay.mp4"
    with monkeypatch.context() as patch:
        patch.setattr(documents, "write_document", _ended_after(documents.write_document, 1))
        with pytest.raises(KeyboardInterrupt):
            localize(made / "clip.mp4", out=out)
    assert out.is_file()
    assert json.loads((tmp_path / "overlay.json").read_text())["frames"] is None
    assert localize(made / "clip.mp4", out=out)["frames"] == FPS * SECONDS
    assert json.loads((tmp_path / "overlay.json").read_text())["frames"] == FPS * SECONDS


def _ended_after(write: Any, count: int) -> Any:
    calls: list[int] = []

    def ended(*given: Any) -> None:
        calls.append(1)
        if len(calls) > count:
            raise KeyboardInterrupt
        write(*given)

    return ended


def test_boxes_are_listed_and_follow_the_object(made: Path, tmp_path: Path) -> None:
    localize(made / "clip.mp4", out=tmp_path / "overlay.mp4", threshold=0.3)
    moments = json.loads((tmp_path / "overlay.json").read_text())["moments"]
    for moment in moments[:5]:
        x1, y1, x2, y2 = moment["boxes"][0]["box"]
        x, y = square_at(moment["seconds"])
        assert x1 <= x <= x2
        assert y1 <= y <= y2
    assert moments[-1]["silent"]
    assert not moments[-1]["boxes"]


@pytest.mark.parametrize(("options", "pages"), [({"side_by_side": True}, 2), ({"other_run": Path("other")}, 2)])
def test_two_images_lie_side_by_side(made: Path, tmp_path: Path, options: dict[str, Any], pages: int) -> None:
    localize(made / "clip.mp4", out=tmp_path / "overlay.mp4", **options)
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert frame.shape == (HEIGHT, pages * WIDTH, 3)
    original, beside = frame[60:80, :30], frame[60:80, WIDTH : WIDTH + 30]
    assert (np.abs(original - beside).max() > 60) == ("side_by_side" in options)


def test_peaks_of_all_videos_are_rows(corpus: Path, tmp_path: Path) -> None:
    lines, table = tmp_path / "peaks.jsonl", tmp_path / "peaks.parquet"
    for _ in range(2):  # the second time from what is finished
        localize(corpus, out=tmp_path / "out", threshold=0.5, peaks=(lines, table))
        rows = [json.loads(line) for line in lines.read_text().splitlines()]
        assert rows == pq.read_table(table).to_pylist()
        assert [row["video"] for row in rows] == ["a.mp4"] * 7 + ["more/a.mp4"] * 7 + ["more/b.mp4"] * 7
        assert {row["silent"] for row in rows[14:]} == {True}
    (tmp_path / "mine.jsonl").write_text('{"mine": 1}\n')
    for path, said in (
        (tmp_path / "mine.jsonl", "not overwritten"),
        (tmp_path / "peaks.csv", "another ending"),
        (tmp_path / "absent" / "peaks.jsonl", "does not exist"),
    ):
        with pytest.raises(InputError, match=said):
            localize(corpus, out=tmp_path / "out", peaks=(path,))


def test_patterns_and_names(corpus: Path, tmp_path: Path) -> None:
    shutil.copy(corpus / "a.mp4", corpus / "a.mov")
    found = find_videos((corpus / "**" / "a.*", corpus / "a.mp4"), tmp_path, [])
    assert [each.name for each in found] == ["a.mov", "a.mp4", "more/a.mp4"]
    facts = localize(corpus / "a.*", out=tmp_path / "out")
    assert facts["videos"] == "2, 12 s"
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mp4")) == ["a.mov.mp4", "a.mp4.mp4"]
    with pytest.raises(InputError, match="leads to no video"):
        localize(corpus / "*.webm", out=tmp_path / "out")


def test_the_outputs_are_no_inputs(corpus: Path) -> None:
    localize(corpus, out=corpus / "overlays")
    assert localize(corpus, out=corpus / "overlays")["already finished"] == 3
    assert localize(corpus / "**" / "*.*", out=corpus / "overlays")["already finished"] == 3


@pytest.mark.parametrize(
    ("videos", "options", "said"),
    [
        (("corpus",), {"out": Path("overlay.mp4")}, "Name a folder"),
        (("corpus/mute.mp4", "corpus/broken.mov"), {"out": Path("out")}, "none of the 2 videos"),
        (("corpus/mute.mp4",), {"out": Path("overlay.mp4")}, "no_audio"),
        (("corpus/absent.mp4",), {}, "there is no video"),
        (("corpus/a.mp4",), {"threshold": 2.0}, "--threshold is 2"),
        (("corpus/a.mp4",), {"maps_per_second": 1e-10}, "maps per second is 1e-10"),
    ],
)
def test_what_cannot_be_is_refused(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, videos: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(corpus.parent)
    monkeypatch.setattr(command, "_models", lambda options: pytest.fail("work was begun"))
    with pytest.raises(InputError, match=said):
        localize(*map(Path, videos), **options)
    assert sorted(path.name for path in corpus.parent.iterdir()) == ["corpus"]


def test_the_cost_of_long_work_is_measured_first(made: Path) -> None:
    video = command.look_at(made / "clip.mp4", Path("overlay.mp4"))
    models = command._models(Options(RUN, (made,)))
    assert cost.expected([video], models, 4.0, 1) is None
    few, many = (cost.expected([video] * count, models, 4.0, 2) for count in (60, 6000))
    assert few is not None
    assert many is not None
    assert 10 < many / few < 1000


def test_a_run_that_comes_second_is_told(made: Path) -> None:
    with pytest.raises(InputError, match=r"clip\.mp4 is a file, and no run.*training localize RUN VIDEO"):
        command.localize(Options(made / "clip.mp4", (RUN,)))


def test_a_long_video_holds_no_frames(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its frames are read when they are asked for; nothing of the command asks."""
    monkeypatch.setattr(Localization, "frames", property(lambda own: pytest.fail("frames were read")))
    localize(made / "clip.mp4", out=tmp_path / "overlay.mp4")


def test_of_one_video_the_file_of_all_peaks_is_named_too(corpus: Path, tmp_path: Path) -> None:
    video, table = corpus / "a.mp4", tmp_path / "peaks.parquet"
    facts = localize(video, out=tmp_path / "one.mp4", peaks=(table,))
    assert facts["peaks"] == f"{tmp_path / 'one.json'}, {table}"
