"""The page and the tables of runs that were asked whether they listen."""

import json
import shutil
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest

from manifests.sound_draws import CONTROLS, OFF_SCREEN, SWAPPED
from manifests.test_sets import Truth
from training.evaluated import save_controls
from training.evaluation.control_maps import ControlMaps
from training.evaluation.printing import table as printed
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.report.comparison import as_text, comparisons
from training.report.foreign_sounds import Heard, Triple
from training.report.listening import COLOURS, across, listening_plots, up
from training.report.page import write_report
from training.report.results import Evaluation, read_run
from training.report.sources import PlayableAudio

from .conftest import Invented, make_maps, make_run, truth_of


@pytest.fixture(scope="module")
def asked(tmp_path_factory, scenes):
    """A deaf run and one that is quiet under every foreign sound."""
    root = tmp_path_factory.mktemp("asked")
    return [ask(make_run(root, scenes, Invented(name)), scenes, loud) for name, loud in (("deaf", 1), ("listens", 0.1))]


def ask(folder, scenes, loudness, seed=3):
    """The folder of a run whose maps are so loud under every sound that is not of the class."""
    truth, names = Truth("vggss", truth_of(scenes)), [scene.annotation.key for scene in scenes]
    maps = make_maps(scenes, 1.0, seed=seed)
    controls = {control: maps if control == SWAPPED else loudness * maps for control in CONTROLS}
    answers = ControlMaps(RawMaps(names, maps), controls)
    score(answers, truth, "vssl").write(folder / "evaluation")
    donors = {OFF_SCREEN: dict(zip(names, names[1:] + names[:1], strict=True))}
    save_controls(folder / "evaluation" / "synth-vggss.controls.npz", answers, [donors])
    return folder


@pytest.fixture(scope="module")
def seeds(tmp_path_factory, scenes):
    """Three runs that differ by their seed alone, and hear more from one to the next."""
    root = tmp_path_factory.mktemp("seeds")
    folders = [make_run(root, scenes, Invented("same", seed=seed)) for seed in range(3)]
    return [read_run(ask(folder, scenes, 0.9 - 0.3 * seed, seed)) for seed, folder in enumerate(folders)]


def scores_of(run):
    (facts,) = [one.facts for one in run.every_evaluation if one.protocol == "vssl"]
    return facts["scores"]["audio_visual"]


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


def test_seeds_are_one_dot_at_their_mean_with_lines_to_the_lowest_and_the_highest(seeds, asked):
    deaf = read_run(asked[0])
    (plot,) = listening_plots([*seeds, deaf], ["one", "two", "three", "deaf"])
    points = {point.title: point for point in plot.points if point.run is not None}
    assert {title: point.run for title, point in points.items()} == {"same, 3 seeds": 0, "deaf": 3}
    assert points["deaf"].seeds == ()
    heard, located = ([scores_of(run)[name] for run in seeds] for name in ("hears", "vssl_ciou"))
    mean = points["same, 3 seeds"]
    assert (mean.hears, mean.located) == (pytest.approx(fmean(heard)), pytest.approx(fmean(located)))
    assert (mean.x, mean.y) == (across(mean.located), up(mean.hears))
    wide, high = mean.seeds
    assert wide == (across(min(located)), mean.y, across(max(located)), mean.y)
    assert high == (mean.x, up(min(heard)), mean.x, up(max(heard)))
    spread = f"{fmean(heard):.2f} ± {stdev(heard):.2f} ({min(heard):.2f} .. {max(heard):.2f})"
    assert mean.heard == f"hears: {spread} of what it shows depends on the sound"


def test_seeds_have_one_line_on_how_much_they_hear(seeds, tmp_path):
    (table,) = [one for one in comparisons(seeds, ["one", "two", "three"]) if one.protocol == "vssl"]
    (said,) = [note for note in table.notes if "depends on the sound" in note]
    (plot,) = listening_plots(seeds, ["one", "two", "three"], [seeds[0].path.with_name("0123abcd-s7")])
    (point,) = [point for point in plot.points if point.run is not None]
    assert said == f"same, 3 seeds {point.heard}."
    assert point.title == "same, 3 of 4 seeds"
    index, _ = write_report([run.path for run in seeds], None, tmp_path)
    legend = index.read_text().partition('<ul class="legend heard">')[2].partition("</ul>")[0]
    assert legend.count("depends on the sound") == 1
    assert point.heard in legend


def test_seeds_of_which_one_does_not_know_how_much_it_hears_speak_for_themselves(seeds, scenes):
    told, mute = seeds[:2]
    (facts,) = [one.facts for one in mute.every_evaluation if one.protocol == "vssl"]
    own = facts | {"scores": {"audio_visual": scores_of(mute) | {"hears": None}}}
    mute = replace(mute, every_evaluation=(Evaluation(mute.path, own),))
    (plot,) = listening_plots([told, mute], ["told", "mute"])
    assert [point.title for point in plot.points if point.run is not None] == ["told"]
    assert plot.unknown == ("mute",)
    (table,) = [one for one in comparisons([told, mute], ["told", "mute"]) if one.protocol == "vssl"]
    assert [note.partition(" hears")[0] for note in table.notes if "depends on" in note] == ["told"]


def test_dots_share_a_colour_only_where_there_are_more_than_colours(seeds):
    def titles(count):
        runs = [
            replace(seeds[at % 2], path=seeds[0].path.parent / f"{at // 2:08x}-s{at % 2}") for at in range(2 * count)
        ]
        (plot,) = listening_plots(runs, [str(at) for at in range(len(runs))])
        return [point.run for point in plot.points if point.run is not None]

    assert titles(5) == [0, 2, 4, 6, 9]
    assert len({run % COLOURS for run in titles(9)}) == COLOURS


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


def test_a_run_whose_mean_ciou_is_not_known_has_no_place_and_is_named(scenes, shards, tmp_path):
    """Under undefined=nan a clip without truth and with nothing shown leaves no mean."""
    empty = [replace(scene, annotation=replace(scene.annotation, boxes=((0.5, 0.5, 0.5, 0.5),))) for scene in scenes]
    protocol = "vssl_ssltie_fixed+undefined=nan"
    folders = [make_run(tmp_path, scenes, Invented("same", seed=seed)) for seed in range(2)]
    for folder, loudness in zip(folders, (-9, 9), strict=True):  # the first shows nothing, the other something
        truth, names = Truth("vggss", truth_of([*empty[:1], *scenes[1:]])), [one.annotation.key for one in scenes]
        maps = loudness * np.abs(make_maps(scenes, 1.0, seed=3))
        result = score(ControlMaps(RawMaps(names, maps), dict.fromkeys(CONTROLS, maps)), truth, protocol)
        result.write(folder / "evaluation")
        said = " ".join(printed(result.summary).split())
        lacks = "audio visual has no mean cIoU, own threshold, AUC, own threshold, F_LOC, F_AUC"
        assert (lacks in said) == (loudness < 0)
    runs = [read_run(folder) for folder in folders]
    (plot,) = listening_plots(runs, ["quiet", "loud"])
    assert plot.unplaced == ("quiet",)
    assert [point.located for point in plot.points if point.run is not None]
    (table,) = [one for one in comparisons(runs, ["quiet", "loud"]) if one.protocol == protocol]
    assert any("quiet: audio visual has no mean cIoU" in note for note in table.notes)
    assert any("seed 0 has no mean cIoU, own threshold" in note for note in table.notes)
    index, _ = write_report(folders, shards, tmp_path / "page")
    assert "as their mean cIoU is not known" in index.read_text()
