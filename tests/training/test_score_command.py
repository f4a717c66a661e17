"""`training score`: maps and truth as files in every format, against released evaluators' numbers on the same maps."""

import hashlib
import json
import re
from functools import partial

import numpy as np
import pytest
from commands import Commands
from golden_values import SOURCES, load
from PIL import Image

from manifests.errors import InputError
from manifests.readers.music import CATEGORIES
from training.evaluation import detection, segmentation
from training.evaluation.maps import minmax
from training.evaluation.printing import table
from training.score_file import outputs, score_file

CHAIN = 3e-4
TAU = np.float32(0.03)


@pytest.fixture(scope="module", params=SOURCES)
def golden(request):
    """`golden("golden_maps.npz")`: a reference file's content, of either source."""
    return partial(load, request.param)


@pytest.fixture
def scene(golden, tmp_path):
    """The 64 reference scenes as vggss.json and as Flickr XML files, and their maps at two resolutions."""
    facts, inputs = golden("golden_scene.json"), golden("golden_maps.npz")
    boxes = zip(facts["names"], facts["vggss_boxes_normalised"], strict=True)
    (tmp_path / "vggss.json").write_text(json.dumps([{"file": n, "class": "dog", "bbox": b} for n, b in boxes]))
    (tmp_path / "xml").mkdir()
    for name, opinions in zip(facts["names"], facts["flickr_boxes_256"], strict=True):
        annotators = "".join(f"<a>{''.join(map(_bbox, each))}</a>" for each in opinions)
        (tmp_path / "xml" / f"{name}.xml").write_text(f"<root>{annotators}</root>")
    np.savez(tmp_path / "maps7.npz", names=facts["names"], maps=inputs["low7"] / TAU, object_maps=inputs["obj7"])
    np.savez(tmp_path / "maps14.npz", names=facts["names"][::-1], maps=inputs["low14"][::-1])
    return tmp_path


def _bbox(box):
    x1, y1, x2, y2 = box
    return f"<bbox><id>1</id><x>{x1}</x><y>{y1}</y><u>{x2}</u><v>{y2}</v></bbox>"


@pytest.mark.parametrize("style", ["vggss", "flickr"])
@pytest.mark.parametrize(
    ("protocol", "start", "maps", "options"),
    [
        ("ezvsl", "ezvsl_test_validate", "maps7", {}),
        ("kaist", "kaist_validate (", "maps7", {}),
        ("slavc_relative", "slavc_test_validate relative", "maps7", {"temperature": 0.03}),
        ("slavc_absolute", "slavc_test_validate absolute", "maps7", {"temperature": 0.03, "alpha": 0.9}),
        ("lvs", "lvs_main", "maps14", {}),
        ("sspl", "sspl_eval_cal_ciou thres=0.5", "maps14", {}),
    ],
)
def test_released_numbers_from_files(golden, scene, style, protocol, start, maps, options):
    chains = golden("golden_localisation.json")["chain"][style]
    (expected,) = (block for name, block in chains.items() if name.startswith(start))
    truth, names = scene / ("vggss.json" if style == "vggss" else "xml"), golden("golden_scene.json")["names"]
    out = scene / "scores.json"
    found = score_file(scene / f"{maps}.npz", truth, style, protocol, out, **options)
    assert json.loads(out.read_text()) == found
    rows = {row["name"]: row for row in found["rows"]}
    blocks = {"av": lambda row: row, "av_obj": lambda row: row["combined"], "ogl": lambda row: row["combined"]}
    blocks = {name: of for name, of in blocks.items() if name in expected} or {None: blocks["av"]}
    for name, of in blocks.items():
        reference = expected[name] if name else expected
        np.testing.assert_allclose([of(rows[key])["iou"] for key in names], reference["ciou"], atol=CHAIN, rtol=0)
        scores = found["scores"]["combined" if name in ("av_obj", "ogl") else "audio_visual"]
        if "auc" in reference:
            assert (scores["ciou50"], scores["auc"]) == pytest.approx((reference["ciou50"], reference["auc"]))
    assert (found["ciou50"], found["auc"]) == tuple(found["scores"]["audio_visual"][s] for s in ("ciou50", "auc"))
    assert set(found["floors"]) >= {"centred_disc", "whole_image", "random"}
    assert set(found["lists"]) == {"truth", "maps"}


