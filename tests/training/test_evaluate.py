"""`training evaluate` on every kind of test set, over made-up clips: files, counts, the same path as foreign maps take,
and the same numbers from one process and two."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scored_files import maps_in
from tiny_run import train_tiny

from manifests.commands.counting import counted
from manifests.errors import InputError
from manifests.files.checksums import KEY
from manifests.truth import read_truth
from pipeline.shards.store import ShardStore
from training.evaluate import EvaluationRequest, evaluate
from training.evaluation.printing import left_out_in_words, table
from training.evaluation.tasks import score
from training.report.results import Evaluation, read_run
from training.runs import LoadedRun
from training.score_file import score_file


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return train_tiny(tmp_path_factory.mktemp("evaluated"), shards, evaluation={"batch_size": 4})


@pytest.fixture(scope="module")
def clips(store: ShardStore) -> list[tuple[str, str]]:
    """Key and class of the sixteen test clips."""
    columns = (store.table[name].to_pylist() for name in ("key", "label", "split"))
    return [(key, label) for key, label, split in zip(*columns, strict=True) if split == "test"]


@pytest.fixture
def vggss(clips, tmp_path: Path) -> Path:
    entries = [{"file": key, "class": label, "bbox": [[0.2, 0.25, 0.6, 0.75]]} for key, label in clips]
    path = tmp_path / "vggss.json"
    path.write_text(json.dumps(entries))
    return path


def content_name(path: Path, name: str = "vggss") -> str:
    """What a made-up set is called: it is not the released one, so its hash is part of the name."""
    return f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def written(run: LoadedRun, name: str) -> dict:
    return json.loads((run.folder / "evaluation" / f"{name}.json").read_text())


def test_the_saved_maps_score_as_the_run_did(run, vggss) -> None:
    (result,) = evaluate(run, EvaluationRequest(truth=vggss, protocols=("kaist",)))
    again = score(
        maps_in(run.folder / f"evaluation/{content_name(vggss)}.maps.npz"), read_truth(vggss, "vggss"), "kaist"
    )
    assert again.table.equals(result.table)
    assert written(run, f"{content_name(vggss)}.kaist")["n_scored"] == 16


def test_negative_pairs_take_image_and_audio_of_two_clips(run, vggss, clips, store, tmp_path: Path) -> None:
    keys = [key for key, _ in clips]
    pairs = [(keys[0], keys[1]), (keys[1], keys[5]), ("notthere000_000001", "notthere000_000001")]
    lines = ["video,audio,label", *(f"{video},{audio},non-sounding" for video, audio in pairs)]
    (tmp_path / "silent.csv").write_text("\r\n".join(lines))
    request = EvaluationRequest(
        truth=vggss, negatives=tmp_path / "silent.csv", protocols=("slavc_relative", "onscreen")
    )
    extended, onscreen = evaluate(run, request)
    silent = f"extended_{content_name(vggss)}"
    assert extended.summary["negatives"]["missing"] == ["notthere000_000001+notthere000_000001"]
    assert set(extended.summary["extended"]["audio_visual"]["by_negative_type"]) <= {"easy", "hard"}
    assert written(run, f"{silent}.slavc_relative")["extended"]["audio_visual"]["n_negative"] == 2
    assert onscreen.summary["n_mismatched"] == 2
    maps = maps_in(run.folder / f"evaluation/{silent}.maps.npz")
    row = {name: position for position, name in enumerate(maps.names)}
    assert not np.allclose(maps.maps[row[f"{keys[0]}+{keys[1]}"]], maps.maps[row[keys[0]]])
    assert maps.maps.shape[0] == 18


def test_retrieval_and_onscreen_without_a_list_of_negatives(run, vggss) -> None:
    request = EvaluationRequest(truth=vggss, protocols=("retrieval", "retrieval_max", "onscreen"))
    retrieval, by_max, onscreen = evaluate(run, request)
    for result in (retrieval, by_max):
        scores = result.summary["scores"]
        assert set(scores) == {"image_to_audio", "audio_to_image", "image_to_audio_class", "audio_to_image_class"}
        for direction in ("image_to_audio", "audio_to_image"):
            ranks = np.array(result.table[direction])
            assert scores[direction]["R@5"] == (ranks <= 5).mean()
            assert scores[f"{direction}_class"]["R@1"] >= scores[direction]["R@1"]
        assert result.summary["floors"]["chance"]["R@1"] == 1 / 16
    maps = maps_in(run.folder / f"evaluation/{content_name(vggss)}.maps.npz").maps
    own = np.array(by_max.table["image_to_audio"])
    assert own.shape == (16,)
    assert (
        written(run, f"{content_name(vggss)}.retrieval_max")["protocol"]["similarity"]
        != retrieval.summary["protocol"]["similarity"]
    )
    assert onscreen.summary["n_mismatched"] == 16
    assert onscreen.summary["floors"]["one answer always"]["accuracy"] == 0.5
    matching = np.array(onscreen.table["activation"])[np.array(onscreen.table["matching"])]
    np.testing.assert_allclose(matching, np.maximum(maps, 0).max(axis=(1, 2)), rtol=1e-6)


def test_heard_and_unheard_parts_carry_their_lists_names(run, vggss, clips, tmp_path: Path) -> None:
    lists = {"heard": clips[:6], "unheard": clips[6:]}
    for name, part in lists.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(key for key, _ in part))
    paths = tuple(tmp_path / f"{name}.txt" for name in lists)
    heard, unheard = evaluate(run, EvaluationRequest(truth=vggss, clips=paths, protocols=("ezvsl",)))
    assert (heard.summary["n_scored"], unheard.summary["n_scored"]) == (6, 10)
    assert written(run, f"{content_name(vggss)}-heard.ezvsl")["n_expected"] == 6
    (whole,) = evaluate(run, EvaluationRequest(truth=vggss, protocols=("ezvsl",)))
    scored = [(part.summary["n_scored"], part.summary["scores"]["audio_visual"]) for part in (heard, unheard)]
    both = sum(count * scores["mean_iou"] for count, scores in scored)
    assert both / 16 == pytest.approx(whole.summary["scores"]["audio_visual"]["mean_iou"])


def test_flickr_avsbench_music_and_is3(run, clips, tmp_path: Path) -> None:
    (tmp_path / "xml").mkdir()
    box = "<bbox><id>1</id><a>20</a><b>30</b><c>200</c><d>220</d></bbox>"
    for key, _ in clips:
        (tmp_path / "xml" / f"{key}.xml").write_text(f"<r><p>{box}</p><p>{box}</p></r>")
    results = evaluate(run, EvaluationRequest(truth=tmp_path / "xml", format="flickr"))
    assert [result.summary["protocol"]["name"] for result in results] == ["ezvsl", "adaptive"]
    assert results[0].summary["n_scored"] == 16
    assert results[0].summary["test_set"].startswith("flickr-")

    rows = ["name,video,audio"]
    for number, (key, label) in enumerate(clips[:10]):
        name = f"{label}/v{number // 5}/v{number // 5}_{number % 5 + 1}"
        path = tmp_path / "s4_data/gt_masks/test" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.indices((224, 224))[0] > 100 + number).astype(np.uint8) * 255).save(path)
        rows.append(f"{name},{key},{key}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    request = EvaluationRequest(truth=tmp_path / "s4_data", format="avsbench", pairs=tmp_path / "pairs.csv")
    (segmented,) = evaluate(run, request)
    assert segmented.summary["n_scored"] == 10
    assert set(segmented.summary["scores"]["audio_visual"]) >= {"miou", "f_data_set", "f_per_video"}

    names = [f"{key}_0_1000/frame_013/00411.jpg" for key, _ in clips]
    boxes = {"bbox": [{"normbox": [0.1, 0.1, 0.5, 0.5], "category_id": 1}]}
    (tmp_path / "solotest.json").write_text(json.dumps(dict.fromkeys(names, boxes)))
    named = zip(names, clips, strict=True)
    lines = ["name,video,audio", *(f"{name},{key},{key}" for name, (key, _) in named)]
    (tmp_path / "music.csv").write_text("\n".join(lines))
    (solo,) = evaluate(
        run, EvaluationRequest(truth=tmp_path / "solotest.json", format="music", pairs=tmp_path / "music.csv")
    )
    assert solo.summary["test_set"].startswith("music_solo-")
    assert solo.summary["protocol"]["name"] == "dsol"

    entries, lines = [], ["name,video,audio"]
    for number, (key, _) in enumerate(clips[:6]):
        for target, audio in (("a", key), ("b", clips[number + 1][0])):
            name = f"a_b_{number}_{target}"
            entries.append({"image": f"/mnt/images/{name}.jpg", "audio": "x", "gt_box": [10, 10, 100, 120]})
            lines.append(f"{name},{key},{audio}")
    (tmp_path / "is3.json").write_text(json.dumps(entries))
    (tmp_path / "is3.csv").write_text("\n".join(lines))
    kaist, adaptive = evaluate(
        run, EvaluationRequest(truth=tmp_path / "is3.json", format="is3", pairs=tmp_path / "is3.csv")
    )
    for result in (kaist, adaptive):
        found = result.summary["interactive"]["audio_visual"]
        assert (found["n_groups"], found["group_sizes"]) == (6, {"2": 6})
        assert found["iiou"] <= result.summary["scores"]["audio_visual"]["ciou50"]


def test_a_config_s_name_is_for_annotations_of_its_format(run, vggss) -> None:
    wanted = run.config.evaluation.model_copy(update={"format": "parquet", "test_set": "mine"})
    other = replace(run, config=run.config.model_copy(update={"evaluation": wanted}))
    (result,) = evaluate(other, EvaluationRequest(truth=vggss, protocols=("ezvsl",)))
    assert result.summary["test_set"] == content_name(vggss)
    assert result.summary["protocol"]["name"] == "ezvsl"


def test_results_of_different_truth_share_no_file(run, vggss, clips, tmp_path: Path) -> None:
    (whole,) = evaluate(run, EvaluationRequest(truth=vggss, test_set="mine", protocols=("ezvsl",)))
    entries = [{"file": key, "class": label, "bbox": [[0.2, 0.25, 0.6, 0.75]]} for key, label in clips[:2]]
    (tmp_path / "two.json").write_text(json.dumps(entries))
    (two,) = evaluate(run, EvaluationRequest(truth=tmp_path / "two.json", test_set="mine", protocols=("ezvsl",)))
    assert (whole.summary["n_scored"], two.summary["n_scored"]) == (16, 2)
    assert written(run, "mine.ezvsl")["n_scored"] == 16
    short = hashlib.sha256((tmp_path / "two.json").read_bytes()).hexdigest()[:8]
    assert written(run, f"mine@{short}.ezvsl")["n_scored"] == 2
    assert len(maps_in(run.folder / f"evaluation/mine@{short}.maps.npz").names) == 2
    read = read_run(run.folder)
    mine = sorted(
        (one for one in read.every_evaluation if one.test_set == "mine"), key=lambda one: one.facts["n_scored"]
    )
    assert [len(read.maps(one).names) for one in mine] == [2, 16]
    assert mine[0].comparable != mine[1].comparable


def test_results_with_and_without_negatives_share_no_file(run, vggss, clips, tmp_path: Path) -> None:
    """On screen or off is asked of other pairs; retrieval looks at none, so its one result stands for both."""
    keys = [key for key, _ in clips]
    (tmp_path / "silent.csv").write_text(f"video,audio,label\n{keys[0]},{keys[1]},non-sounding\n")
    given = {"truth": vggss, "test_set": "pairs", "protocols": ("onscreen", "retrieval")}
    alone, retrieval = evaluate(run, EvaluationRequest(**given))
    files = {path.name: path.stat().st_mtime_ns for path in (run.folder / "evaluation").glob("*pairs*")}
    request = EvaluationRequest(**given, negatives=tmp_path / "silent.csv")
    extended, again = evaluate(run, request)
    assert (alone.summary["test_set"], extended.summary["test_set"]) == ("pairs", "extended_pairs")
    assert extended.summary["negatives"] == {"n_expected": 1, "n_scored": 1, "missing": [], "kinds": {"easy": 1}}
    assert written(run, "pairs.onscreen")["n_mismatched"] == 16
    assert written(run, "extended_pairs.onscreen")["n_mismatched"] == 1
    assert again.summary["scores"] == retrieval.summary["scores"]
    assert not (run.folder / "evaluation" / "extended_pairs.retrieval.json").exists()
    assert "negatives" not in written(run, "pairs.retrieval")["lists"]
    (path,) = (run.folder / "evaluation").glob("extended_pairs.onscreen.json")
    before = path.stat().st_mtime_ns
    comparable = {one.comparable for one in read_run(run.folder).every_evaluation if "pairs" in one.test_set}
    assert len(comparable) == 3
    evaluate(run, request)  # both are finished
    assert path.stat().st_mtime_ns == before
    assert (run.folder / "evaluation" / "pairs.onscreen.json").stat().st_mtime_ns == files["pairs.onscreen.json"]


def test_wrong_requests_are_refused(run, vggss, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no test set"):
        evaluate(run, EvaluationRequest())
    with pytest.raises(InputError, match="no protocol 'best'"):
        evaluate(run, EvaluationRequest(truth=vggss, protocols=("best",)))
    with pytest.raises(InputError, match="holds a slash"):
        evaluate(run, EvaluationRequest(truth=vggss, test_set="a/b"))
    with pytest.raises(InputError, match="needs boxes by instrument"):
        evaluate(run, EvaluationRequest(truth=vggss, protocols=("music_duet",)))
    (tmp_path / "pairs.csv").write_text("name,video\na,b")
    with pytest.raises(InputError, match="Give a list of pairs"):
        evaluate(run, EvaluationRequest(truth=vggss, pairs=tmp_path / "pairs.csv"))
    other = [{"file": "elsewhere00_000001", "class": "dog", "bbox": [[0.1, 0.1, 0.9, 0.9]]}]
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match="none of the 1 clips"):
        evaluate(run, EvaluationRequest(truth=tmp_path / "other.json"))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [4, 16])
def test_two_processes_score_every_sample_once(run, vggss, clips, tmp_path, batch) -> None:
    """16 samples in batches of 4 share out whole batches; one batch of 16 is shared sample by sample."""
    (tmp_path / "silent.csv").write_text(f"video,audio,label\n{clips[0][0]},{clips[1][0]},non-sounding\n")
    request = EvaluationRequest(truth=vggss, negatives=tmp_path / "silent.csv", protocols=("ezvsl",))
    (alone,) = evaluate(run, request)
    alone_file = run.folder / "evaluation" / f"{alone.summary['test_set']}.ezvsl.parquet"
    shutil.rmtree(run.folder / "evaluation")  # an earlier result of the same inputs would be read, not made again
    config = run.folder / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("batch_size: 4", f"batch_size: {batch}"))
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "training"]
    line += ["evaluate", str(run.folder), "--truth", str(vggss), "--negatives", str(tmp_path / "silent.csv")]
    line += ["--protocol", "ezvsl", "--device", "cpu"]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    config.write_text(text)
    assert done.returncode == 0, done.stderr
    shared = pq.read_table(alone_file)
    wanted = alone.table
    for column in ("key", "map", "area", "boxes", "label", "flags"):
        assert shared[column].equals(wanted[column]), column
    for column in ("iou", "confidence"):
        np.testing.assert_allclose(shared[column].to_numpy(), wanted[column].to_numpy(), atol=3e-4, rtol=0)
    assert len(shared.filter(pc.equal(shared["map"], "audio_visual"))) == 17


def test_listening_pairs_every_clip_with_its_controls(run, vggss, clips, tmp_path):
    results = evaluate(run, EvaluationRequest(truth=vggss, test_set="heard", listen=True))
    found = {result.summary["protocol"]["name"]: result.summary for result in results}
    assert {"vssl", "vssl_textbook"} < found.keys()
    for name in ("vssl", "vssl_textbook"):
        counts = {control: pairs["n"] for control, pairs in found[name]["controls"].items()}
        assert counts["silence"] == counts["noise"] == counts["offscreen"] == len(clips)
        own = found[name]["scores"]["audio_visual"]
        assert 0 <= own["hears"] <= 1
        assert -1 <= own["correlation_offscreen"] <= 1
    controls = run.folder / "evaluation" / "heard.controls.npz"
    out = tmp_path / "scores.json"
    again = score_file(controls, vggss, "vggss", "vssl", out, test_set="heard")
    assert again["scores"]["audio_visual"] == found["vssl"]["scores"]["audio_visual"]
    with np.load(controls) as arrays:
        classes = dict(clips)
        donors = zip(arrays["names"].tolist(), arrays["offscreen_of"].tolist(), strict=True)
        assert all(classes[own] != classes[other] for own, other in donors)


def test_foreign_sounds_of_other_seeds_are_told_apart_and_made_when_they_are_asked_for(run, vggss, clips, tmp_path):
    """Beside the usual ones, whose files stay as they are."""
    asked = EvaluationRequest(truth=vggss, test_set="drawn", protocols=("vssl",))
    (usual,) = evaluate(run, asked)
    folder = run.folder / "evaluation"
    before = (folder / "drawn.controls.npz").read_bytes()
    (other,), (three,) = (evaluate(run, replace(asked, sounds=word)) for word in ("seed7", "seeds0..2"))
    assert (folder / "drawn.controls.npz").read_bytes() == before
    with np.load(folder / "drawn.controls.npz") as one, np.load(folder / "drawn.controls+seeds0..2.npz") as many:
        assert many["maps_offscreen"].shape == (3, *one["maps_offscreen"].shape)
        assert many["offscreen_of"][0].tolist() == one["offscreen_of"].tolist()
        assert many["offscreen_of"][1].tolist() != one["offscreen_of"].tolist()
        np.testing.assert_allclose(many["maps_noise"][0], one["maps_noise"], atol=1e-5)
    scores = [result.summary["scores"]["audio_visual"]["correlation_noise"] for result in (usual, other, three)]
    assert len(set(scores)) == 3
    again = score_file(folder / "drawn.controls+seed7.npz", vggss, "vggss", "vssl+seed7", tmp_path / "s.json")
    assert again["scores"]["audio_visual"] == other.summary["scores"]["audio_visual"]
    (folder / "drawn.controls+seed7.npz").unlink()
    made = (folder / "drawn.controls.npz").stat().st_mtime_ns
    evaluate(run, replace(asked, sounds="seed7"))
    assert (folder / "drawn.controls+seed7.npz").is_file()
    assert (folder / "drawn.controls.npz").stat().st_mtime_ns == made
    released = replace(asked, protocols=("vssl_ezvsl+byclass+unlogged",))
    assert evaluate(run, released)[0].summary["protocol"]["unlogged"] is True
    assert (folder / "drawn.controls+byclass+unlogged.npz").is_file()


def test_foreign_sounds_are_drawn_among_the_clips_of_the_truth_and_missing_ones_told(run, clips, tmp_path, capsys):
    """A result of before drew among those that were there: it stands apart and is made again."""
    gone = [(f"gone{number:07d}_000001", label) for number, (_, label) in enumerate(clips[:6])]
    path = tmp_path / "more.json"
    box = [[0.2, 0.25, 0.6, 0.75]]
    path.write_text(json.dumps([{"file": key, "class": label, "bbox": box} for key, label in (*clips, *gone)]))
    asked = EvaluationRequest(truth=path, test_set="more", protocols=("vssl",))
    (result,) = evaluate(run, asked)
    labels, again = dict([*clips, *gone]), 0
    for name, label in clips:
        partners = sorted(other for other, another in labels.items() if another != label)
        first = np.random.default_rng([0, crc32(f"offscreen/{name}".encode())]).integers(len(partners))
        again += partners[first].startswith("gone")
    assert result.summary["controls"]["offscreen"]["n"] == len(clips)
    assert result.summary["drawn_again"]["offscreen"] == again > 0
    said = f"has other sounds under offscreen than with all clips of the set in {counted(again, 'clip')}"
    assert said in table(result.summary)
    earlier = {name: value for name, value in written(run, "more.vssl").items() if name not in ("drawn_again", KEY)}
    (own,) = (one for one in read_run(run.folder).every_evaluation if one.test_set == "more")
    before = Evaluation(own.path, earlier)
    assert before.comparable != own.comparable
    assert "were drawn among the clips that were there" in left_out_in_words(earlier)[0]
    own.path.write_text(json.dumps(earlier))
    assert evaluate(run, asked)[0].summary["drawn_again"] == result.summary["drawn_again"]
    assert evaluate(run, asked)[0].summary == json.loads(own.path.read_text())  # finished


@pytest.fixture
def parts(vggss, tmp_path: Path) -> dict[str, Path]:
    """Two sets without a clip in common: `validation` and `tested`."""
    entries = json.loads(vggss.read_text())
    paths = {name: tmp_path / f"{name}.json" for name in ("validation", "tested")}
    for path, some in zip(paths.values(), (entries[::2], entries[1::2]), strict=True):
        path.write_text(json.dumps(some))
    return paths


def test_the_distance_of_a_validation_set_says_what_is_on_screen(run, parts):
    fitted = EvaluationRequest(truth=parts["validation"], test_set="fitted", protocols=("onscreen",))
    asked = EvaluationRequest(truth=parts["tested"], test_set="judged", protocols=("onscreen", "onscreen_validated"))
    with pytest.raises(InputError, match="onscreen_validated takes its threshold from a validation set"):
        evaluate(run, asked)
    asked = replace(asked, threshold_set="fitted")
    with pytest.raises(InputError, match="--test-set fitted --protocol onscreen"):
        evaluate(run, asked)
    (validation,) = evaluate(run, fitted)
    own, found = evaluate(run, asked)
    assert found.summary["m_on"] == validation.summary["m_on"] != own.summary["m_on"]
    assert found.summary["lists"]["validation"]["name"] == "fitted"
    assert "validation" not in own.summary["lists"]
    matching, near = np.array(found.table["matching"]), np.array(found.table["distance"]) < validation.summary["m_on"]
    assert found.summary["scores"]["m_on"]["accuracy"] == pytest.approx((near == matching).mean())
    assert found.summary["scores"]["d_on"] == own.summary["scores"]["d_on"]
    with pytest.raises(InputError, match="tested as well"):
        evaluate(run, replace(fitted, protocols=("onscreen_validated",), threshold_set="fitted"))


def test_thresholds_of_maps_and_of_distances_are_taken_from_one_validation_set(run, parts):
    fitted = ("vssl_textbook", "onscreen")
    evaluate(run, EvaluationRequest(truth=parts["validation"], test_set="both", protocols=fitted))
    asked = ("vssl_validated", "onscreen_validated", "vssl")
    request = EvaluationRequest(truth=parts["tested"], test_set="asked", protocols=asked, threshold_set="both")
    listening, onscreen, usual = evaluate(run, request)
    sources = [result.summary["lists"]["validation"]["sha256"] for result in (listening, onscreen)]
    assert len(set(sources)) == 2
    assert usual.summary["scores"] != listening.summary["scores"]
    with np.load(run.folder / "evaluation" / "asked.controls.npz") as arrays:
        assert arrays["thresholds"].shape == (1,)  # the file is of maps, which no distance cuts


def test_the_threshold_of_a_validation_set_is_found_by_its_name_and_depends_on_it(run, vggss, parts, tmp_path):
    entries = json.loads(vggss.read_text())
    first = EvaluationRequest(truth=parts["validation"], test_set="validation", protocols=("vssl_textbook",))
    second = EvaluationRequest(truth=parts["tested"], test_set="tested", protocols=("vssl_validated",))
    with pytest.raises(InputError, match="--threshold-set NAME together"):
        evaluate(run, second)
    second = replace(second, threshold_set="validation")
    with pytest.raises(InputError, match="--test-set validation --protocol vssl_textbook"):
        evaluate(run, second)
    (validation,) = evaluate(run, first)
    (found,) = evaluate(run, second)
    cut = validation.summary["threshold"]["of_all"]["audio_visual"]
    assert found.summary["threshold"]["lowest"] == found.summary["threshold"]["highest"] == pytest.approx(cut)
    assert found.summary["lists"]["validation"]["name"] == "validation"
    controls = run.folder / "evaluation" / "tested.controls.npz"
    again = score_file(controls, parts["tested"], "vggss", "vssl_validated", tmp_path / "s.json", test_set="tested")
    assert again["scores"] == found.summary["scores"]
    with pytest.raises(InputError, match="tested as well"):
        evaluate(run, replace(first, protocols=("vssl_validated",), threshold_set="validation"))
    with pytest.raises(InputError, match="Nothing asks for validation"):
        evaluate(run, replace(first, threshold_set="validation"))
    result = run.folder / "evaluation" / "tested.vssl_validated.json"
    made = result.stat().st_mtime_ns
    evaluate(run, second)
    assert result.stat().st_mtime_ns == made
    parts["validation"].write_text(json.dumps(entries[::2][:4]))
    (run.folder / "evaluation" / "validation.vssl_textbook.json").unlink()
    evaluate(run, first)
    evaluate(run, second)
    assert result.stat().st_mtime_ns != made
