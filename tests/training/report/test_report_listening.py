"""The page and the tables of runs that were asked whether they listen."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from manifests.truth import Truth
from training.evaluated import save_controls
from training.evaluation.control_maps import ControlMaps
from training.evaluation.listening import CONTROLS, OFF_SCREEN, SWAPPED
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.report.comparison import as_text, comparisons
from training.report.foreign_sounds import Heard, Triple
from training.report.listening import listening_plots
from training.report.page import write_report
from training.report.results import read_run
from training.report.sources import PlayableAudio

from .conftest import Invented, make_maps, make_run, truth_of


@pytest.fixture(scope="module")
def asked(tmp_path_factory, scenes):
    """A deaf run and one that is quiet under every foreign sound."""
    root, found = tmp_path_factory.mktemp("asked"), []
    truth, names = Truth("vggss", truth_of(scenes)), [scene.annotation.key for scene in scenes]
    for name, loudness in (("deaf", 1.0), ("listens", 0.1)):
        folder = make_run(root, scenes, Invented(name))
        maps = make_maps(scenes, 1.0, seed=3)
        controls = {control: maps if control == SWAPPED else loudness * maps for control in CONTROLS}
        answers = ControlMaps(RawMaps(names, maps), controls)
        score(answers, truth, "vssl").write(folder / "evaluation")
        donors = {OFF_SCREEN: dict(zip(names, names[1:] + names[:1], strict=True))}
        save_controls(folder / "evaluation" / "synth-vggss.controls.npz", answers, [donors])
        found.append(folder)
    return found


def test_one_line_says_how_much_depends_on_the_sound(asked):
    runs = [read_run(path) for path in asked]
    (table,) = [one for one in comparisons(runs, ["deaf", "listens"]) if one.protocol == "vssl"]
    said = [note for note in table.notes if "depends on the sound" in note]
    assert len(said) == 2
    heard = {line.run: line.values["hears"] for line in table.lines if "hears" in line.values}
    assert heard["deaf"] < 0.2 < heard["listens"]
    assert f"listens hears: {heard['listens']:.2f} of what it shows depends on the sound." in as_text(table)


def test_every_run_and_floor_has_its_place_in_the_plot(asked):
    (plot,) = listening_plots([read_run(path) for path in asked], ["deaf", "listens"])
    points = {point.title: point for point in plot.points}
    assert {"deaf", "listens", "centred disc", "whole image", "nothing"} == points.keys()
    assert points["listens"].y < points["deaf"].y <= points["centred disc"].y  # drawings count from the top
    assert points["centred disc"].run is None
    floors = [point for point in plot.points if point.run is None]
    assert [point.letter for point in floors] == list("abc")
    assert len({(round(point.x / 13), point.above) for point in floors}) == len(floors)  # no letter covers another


def test_a_run_that_was_shown_no_foreign_sound_is_named_and_floors_say_no_more_than_it(scenes, shards, tmp_path):
    truth, names = Truth("vggss", truth_of(scenes)), [scene.annotation.key for scene in scenes]
    folder, maps = make_run(tmp_path, scenes, Invented("lonely")), make_maps(scenes, 1.0, seed=3)
    answers = ControlMaps(RawMaps(names, maps), {"silence": maps, OFF_SCREEN: np.full_like(maps, np.nan)})
    score(answers, truth, "vssl").write(folder / "evaluation")
    (plot,) = listening_plots([read_run(folder)], ["lonely"])
    assert (plot.points, plot.unknown) == ((), ("lonely",))
    index, _ = write_report([folder], shards, tmp_path / "page")
    assert "Not known of lonely" in index.read_text()


def test_the_page_shows_one_image_under_three_sounds_with_players(asked, shards, tmp_path):
    page, _ = write_report(asked, shards, tmp_path)
    text = page.read_text()
    assert "Does it listen?" in text
    assert "The same image, three sounds" in text
    assert text.count("Silence: there is nothing to play.") == 8
    assert "a foreign sound, " in text
    assert "masks under the own and the foreign sound share " in text
    assert text.count(" shown</span>") == 24  # two runs, four clips, three sounds


def test_a_best_epoch_is_shown_under_three_sounds_too_and_what_is_gone_is_said(asked, shards, tmp_path):
    folder = shutil.copytree(asked[0], tmp_path / "early" / asked[0].name)
    best, written = folder / "evaluation" / "best", folder / "evaluation" / "synth-vggss.vssl.json"
    best.mkdir()
    for path in (folder / "evaluation").glob("synth-vggss*"):
        path.rename(best / path.name)
    facts = json.loads((best / written.name).read_text()) | {"weights": "best"}
    (best / written.name).write_text(json.dumps({name: facts[name] for name in facts if name != "sha256"}))
    text = write_report([folder], shards, tmp_path / "page")[0].read_text()
    assert text.count(" shown</span>") == 12
    assert "deaf, best epoch" in text
    assert "the files are gone" not in text
    (best / "synth-vggss.controls.npz").unlink()
    text = write_report([folder], shards, tmp_path / "page")[0].read_text()
    assert "synth-vggss.controls.npz of deaf" in text


def test_a_page_without_such_runs_says_nothing_of_listening(runs, shards, tmp_path):
    page, _ = write_report(runs[:1], shards, tmp_path)
    assert "Does it listen?" not in page.read_text()
    assert np.isfinite(page.stat().st_size)


def test_a_card_says_when_nothing_passes_the_threshold():
    heard = tuple(
        Heard(name, "", PlayableAudio(None, ""), share) for name, share in zip("abc", (0, 0.5, 0), strict=True)
    )
    card = Triple("run", "key", "label", "", 1, 1, (0, 0, 1, 1), 1.0, heard)
    assert "nothing passes the threshold under either sound" in card.agreement
    again = replace(card, heard=(replace(heard[0], shown=0.1), *heard[1:]))
    assert "share 1.00" in again.agreement


def test_a_set_on_which_no_map_can_win_has_a_page(scenes, shards, tmp_path):
    """Small boxes under the top half of the image: every floor and the ceiling are 0."""
    tiny = [replace(scene, annotation=replace(scene.annotation, boxes=((0.4, 0.4, 0.5, 0.5),))) for scene in scenes]
    folder = make_run(tmp_path, tiny, Invented("lost"))
    index, _ = write_report([folder], shards, tmp_path / "page")
    assert "ceiling 0" in index.read_text()
