"""The parts of the report: reading runs, choosing clips, drawing masks and curves, cutting sound."""

import io
import re
import wave
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.test_sets import Truth
from training.evaluation.localization import ciou
from training.evaluation.protocols import find_protocol
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.evaluation.truth import weight_map
from training.report.curves import loss_panels, validation_panels
from training.report.gallery import drawn_mask
from training.report.images import border
from training.report.masks import as_protocol, scored_mask
from training.report.page import write_report
from training.report.results import Evaluation, read_run
from training.report.saved_maps import Maps
from training.report.selection import choose
from training.report.sources import ABSENT, CHANGED, Clips
from training.report.tables import score_tables


def test_seeds_of_one_configuration_are_averaged(runs: list[Path]) -> None:
    table = score_tables([read_run(path) for path in runs], ["a", "b", "c"])[0]
    mean = next(group for group in table.groups if group.kind == "mean")
    seeds = [row.numbers["ciou50"].value for group in table.seeds for row in group.rows[:1]]
    assert len(seeds) == 2
    assert not [group for group in table.groups if group.colour in (0, 1)]
    assert mean.rows[0].numbers["ciou50"].value == pytest.approx(sum(seeds) / 2)
    (prior,) = [row for row in mean.rows if row.title.startswith("combined")]
    assert prior.title == "combined (1 of 2 seeds)"


def test_every_column_of_a_mean_has_its_spread(runs: list[Path], tmp_path: Path) -> None:
    (table, *_) = score_tables([read_run(path) for path in runs], ["a", "b", "c"])
    (mean,) = [group.rows[0] for group in table.groups if group.kind == "mean"]
    first, second = [group.rows[0] for group in table.seeds]
    for name, number in mean.numbers.items():
        values = sorted(row.numbers[name].value for row in (first, second))
        assert (number.low, number.high) == tuple(values)
        assert number.deviation == pytest.approx((values[1] - values[0]) / 2**0.5)
    assert mean.share.value == pytest.approx((first.share.value + second.share.value) / 2)
    assert mean.share.deviation == pytest.approx(abs(first.share.value - second.share.value) / 2**0.5)
    index, _ = write_report(runs[:2], None, tmp_path)
    line = re.search(r'<th scope="row">audio-visual</th>.*?</tr>', index.read_text(), re.DOTALL)
    assert line is not None
    assert line[0].count(" ± ") == 4  # cIoU, gap closed, AUC and mean IoU
    index, _ = write_report(runs[:1], None, tmp_path)
    assert " ± " not in index.read_text()


def test_a_mean_names_the_seeds_that_have_no_part_in_it(runs: list[Path], tmp_path: Path) -> None:
    read = [read_run(path) for path in runs[:2]]
    left = [runs[0].with_name(f"0123abcd-s{seed}") for seed in (7, 8)]
    left[0].mkdir()
    index, _ = write_report(runs[:2], None, tmp_path, left)
    (mean,) = [group for group in score_tables(read, ["a", "b"])[0].groups if group.kind == "mean"]
    assert mean.title == "ezvsl: mean of 2 seeds"
    assert "ezvsl: mean of 2 of 4 seeds" in index.read_text()
    assert (
        "ezvsl stands for 2 of 4 seeds: seed 7 (0123abcd-s7) is not finished, seed 8 was asked for and never begun."
    ) in index.read_text()


def test_impossible_published_pairs_are_flagged(invent: Callable[..., Path]) -> None:
    def warnings(auc: float) -> str:
        paper = {"synth-vggss": {"ezvsl": {"audio_visual": {"ciou50": 0.355, "auc": auc}}}}
        run = read_run(invent(f"auc-{auc}", paper=paper))
        return " ".join(score_tables([run], ["a"])[0].warnings)

    assert "cannot belong to cIoU" in warnings(0.118)
    assert "cannot belong to cIoU" not in warnings(0.39)


def test_log_cut_by_a_kill_is_read_to_its_last_whole_line(invent: Callable[..., Path]) -> None:
    folder = invent("cut")
    log = folder / "metrics.jsonl"
    log.write_text(log.read_text()[:-30])
    assert len(read_run(folder).log) == 399
    log.write_text("{\n" + log.read_text())
    with pytest.raises(InputError, match="line 1"):
        read_run(folder)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "metrics.jsonl",
            '{"step": 1, "loss": 3}\n{"step": 2, "loss": {}}\n',
            "line 1, has for loss what is not",
        ),
        ("config.yaml", "optim: null\n", "its optim is no section of named values"),
    ],
)
def test_values_of_another_kind_are_told_in_words(
    invent: Callable[..., Path], name: str, content: str, words: str
) -> None:
    run = invent("ezvsl")
    (run / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}.*{words}"):
        read_run(run)


