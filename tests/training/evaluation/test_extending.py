"""A metric, a protocol and a threshold rule are one module each: added here for a while, they show up everywhere."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.test_sets import Truth
from training.evaluation.document import document
from training.evaluation.printing import protocol_page, protocols_page, table
from training.evaluation.protocols import find_protocol
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.evaluation.thresholds import RULES
from training.report.comparison import as_text, comparisons
from training.report.page import write_report
from training.report.results import read_run

METRIC = '''
"""How far the peak of a map lies from the middle of the image."""

import numpy as np

from training.evaluation.scores import Score

SCORES = (Score("peak_offset", "peak offset", "distance of the peak from the middle.", False, 1.0, "cells"),)


def applies(scored):
    return scored.protocol.name == "a_quarter"


def reduce(scored):
    peaks = np.array([np.unravel_index(one.argmax(), one.shape) for one in scored.raw.maps])
    return {name: {"peak_offset": float(np.abs(peaks - 3).mean())} for name in scored.maps}


def values(block, map_name):
    return block.get(map_name, {})


def heading(block, map_name):
    return "by its peak"
'''
PROTOCOL = '''
"""A quarter of the image, by a rule of its own."""

from training.evaluation.protocol import MapProtocol
from training.evaluation.thresholds import fixes_value


@fixes_value("the mask is every pixel above the map's {level} quantile")
def quantile(level, flat):
    import numpy as np

    return np.quantile(flat, level, axis=1).astype(flat.dtype)


PROTOCOLS = (MapProtocol("a_quarter", "a test", rule="quantile", level=0.75, comparator=">"),)
'''
KEYS = [f"clip_number{at}_00000{at}"[-18:] for at in range(6)]
CLIPS = TestSet("tiny", tuple(Annotation(key, "dog", ((0.2, 0.2, 0.7, 0.7),)) for key in KEYS), "tiny.json", "0" * 64)
TRUTH = Truth("vggss", CLIPS)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The two modules, found beside the packaged ones while the test runs."""
    for package, name, source in (("metrics", "peak", METRIC), ("protocols", "quarter", PROTOCOL)):
        (tmp_path / package).mkdir()
        (tmp_path / package / f"{name}.py").write_text(source)
        folder = importlib.import_module(f"training.evaluation.{package}")
        monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path / package)])
    yield
    for name in ("metrics.peak", "protocols.quarter"):
        sys.modules.pop(f"training.evaluation.{name}", None)
    RULES.pop("quantile", None)


def test_a_metric_and_a_protocol_are_a_module_each(added, tmp_path: Path) -> None:
    maps = np.random.default_rng(0).random((6, 7, 7), dtype=np.float32)
    assert "\na_quarter " in f"\n{protocols_page()}"
    assert "quantile" in protocol_page("a_quarter")
    result = score(RawMaps(KEYS, maps), TRUTH, "a_quarter")
    peaks = np.array([np.unravel_index(one.argmax(), one.shape) for one in maps])
    offset = float(np.abs(peaks - 3).mean())
    assert document(result)["peak"]["audio_visual"]["peak_offset"] == offset
    assert f"audio visual by its peak: peak offset [cells] (lower is better) {offset:.2f}" in table(result.summary)
    assert result.summary["floors"]["centred_disc"]["ciou50"] >= 0  # a rule that fixes no area has its floors too

    folder = tmp_path / "runs" / "made" / "00000000-s0"
    (folder / "evaluation").mkdir(parents=True)
    published = {"tiny": {"a_quarter": {"audio_visual": {"peak_offset": 1.0}}}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": "made", "seed": 0, "paper": published}))
    result.write(folder / "evaluation")
    (compared,) = comparisons([read_run(folder)], ["made"])
    text = as_text(compared)
    assert "peak offset [cells] (lower is better)" in text
    assert f"{offset:.2f} [1.00, {offset - 1:+.2f}]" in text
    page = write_report([folder], None, tmp_path / "report")[0].read_text()
    assert "above the map&#39;s 0.75 quantile" in page
    assert "<dt>peak offset</dt><dd>distance of the peak from the middle.</dd>" in page


def test_without_the_modules_nothing_of_them_is_left() -> None:
    with pytest.raises(InputError, match="no protocol 'a_quarter'"):
        find_protocol("a_quarter")
    maps = np.random.default_rng(0).random((6, 7, 7), dtype=np.float32)
    assert "peak" not in json.dumps(score(RawMaps(KEYS, maps), TRUTH, "ezvsl").summary)
