"""A run that is shown the square in the middle of frames: maps, truth, files, pages and comparisons follow."""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copy, copytree

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from earlier_versions import without_checksum
from made_duets import write_duets
from PIL import Image
from tiny_run import train_tiny
from typer.testing import CliRunner

from index.embeddings import Embeddings
from manifests.errors import InputError
from manifests.truth import read_truth
from manifests.views import window
from pipeline.shards.record import FRAME
from pipeline.shards.store import ShardStore
from training.cli import app
from training.config import Encoder, ObjectPrior, load_config
from training.data.evaluation_pairs import found_pairings
from training.data.views import decode_image, shown
from training.embed import embed
from training.encoders.resnet import ImageTrunk
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.raw_maps import load_arrays
from training.export.folder import Wanted, export
from training.predict import predict
from training.report.comparison import as_text, chosen, comparisons
from training.report.page import write_report
from training.report.results import read_run, run_titles
from training.report.tables import score_tables
from training.runs import LoadedRun, load_run
from training.score_file import score_file

VIEWED = {"batch_size": 4, "view": "centre_crop"}
PART = window("centre_crop", 64, 80, 32).part  # 40 columns, of which 4 to 36 are shown


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("viewed"), shards, evaluation=VIEWED).folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> LoadedRun:
    """A copy for each test: what one evaluates is no result of another, in whatever order they run."""
    return load_run(copytree(trained, tmp_path / "runs" / trained.parent.name / trained.name))


@pytest.fixture(scope="module")
def keys(store: ShardStore) -> list[str]:
    columns = (store.table[name].to_pylist() for name in ("key", "split"))
    return [key for key, split in zip(*columns, strict=True) if split == "test"]