def test_interactive_images(golden, scene):
    reference, inputs = golden("golden_is3.json"), golden("golden_maps.npz")
    named = zip(reference["names"], reference["boxes_224"], strict=True)
    entries = [{"image": f"/mnt/images/{name}.jpg", "audio": "x", "gt_box": box} for name, box in named]
    (scene / "is3.json").write_text(json.dumps(entries))
    where = reference["scene_idx"]
    np.savez(scene / "is3.npz", names=reference["names"], maps=(inputs["low7"] / TAU)[where])
    (block,) = (value for name, value in reference.items() if name.startswith("kaist_validate ("))
    for protocol, suffix in (("kaist", ""), ("adaptive", "_adap")):
        found = score_file(scene / "is3.npz", scene / "is3.json", "is3", protocol, scene / "scores.json")
        assert found["ciou50"] == pytest.approx(block["av"][f"ciou{suffix}50"])
        assert found["auc"] == pytest.approx(block["av"][f"auc{suffix}"])
        interactive = found["interactive"]["audio_visual"]
        assert interactive["iiou"] == pytest.approx(block["av"][f"iiou{suffix}"])
        assert interactive["iauc"] == pytest.approx(block["av"][f"iauc{suffix}"])


def test_music_solo_frames(golden, scene):
    expected, inputs = golden("golden_music.json")["solo"], golden("golden_maps.npz")
    names = golden("golden_scene.json")["names"]
    entries = {
        key: {"bbox": [{"normbox": box, "category_id": 1} for box in expected["boxes"].get(key, [])]}
        for key in expected["keys"]
    }
    (scene / "solotest.json").write_text(json.dumps(entries))
    keys = [f"{name}/frame.jpg" for name in names]
    np.savez(scene / "solo.npz", names=keys, maps=np.maximum(inputs["low14"], 0))
    found = score_file(scene / "solo.npz", scene / "solotest.json", "music", "dsol", scene / "scores.json")
    assert found["test_set"].startswith("music_solo-")
    assert found["ciou50"] == pytest.approx(expected["iou50"])
    assert found["auc"] == pytest.approx(expected["auc"])


@pytest.mark.parametrize("clusters", [11, 20])
def test_music_mixtures(golden, scene, clusters):
    reference, arrays = golden("golden_music.json"), golden("golden_music.npz")
    expected, names = reference[f"synthetic_{clusters}clusters"], reference["categories"]
    (scene / "box").mkdir()
    for key, rows in reference[f"boxes_{clusters}"].items():
        np.save(scene / "box" / f"{key}.npy", np.array(rows))
    assert {names["duetkeys"][str(number)] for number in CATEGORIES} <= set(names["keylist"])
    maps, count = arrays[f"maps_{clusters}"], len(arrays[f"maps_{clusters}"])
    np.savez(
        scene / "mixed.npz",
        names=[f"s{number}" for number in range(count)],
        maps=maps,
        categories=names["keylist"],
        correspondence=arrays[f"corr_{clusters}"],
    )
    found = score_file(scene / "mixed.npz", scene / "box", "music", "music_synthetic", scene / "scores.json")
    ours = {row["name"]: row["iou"] for row in found["rows"]}
    np.testing.assert_allclose([ours[key] for key in expected["keys"]], expected["ciou"], atol=CHAIN, rtol=0)
    assert found["ciou30"] == pytest.approx(expected["ciou_at_0_3"])
    assert found["nsa"]["coded"] == pytest.approx(expected["nsa"], abs=1e-4)
    assert set(found["floors"]) == {"centred_disc", "whole_image", "random", "nothing"}
    assert found["floors"]["nothing"]["nsa"]["textbook"] == 1  # whoever shows nothing is quiet where nothing sounds
    assert "NSA as coded" in table(found)
    assert f"{100 * found['nsa']['coded']:.2f}" in table(found)
    with pytest.raises(InputError, match="takes one map a frame"):
        score_file(scene / "mixed.npz", scene / "box", "music", "dsol", scene / "scores.json")