def test_audio_is_cut_from_the_source(shards: Path, scenes: list[Any]) -> None:
    clips = Clips.open(shards)
    uri = clips.audio(scenes[0].annotation.key).uri
    assert uri is not None
    with wave.open(io.BytesIO(b64decode(uri.partition(",")[2]))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    assert file.getframerate() == 11025
    assert len(samples) == 33075
    assert np.corrcoef(samples[2000:-2000], scenes[0].waveform[2000:-2000])[0, 1] > 0.9
    assert clips.audio(scenes[5].annotation.key).reason == ABSENT


def test_changed_source_is_not_played(shards: Path, scenes: list[Any]) -> None:
    assert Clips.open(shards).audio(scenes[2].annotation.key).reason == CHANGED


def test_selection_is_varied_disjoint_and_ranked() -> None:
    keys = [f"k{number:02d}" for number in range(40)]
    first = {key: number / 40 for number, key in enumerate(keys)}
    second = {key: value + 0.001 * (number % 7) for number, (key, value) in enumerate(first.items())} | {"k07": 0.99}
    labels = {key: "even" if number % 2 == 0 else "odd" for number, key in enumerate(keys)}
    chosen = {choice.title: choice.keys for choice in choose([first, second], labels, 16)}
    assert chosen["Where runs differ most"][0] == "k07"
    assert chosen["Best"] == ("k39", "k38", "k37", "k36")
    assert chosen["Worst"][0] == "k00"
    assert chosen["Typical"] == tuple(sorted(chosen["Typical"], reverse=True))
    assert list(chosen) == ["Best", "Where runs differ most", "Typical", "Worst"]
    everything = [key for found in chosen.values() for key in found]
    assert len(everything) == len(set(everything)) == 16
    assert [choice.title for choice in choose([first], labels, 9)] == ["Best", "Typical", "Worst"]


def test_selection_of_few_clips_shows_each_once() -> None:
    only = {"a": 0.5, "b": 0.1}
    assert sorted(key for choice in choose([only], {}, 24) for key in choice.keys) == ["a", "b"]


def test_border_runs_along_the_mask() -> None:
    mask = np.zeros((224, 224), bool)
    mask[50:150, 60:100] = True
    numbers = np.array(re.findall(r"[\d.]+", border(mask)), float).reshape(-1, 2)
    assert numbers.min(axis=0).tolist() == [60, 50]
    assert numbers.max(axis=0).tolist() == [100, 150]
    assert border(np.zeros((224, 224), bool)) == ""


def test_curves_hold_every_run(runs: list[Path]) -> None:
    read = [read_run(path) for path in runs]
    panels = loss_panels(read, ["a", "b", "c"])
    assert [[line.title for line in panel.lines] for panel in panels] == [["a", "b"], ["c"]]
    (validation,) = validation_panels(read, ["a", "b", "c"])
    assert [line.run for line in validation.lines] == [0, 1, 2]
    heights = [float(point.split(",")[1]) for point in panels[0].lines[0].smooth[1:].split("L")]
    assert heights[-1] > heights[0]  # SVG's y points down: the loss fell


def test_losses_that_were_never_finite_have_no_drawing(invent: Callable[..., Path]) -> None:
    folder = invent("diverged")
    log = folder / "metrics.jsonl"
    log.write_text(re.sub(r"(\"total\"|\"ciou50\"): [\d.e-]+", r"\1: NaN", log.read_text()))
    read = [read_run(folder)]
    assert loss_panels(read, ["a"]) == validation_panels(read, ["a"]) == []


def test_a_protocol_of_a_later_version_is_told_in_words() -> None:
    known = find_protocol("ezvsl").as_json()
    assert as_protocol(known | {"view": "squash"}) == find_protocol("ezvsl")
    for later in ({"sharpened": True}, {"rule": "best_half"}):
        with pytest.raises(InputError, match="under the protocol ezvsl cannot be drawn"):
            scored_mask(np.zeros((7, 7), np.float32), known | later, 25088)


@pytest.mark.parametrize("protocol", ["adaptive", "ezvsl"])
@pytest.mark.parametrize("consensus", [1, 2])
@pytest.mark.parametrize("shown", [(0.0, 0.0, 1.0, 1.0), (0.125, 0.0, 0.875, 1.0)])
def test_the_mask_that_is_drawn_is_the_one_that_was_scored(
    protocol: str, consensus: int, shown: tuple[float, ...], tmp_path: Path
) -> None:
    """Also where a pixel that one annotator alone chose counts half."""
    boxes = ((0.1, 0.2, 0.6, 0.7), (0.4, 0.4, 0.9, 0.9))
    annotation = Annotation("one", None, boxes, consensus, shown=shown)
    raw = np.random.default_rng(0).normal(size=(1, 7, 7)).astype(np.float32)
    result = score(RawMaps(["one"], raw), Truth("flickr", TestSet("mine", (annotation,), "m", "0" * 64)), protocol)
    evaluation = Evaluation(result.write(tmp_path), result.summary)
    mask = drawn_mask("one", raw[0], Maps(("one",), raw, {"one": boxes}, {"one": shown}), evaluation)
    assert ciou(mask[None], weight_map(annotation)[None])[0] == evaluation.ious["audio_visual"]["one"]