@pytest.fixture(scope="module")
def vggss(keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first clip's box lies wholly outside, the second's across the border, the others' within."""
    boxes = [(0.0, 0.1, 0.05, 0.9), (0.0, 0.0, 0.5, 0.5)] + [(0.3, 0.25, 0.6, 0.75)] * (len(keys) - 2)
    entries = [{"file": key, "class": "dog", "bbox": [list(box)]} for key, box in zip(keys, boxes, strict=True)]
    path = tmp_path_factory.mktemp("truth") / "vggss.json"
    path.write_text(json.dumps(entries))
    return path


def request(vggss: Path, *protocols: str, view: str | None = None) -> EvaluationRequest:
    return EvaluationRequest(truth=vggss, test_set="mine", protocols=protocols or ("ezvsl",), view=view)


def test_the_truth_is_that_of_the_crop(run: LoadedRun, vggss: Path, keys: list[str]) -> None:
    (result,) = evaluate(run, request(vggss))
    rows = {row["key"]: row for row in result.table.to_pylist() if row["map"] == "audio_visual"}
    across = 224 * (20 - 4) / 32  # columns of the box that are shown, of 224
    assert rows[keys[1]]["area"] == pytest.approx(across * 112 / 224**2)
    assert rows[keys[2]]["area"] == pytest.approx(112 * (int(224 * 20 / 32) - int(224 * 8 / 32)) / 224**2)
    assert rows[keys[0]]["flags"] == ["empty_truth", "outside_view"]
    assert (result.summary["n_scored"], result.summary["n_empty_truth"]) == (16, 1)
    assert result.summary["protocol"]["view"] == "centre_crop"
    assert result.summary["ceiling"]["ciou50"] <= 15 / 16


def test_maps_prior_and_embeddings_come_from_the_crop(run: LoadedRun, vggss: Path, store: ShardStore) -> None:
    pairings = found_pairings(store, read_truth(vggss, "vggss"))
    cropped, squashed = predict(run, store, pairings), predict(run.viewing("squash"), store, pairings)
    assert cropped.shown.tolist() == [list(PART)] * 16
    assert squashed.shown.tolist() == [[0, 0, 1, 1]] * 16
    assert not np.allclose(cropped.image_embeddings, squashed.image_embeddings)
    assert np.allclose(cropped.audio_embeddings, squashed.audio_embeddings)
    frame = decode_image(store.read(pairings[0].image_row, FRAME))
    assert shown(frame, 64, "centre_crop").equal(frame[:, :, 8:72])


def test_two_views_share_no_file_no_table_and_no_gallery_tile(
    run: LoadedRun, vggss: Path, shards: Path, tmp_path: Path
) -> None:
    evaluate(run, request(vggss, "ezvsl", "retrieval"))
    evaluate(run, request(vggss, "ezvsl", "retrieval", view="squash"))
    folder = run.folder / "evaluation"
    views = {name: json.loads((folder / name).read_text())["protocol"]["view"] for name in
             ("mine.ezvsl.json", "mine.centre_crop.ezvsl.json", "mine.centre_crop.retrieval.json")}  # fmt: skip
    assert list(views.values()) == ["squash", "centre_crop", "centre_crop"]
    read = [read_run(run.folder)]
    tables = score_tables(read, run_titles(read))
    assert sorted(table.measured for table in tables) == ["ezvsl", "ezvsl, centre_crop"]
    text = "\n".join(map(as_text, chosen(comparisons(read, run_titles(read)), read, "mine", "ezvsl")))
    assert "mine under ezvsl (" in text
    assert "mine under ezvsl, centre_crop (" in text
    page = write_report([run.folder], shards, tmp_path / "page")[0].read_text()
    assert "The model was shown the square in the middle of the frame" in page
    assert "The model was shown the whole frame, made square" in page
    assert page.count('class="unseen"') == page.count("not shown to the model") > 0
    assert 'transform="translate(8.0 0.0) scale(0.28571 0.28571)"' in page  # 64 of 80 columns, from the 8th on


def test_an_older_result_counts_as_squashed(run: LoadedRun, vggss: Path) -> None:
    evaluate(run, request(vggss, view="squash"))
    path = run.folder / "evaluation" / "mine.ezvsl.json"
    facts = json.loads(path.read_text())
    now = read_run(run.folder).every_evaluation
    del facts["protocol"]["view"]
    path.write_text(json.dumps(facts))
    without_checksum(path)
    before = read_run(run.folder).every_evaluation
    assert [one.comparable for one in now] == [one.comparable for one in before]


def test_what_is_finished_is_read_for_its_own_view(run: LoadedRun, vggss: Path) -> None:
    (first,) = evaluate(run, request(vggss, "kaist"))
    path = run.folder / "evaluation" / "mine.centre_crop.kaist.json"
    written = path.stat().st_mtime_ns
    (again,) = evaluate(run, request(vggss, "kaist"))
    assert again.table.equals(first.table)
    assert path.stat().st_mtime_ns == written
    (other,) = evaluate(run, request(vggss, "kaist", view="squash"))
    assert not other.table["area"].equals(first.table["area"])


def test_saved_maps_score_alike_in_score(run: LoadedRun, vggss: Path, tmp_path: Path) -> None:
    (result,) = evaluate(run, request(vggss))
    maps = run.folder / "evaluation" / "mine.centre_crop.maps.npz"
    found = score_file(maps, vggss, "vggss", "ezvsl", tmp_path / "scores.json", test_set="mine")
    assert found["protocol"]["view"] == "centre_crop"
    assert found["unused_arrays"] == []
    assert found["scores"] == result.summary["scores"]
    assert found["n_empty_truth"] == 1
    arrays = load_arrays(maps)
    np.savez(tmp_path / "wrong.npz", names=arrays["names"], maps=arrays["maps"], view="centre_crop")
    with pytest.raises(InputError, match="x1, y1, x2, y2 as fractions"):
        score_file(tmp_path / "wrong.npz", vggss, "vggss", "ezvsl", tmp_path / "scores.json")


def test_pixel_masks_and_several_sources_are_cut_too(run: LoadedRun, keys: list[str], tmp_path: Path) -> None:
    rows = ["name,video,audio"]
    for number, key in enumerate(keys[:5]):
        path = tmp_path / f"s4_data/gt_masks/test/dog/v/v_{number + 1}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.indices((64, 80))[1] < 40).astype(np.uint8) * 255).save(path)
        rows.append(f"dog/v/v_{number + 1},{key},{key}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    (masks,) = evaluate(
        run, EvaluationRequest(truth=tmp_path / "s4_data", format="avsbench", pairs=tmp_path / "pairs.csv")
    )
    areas = [row["area"] for row in masks.table.to_pylist()]
    assert areas == pytest.approx([(20 - 4) / 32] * len(areas), abs=0.01)

    boxes = [{"normbox": [0.0, 0.1, 0.05, 0.5], "category_id": 1}, {"normbox": [0.4, 0.1, 0.2, 0.5], "category_id": 8}]
    write_duets(tmp_path, keys, boxes)
    (several,) = evaluate(
        run,
        EvaluationRequest(
            truth=tmp_path / "duet.json", format="music", pairs=tmp_path / "music.csv",
            references=tmp_path / "references.csv", protocols=("music_duet",),
        ),
    )  # fmt: skip
    assert several.summary["protocol"]["view"] == "centre_crop"
    known = {"ciou30": 1.0, "ciou50": 1.0, "auc": 0.525, "mean_ciou": 0.5}
    assert {name: several.summary["ceiling"][name] for name in known} == pytest.approx(known)
    assert max(row["iou"] for row in several.table.to_pylist()) <= 0.5


def test_embeddings_of_another_view_are_others(run: LoadedRun, store: ShardStore, tmp_path: Path) -> None:
    assert embed(run, store, tmp_path / "embeddings")[1]
    assert not embed(run, store, tmp_path / "embeddings")[1]
    assert embed(run.viewing("squash"), store, tmp_path / "embeddings")[1]
    assert "centre_crop" not in json.loads((tmp_path / "embeddings" / "meta.json").read_text())["encoder"]


def test_embeddings_under_the_map_are_others_and_say_so(run: LoadedRun, store: ShardStore, tmp_path: Path) -> None:
    embed(run, store, tmp_path / "mean")
    assert embed(run, store, tmp_path / "map", under_map=True)[1]
    assert not embed(run, store, tmp_path / "map", under_map=True)[1]
    mean, under = Embeddings.open(tmp_path / "mean"), Embeddings.open(tmp_path / "map")
    assert under.meta["encoder"] == f"{mean.meta['encoder']}, under its map"
    np.testing.assert_allclose(under.audio, mean.audio, atol=1e-6)
    own = (under.image * under.audio).sum(axis=1), (mean.image * mean.audio).sum(axis=1)
    assert own[0].mean() > own[1].mean()  # nearer to their sound than the whole image is


def test_the_command_says_the_view_and_takes_another(run: LoadedRun, vggss: Path) -> None:
    line = ["evaluate", str(run.folder), "--truth", str(vggss), "--protocol", "lvs", "--device", "cpu"]
    said = CliRunner().invoke(app, line).output
    assert "view: centre_crop, the square in the middle of the frame" in said
    assert "1 with outside view" not in said
    assert "2 with outside view" in said
    said = CliRunner().invoke(app, [*line, "--view", "squash"]).output
    assert "view: squash, the whole frame, made square" in said
    with pytest.raises(InputError, match="Did you mean centre_crop"):
        evaluate(run, request(vggss, view="centercrop"))


@pytest.mark.parametrize(
    ("view", "names"),
    [
        ("centre_crop", ("lvs", "lvs_as_paper", "lvs_flickr_144k", "lvs_vggss_heard", "ssltie", "ssltie_heard",
                         "ssltie_scale_once", "sspl_flickr_10k", "sspl_flickr_144k", "sspl_without_pcm_flickr_144k")),
        ("squash", ("ezvsl", "slavc", "fnac", "alignment", "hardpos", "lvs_vanilla", "sspl", "sspl_without_pcm",
                    "lvs_music", "demo", "centred_disc")),
    ],
)  # fmt: skip
def test_packaged_configs_show_frames_as_their_authors_do(view: str, names: tuple[str, ...]) -> None:
    assert {name: load_config(name).evaluation.view for name in names} == dict.fromkeys(names, view)


def test_an_unknown_view_is_a_mistake_of_the_config() -> None:
    with pytest.raises(InputError, match=r"evaluation\.view: .*'squash' or 'centre_crop'"):
        load_config("ezvsl", ("evaluation.view=crop",))


def test_epochs_are_chosen_on_clips_seen_in_the_same_view(shards: Path, vggss: Path, tmp_path: Path) -> None:
    validation = {"truth": vggss, "protocol": "textbook"}
    run = train_tiny(tmp_path, shards, optim={"epochs": 2}, evaluation=VIEWED, validation=validation)
    history = list(json.loads((run.folder / "validation.centre_crop.json").read_text()).values())
    assert not (run.folder / "validation.json").exists()  # where scores of another view would stand
    (last,) = evaluate(run, request(vggss, "textbook"))
    (best,) = evaluate(load_run(run.folder, weights="best"), request(vggss, "textbook"))
    assert history[-1] == last.summary["scores"]["audio_visual"]["ciou50"]
    assert max(history) == best.summary["scores"]["audio_visual"]["ciou50"]
    assert last.summary["n_empty_truth"] == 1  # of the crop


def test_embeddings_of_other_clips_are_made_again(run: LoadedRun, store: ShardStore, tmp_path: Path) -> None:
    """A rule may give a run's split other clips than when its embeddings were made; names and hashes stay the same."""
    embed(run, store, tmp_path / "embeddings")
    table = pq.read_table(tmp_path / "embeddings" / "keys.parquet")
    pq.write_table(table.slice(3), tmp_path / "embeddings" / "keys.parquet")
    assert embed(run, store, tmp_path / "embeddings") == (len(table), True)
    assert embed(run, store, tmp_path / "embeddings") == (len(table), False)


def test_a_result_of_another_object_prior_is_made_again(run: LoadedRun, vggss: Path, tmp_path: Path) -> None:
    path = run.folder / "evaluation" / "mine.centre_crop.ezvsl.json"

    def made_again(**prior: object) -> bool:
        before = path.stat().st_mtime_ns if path.exists() else 0
        evaluation = run.config.evaluation.model_copy(update={"object_prior": ObjectPrior(**prior) if prior else None})
        evaluate(replace(run, config=run.config.model_copy(update={"evaluation": evaluation})), request(vggss))
        return path.stat().st_mtime_ns != before

    first, same, other = (str(tmp_path / f"{name}.pth") for name in ("first", "same", "other"))
    torch.save(ImageTrunk(Encoder()).state_dict(), first)
    copy(first, same)
    torch.save(ImageTrunk(Encoder()).state_dict(), other)
    assert made_again(weights=first, alpha=0.4)
    assert not made_again(weights=same, alpha=0.4)
    assert made_again(weights=first, alpha=1.0)
    assert made_again(weights=other, alpha=1.0)
    with pytest.raises(InputError, match=r"mine\.centre_crop\.ezvsl\.json of .* another object prior"):
        export(run, Wanted(tmp_path / "model"))
    facts = json.loads(path.read_text())
    del facts["lists"]["object_prior"]  # as earlier versions wrote it
    path.write_text(json.dumps(facts))
    without_checksum(path)
    assert made_again(weights=other, alpha=1.0)
    assert made_again()
    assert not made_again()


def test_results_beside_new_ones_that_were_made_otherwise_are_named(
    run: LoadedRun, vggss: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(ImageTrunk(Encoder()).state_dict(), tmp_path / "prior.pth")
    prior = ObjectPrior(weights=str(tmp_path / "prior.pth"))
    evaluation = run.config.evaluation.model_copy(update={"object_prior": prior})
    other = replace(run, config=run.config.model_copy(update={"evaluation": evaluation}))
    evaluate(run, request(vggss, "ezvsl", "adaptive"))
    assert "made with the same" not in capsys.readouterr().out
    evaluate(other, request(vggss, "adaptive"))
    said = capsys.readouterr().out
    assert "mine.centre_crop.adaptive.json, mine.centre_crop.ezvsl.json in" in said
    assert "were not all made with the same shards, pairs, object prior and alpha" in said
    assert read_run(run.folder).made_otherwise == [["mine.centre_crop.adaptive.json", "mine.centre_crop.ezvsl.json"]]
    evaluate(other, request(vggss, "ezvsl"))
    assert "made with the same" not in capsys.readouterr().out
