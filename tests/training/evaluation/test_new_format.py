"""A format of annotations is one file: a reader added here for a while is scored, and by default as its tasks say."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import manifests.readers
from manifests.errors import InputError
from manifests.truth import read_truth
from training.cli import main
from training.evaluation.tasks import check_protocol, default_protocols

READER = '''
"""Lines `name x1 y1 x2 y2`, fractions of the frame."""

from functools import partial

from manifests.annotations import Annotation, make_test_set
from manifests.files.content import read_content
from manifests.test_sets import INTERACTIVE, LOCALIZATION, RETRIEVAL, Format, Truth


def _read(path, _wanted, tasks, protocols=()):
    content = read_content(path)
    rows = [line.split() for line in content.text().splitlines()]
    annotations = (Annotation(name, None, (tuple(map(float, box)),)) for name, *box in rows)
    test_set = make_test_set("lines", annotations, content)
    return Truth("lines", test_set, tasks=frozenset(tasks), protocols=protocols)


FORMATS = {
    "lines": Format("lines of one's own", partial(_read, tasks={LOCALIZATION, RETRIEVAL})),
    "lines_asked": Format("one image under several sounds", partial(_read, tasks={LOCALIZATION, INTERACTIVE})),
    "lines_heard": Format("nothing says where", partial(_read, tasks={RETRIEVAL})),
    "lines_said": Format("its authors have a say", partial(_read, tasks={LOCALIZATION}, protocols=("lvs", "dsol"))),
}
'''
NAMES = [f"scene{number}_{target}" for number in range(3) for target in ("dog", "bell")]


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Annotations in the format `lines`, whose reader is found beside the packaged ones while the test runs."""
    (tmp_path / "readers").mkdir()
    (tmp_path / "readers" / "lines_of_boxes.py").write_text(READER)
    folders = [*manifests.readers.__path__, str(tmp_path / "readers")]
    monkeypatch.setattr(manifests.readers, "__path__", folders)
    path = tmp_path / "truth.txt"
    path.write_text("\n".join(f"{name} 0 0 0.5 1" for name in NAMES))
    yield path
    sys.modules.pop("manifests.readers.lines_of_boxes", None)


@pytest.mark.parametrize("format", ["lines", "lines_asked"])
def test_maps_are_scored_by_the_command(lines: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    """`training score` over maps that are right for every name but the last."""
    maps = np.zeros((len(NAMES), 8, 8), np.float32)
    maps[:-1, :, :4] = maps[-1:, :, 4:] = 1
    maps += np.linspace(0, 1e-3, 8, dtype=np.float32)
    given, out = lines.parent / "maps.npz", lines.parent / "scores.json"
    np.savez(given, names=NAMES, maps=maps)
    options = {"--maps": given, "--truth": lines, "--format": format, "--protocol": "ezvsl", "--out": out}
    monkeypatch.setattr(sys, "argv", ["training", "score", *(str(part) for pair in options.items() for part in pair)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    found = json.loads(out.read_text())
    assert found["scores"]["audio_visual"]["ciou50"] == pytest.approx(5 / 6)
    interactive = found.get("interactive", {}).get("audio_visual", {})
    assert interactive.get("iiou") == (pytest.approx(2 / 3) if format == "lines_asked" else None)


def test_defaults_follow_from_what_the_format_serves(lines: Path) -> None:
    plain, asked, heard = (read_truth(lines, format) for format in ("lines", "lines_asked", "lines_heard"))
    assert default_protocols(plain) == ("ezvsl", "adaptive")
    assert default_protocols(plain, ("lvs",)) == ("lvs",)
    assert default_protocols(asked, ("lvs",)) == ("kaist", "adaptive")
    assert default_protocols(heard, ("lvs",)) == ("retrieval",)
    said = read_truth(lines, "lines_said")
    assert default_protocols(said, ("ezvsl",)) == default_protocols(said) == ("lvs", "dsol")
    with pytest.raises(InputError, match="lines_heard has no boxes for the protocol ezvsl"):
        check_protocol("ezvsl", heard)


def test_what_packaged_formats_are_scored_under(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text("<annotation/>")
    boxes = tmp_path / "s4_box.json"
    boxes.write_text('[{"image": "/x/dog/v/v_1.png", "audio": "/x/v.wav", "gt_box": [1, 2, 3, 4]}]')
    assert default_protocols(read_truth(tmp_path, "flickr"), ("lvs",)) == ("ezvsl", "adaptive")
    assert default_protocols(read_truth(boxes, "vpo"), ("lvs",)) == ("kaist", "adaptive")
    assert default_protocols(read_truth(boxes, "is3"), ("lvs",)) == ("kaist", "adaptive")
    for format in ("avsbench", "avsbench_s4"):
        assert default_protocols(read_truth(boxes, format), ("lvs",)) == ("avsbench",)


def test_without_the_reader_there_is_no_such_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no annotation format 'lines'"):
        read_truth(tmp_path / "truth.txt", "lines")