def test_avsbench_masks_and_boxes(golden, scene):
    masks, inputs = golden("golden_avsbench_masks.npz")["masks"].astype(bool), golden("golden_maps.npz")
    keys = [f"dog/clip{number // 5}/clip{number // 5}_{number % 5 + 1}" for number in range(20)]
    for key, mask in zip(keys, masks, strict=True):
        path = scene / "s4_data" / "gt_masks" / "test" / f"{key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    maps = inputs["full"][:20]
    np.savez(scene / "s4.npz", names=keys, maps=maps)
    found = score_file(scene / "s4.npz", scene / "s4_data", "avsbench", "avsbench", scene / "scores.json")
    iou, curves = segmentation.mask_iou(minmax(maps) > 0.5, masks), segmentation.f_curves(minmax(maps), masks)
    assert found["miou"] == pytest.approx(segmentation.mean_over_batches(iou, 5), abs=1e-9)
    assert found["f_per_video"] == pytest.approx(segmentation.f_score(curves, masks, 5), abs=1e-9)
    assert found["f_data_set"] == pytest.approx(segmentation.f_score(curves, masks), abs=1e-9)
    assert found["n_empty_truth"] == int((~masks.any(axis=(1, 2))).sum()) > 0
    assert found["ceiling"]["f_data_set"] == pytest.approx(1.0)
    assert found["truth_from"] == "masks"
    with pytest.raises(InputError, match=r"needs boxes, for example s4_box\.json"):
        score_file(scene / "s4.npz", scene / "s4_data", "avsbench", "ezvsl", scene / "scores.json")
    boxes = [{"image": f"/mnt/{key}.png", "audio": "x", "gt_box": [10, 20, 150, 200]} for key in keys]
    (scene / "s4_box.json").write_text(json.dumps(boxes))
    boxed = score_file(scene / "s4.npz", scene / "s4_box.json", "avsbench", "ezvsl", scene / "scores.json")
    assert boxed["n_scored"] == 20
    assert boxed["test_set"].startswith("avsbench_s4-")


def test_negatives_bring_coded_and_textbook_numbers(scene):
    names = [entry["file"] for entry in json.loads((scene / "vggss.json").read_text())]
    pairs = [(names[at], names[at + 1]) for at in range(0, 60, 2)]
    lines = ["video,audio,label", *(f"{video},{audio},non-sounding" for video, audio in pairs)]
    (scene / "silent.csv").write_bytes("\r\n".join(lines).encode())
    random = np.random.default_rng(0)
    every = [*names, *(f"{video}+{audio}" for video, audio in pairs)]
    np.savez(scene / "e.npz", names=every, maps=random.normal(size=(len(every), 7, 7)).astype(np.float32))
    options = {"negatives": scene / "silent.csv"}
    found = score_file(
        scene / "e.npz", scene / "vggss.json", "extended", "slavc_relative", scene / "scores.json", **options
    )
    rows = found["rows"]
    assert [row["name"] for row in rows] == every
    detections = detection.Detections(
        np.array([row["iou"] for row in rows]),
        np.array([row["confidence"] for row in rows]),
        np.array(["negative" not in row["flags"] for row in rows]),
    )
    assert found["ap"]["coded"] == pytest.approx(detection.coded_average_precision(detections))
    assert found["ap"]["textbook"] == pytest.approx(detection.textbook_average_precision(detections))
    assert found["max_f1"]["coded"] == pytest.approx(detection.coded_max_f1(detections))
    assert found["max_f1"]["textbook"] == pytest.approx(detection.textbook_max_f1(detections))
    assert found["max_f1"]["textbook"] >= found["always_on_f1"]
    assert found["test_set"].startswith("extended_vggss-")
    with pytest.raises(InputError, match="--negatives"):
        score_file(scene / "e.npz", scene / "vggss.json", "extended", "slavc_relative", scene / "scores.json")


def test_where_scores_lie_and_what_they_replace_is_said(scene, monkeypatch, capsys):
    ended = partial(Commands(monkeypatch, capsys), cwd=scene)
    line = ("score", "--maps", "maps7.npz", "--truth", "vggss.json", "--protocol")
    assert ended("training", *line, "ezvsl").stdout.rstrip().endswith("scores: scores.json")
    said = ended("training", *line, "kaist").stdout
    assert re.search(r"scores: scores\.json \(in place of those that were there, of vggss\S* under ezvsl\)", said)


def test_a_list_narrows_the_set_and_names_it(scene):
    names = [entry["file"] for entry in json.loads((scene / "vggss.json").read_text())]
    (scene / "heard.txt").write_text("\n".join(names[:10]))
    found = score_file(
        scene / "maps7.npz", scene / "vggss.json", "vggss", "ezvsl", scene / "s.json", clips=scene / "heard.txt"
    )
    short = hashlib.sha256((scene / "vggss.json").read_bytes()).hexdigest()[:8]
    assert (found["test_set"], found["n_expected"], found["n_maps_of_other_clips"]) == (f"vggss-{short}-heard", 10, 54)
    found = score_file(
        scene / "maps7.npz",
        scene / "xml",
        "flickr",
        "ezvsl",
        scene / "s.json",
        clips=scene / "heard.txt",
        test_set="flickr",
    )
    assert found["n_expected"] == 10
    assert found["test_set"].startswith("flickr-")


def test_what_cannot_be_scored_is_refused(scene):
    for format, protocol, words in (
        ("coco", "ezvsl", "no annotation format 'coco'"),
        ("vggss", "best", "no protocol 'best'"),
        ("vggss", "music_duet", "needs boxes by instrument"),
        ("avsbench", "ezvsl", "does not say which AVSBench subset"),
    ):
        with pytest.raises(InputError, match=words):
            score_file(scene / "maps7.npz", scene / "vggss.json", format, protocol, scene / "scores.json")
    with pytest.raises(InputError, match="folder that does not exist"):
        score_file(scene / "maps7.npz", scene / "vggss.json", "vggss", "ezvsl", scene / "nowhere" / "scores.json")
    assert not (scene / "scores.json").exists()


def test_embeddings_of_any_program(scene):
    names = [entry["file"] for entry in json.loads((scene / "vggss.json").read_text())]
    random = np.random.default_rng(0)
    image, audio = random.normal(size=(2, 64, 8))
    arrays = {"image_embeddings": image, "audio_embeddings": audio}
    np.savez(scene / "e.npz", names=names[::-1], **{side: rows[::-1] * 3 for side, rows in arrays.items()})
    found = score_file(scene / "e.npz", scene / "vggss.json", "vggss", "retrieval", scene / "scores.json")
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (image, audio)]
    similarity = unit[0] @ unit[1].T
    rank = 1 + (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    assert [row["name"] for row in found["rows"]] == names
    assert [row["image_to_audio"] for row in found["rows"]] == rank.tolist()
    assert found["scores"]["image_to_audio"]["R@10"] == (rank <= 10).mean()
    assert json.loads((scene / "scores.json").read_text()) == found
    np.savez(scene / "odd.npz", names=names, image_embeddings=image, audio_embeddings=audio[:5])
    for maps, protocol, words in (
        ("odd", "retrieval", "equal length per name"),
        ("maps7", "retrieval", "needs the arrays names, image_embeddings and audio_embeddings"),
        ("maps7", "onscreen", "measured by `training evaluate RUN`"),
    ):
        with pytest.raises(InputError, match=words):
            score_file(scene / f"{maps}.npz", scene / "vggss.json", "vggss", protocol, scene / "scores.json")


def test_arrays_nobody_reads_are_named(scene):
    names = [entry["file"] for entry in json.loads((scene / "vggss.json").read_text())]
    np.savez(scene / "odd.npz", names=names, maps=np.random.default_rng(0).random((64, 7, 7)), object_map=np.zeros(3))
    found = score_file(scene / "odd.npz", scene / "vggss.json", "vggss", "ezvsl", scene / "s.json")
    assert found["unused_arrays"] == ["object_map"]
    assert "the array object_map of the maps' file is not used" in table(found)
    np.savez(scene / "channel.npz", names=names, maps=np.zeros((64, 1, 7, 7)))
    with pytest.raises(InputError, match=r"takes one map a frame.*\(64, 1, 7, 7\). Write maps\[:, 0\]"):
        score_file(scene / "channel.npz", scene / "vggss.json", "vggss", "ezvsl", scene / "s.json")


def test_every_asked_protocol_has_its_file(scene):
    assert outputs(["ezvsl", "ezvsl"], scene / "s.json") == {"ezvsl": scene / "s.json"}
    several = {"ezvsl": scene / "s.ezvsl.json", "kaist": scene / "s.kaist.json"}
    assert outputs(["ezvsl", "kaist"], scene / "s.json") == several


def test_odd_arguments_are_refused(scene):
    names = [entry["file"] for entry in json.loads((scene / "vggss.json").read_text())]
    np.savez(scene / "text.npz", names=names, maps=np.full((64, 7, 7), "a"))
    np.savez(scene / "wide.npz", names=names, maps=np.zeros((64, 7, 7)), confidence=np.zeros((64, 1)))
    for maps, out, seed, words in (
        ("text", "s.json", 0, "Give numbers"),
        ("wide", "s.json", 0, r"confidences have shape \(64, 1\). Give \(clips,\)"),
        ("maps7", ".", 0, "is a folder"),
        ("maps7", "s.json", -1, "a seed is a whole number, 0 or more"),
    ):
        with pytest.raises(InputError, match=words):
            score_file(scene / f"{maps}.npz", scene / "vggss.json", "vggss", "ezvsl", scene / out, seed=seed)


def test_a_part_of_an_unreleased_set_bears_no_released_name(scene):
    """The file is not the released vggss: neither a part of it nor its silent pairs may be called so."""
    names = [entry["file"] for entry in json.loads((scene / "vggss.json").read_text())]
    (scene / "mine.txt").write_text("\n".join(names[:10]))
    (scene / "silent.csv").write_text(f"video,audio,label\n{names[0]},{names[1]},non-sounding\n")
    arrays = np.load(scene / "maps7.npz")
    pair, maps = f"{names[0]}+{names[1]}", np.concatenate([arrays["maps"], arrays["maps"][:1]])
    np.savez(scene / "pairs.npz", names=[*names, pair], maps=maps)
    short = hashlib.sha256((scene / "vggss.json").read_bytes()).hexdigest()[:8]
    truth, out, listed = scene / "vggss.json", scene / "s.json", {"clips": scene / "mine.txt"}
    found = score_file(scene / "maps7.npz", truth, "vggss", "ezvsl", out, **listed)
    assert (found["test_set"], found["n_expected"]) == (f"vggss-{short}-mine", 10)
    found = score_file(scene / "maps7.npz", truth, "vggss", "ezvsl", out, test_set="own", **listed)
    assert found["test_set"] == "own-mine"
    given = {"negatives": scene / "silent.csv", **listed}
    found = score_file(scene / "pairs.npz", truth, "vggss", "slavc_relative", out, **given)
    assert (found["test_set"], found["negatives"]["n_scored"]) == (f"extended_vggss-{short}-mine", 1)
    found = score_file(scene / "maps7.npz", truth, "extended", "ezvsl", out, **listed)
    assert found["test_set"] == f"vggss-{short}-mine"
    (scene / "other.txt").write_text(f"{names[0]}\nnotthere000_000001\n")
    with pytest.raises(InputError, match=r"1 of the 2 clips of .*other\.txt are not annotated"):
        score_file(scene / "maps7.npz", truth, "vggss", "ezvsl", out, clips=scene / "other.txt")
