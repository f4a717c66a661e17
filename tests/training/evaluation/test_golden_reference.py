"""Where the shipped golden values come from: the plain reference equals the original code, and made the files."""

import json

import golden_enlarging
import golden_evaluators as evaluators
import golden_inputs as inputs
import golden_listening
import golden_mixtures
import golden_music
import golden_reference as reference
import golden_tasks as tasks
import golden_vggss
import numpy as np
import pytest
from golden_values import load
from places import METADATA, MINIATURES, needed

EXACT = 1e-9
PIXELS = 3e-4  # one or two pixels may flip between single and double precision
WITHOUT_REFERENCE = {"bs=8"}  # the first clip's threshold for a whole batch: an accident, not a rule


@pytest.fixture(scope="module")
def truths(released):
    """Truth of the 64 original scenes by style, from their boxes."""
    scene = released("golden_scene.json")
    vggss = [[reference.vggss_box(box) for box in boxes] for boxes in scene["vggss_boxes_normalised"]]
    flickr = [
        [reference.flickr_box(box) for each in opinions for box in each] for opinions in scene["flickr_boxes_256"]
    ]
    assert (vggss, flickr) == (scene["vggss_boxes_int"], scene["flickr_boxes_224"])
    return {
        "vggss": ([reference.vggss_truth(boxes) for boxes in vggss], vggss),
        "flickr": ([reference.flickr_truth(boxes) for boxes in flickr], flickr),
    }


def assert_near(ours, theirs, path=""):
    """Every number that both hold; lists of cIoU and confidence to a pixel, printed F1 as text."""
    if isinstance(theirs, dict):
        for name in theirs.keys() & ours.keys() if isinstance(ours, dict) else ():
            assert_near(ours[name], theirs[name], f"{path}/{name}")
    elif isinstance(theirs, list) and theirs and isinstance(theirs[0], dict):
        for one, other in zip(ours, theirs, strict=True):
            assert_near(one, other, path)
    elif isinstance(theirs, list) and theirs and isinstance(theirs[0], str):
        assert sorted(ours) == sorted(theirs), path
    elif isinstance(theirs, list):
        np.testing.assert_allclose(ours, theirs, atol=PIXELS, rtol=0, err_msg=path)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=PIXELS, nan_ok=True), path


@pytest.mark.slow
@pytest.mark.parametrize("style", ["vggss", "flickr"])
def test_chains_equal_the_original_code(released, truths, style):
    theirs, (truth, boxes) = released("golden_localisation.json")["chain"][style], truths[style]
    bb = [len(each) for each in boxes]
    ours = evaluators.chains(released("golden_maps.npz"), truth, bb, style)
    for name, block in theirs.items():
        if not any(each in name for each in WITHOUT_REFERENCE):
            (found,) = (each for start, each in ours.items() if name.startswith(start))
            assert_near(found, block, name)


@pytest.mark.parametrize("style", ["vggss", "flickr"])
def test_finished_maps_are_scored_as_by_the_original_code(released, truths, style):
    arrays = released("golden_maps.npz")
    ours = evaluators.map_level(arrays["full"], [truths[style][0][at] for at in arrays["full_idx"]])
    for name, block in released("golden_localisation.json")["map_level"][style].items():
        for key, value in block.items():
            np.testing.assert_allclose(ours[name][key], value, atol=EXACT, rtol=0)


@pytest.mark.parametrize("name", inputs.LIST_SIZES)
def test_lists_have_the_original_code_s_numbers(released, name):
    arrays, theirs = released("golden_extended_lists.npz"), released("golden_extended.json")["lists"][name]
    columns = [arrays[f"{name}_{column}"].tolist() for column in ("bb", "ciou", "conf", "area", "type")]
    ours = evaluators.score_list(*columns)
    for printed, value in theirs["original"]["finalize_stats"].items():
        found = ours["original"]["finalize_stats"][printed]
        assert found == value if isinstance(value, str) else found == pytest.approx(value, abs=EXACT, nan_ok=True)
    for number in ("precision_at_50", "f1_at_50_default_conf", "ap_at_50"):
        assert ours["original"][number] == pytest.approx(theirs["original"][number], abs=EXACT)
    for key, values in theirs["reference_own_code"].items():
        for number, value in ours["reference_own_code"][key].items():
            assert value == pytest.approx(values[number], abs=EXACT)


def test_edges_and_accidents_equal_the_original_code(released):
    for case, maps in (inputs.edge_cases() | inputs.accidents()).items():
        (theirs,) = (block for name, block in released("golden_edge.json").items() if name.startswith(case))
        ours = evaluators.edge(*maps)
        for evaluator, block in theirs.items():
            for name, value in block["result"].items() if evaluator in ours else ():
                found = ours[evaluator]["result"].get(name, value)
                assert found == pytest.approx(value, abs=1e-5, nan_ok=True), (case, evaluator, name)


def test_retrieval_and_on_screen_equal_the_reference(released):
    arrays, expected = released("golden_retrieval.npz"), released("golden_retrieval.json")["expected"]
    for name, table in tasks.similarities(arrays["img"], arrays["aud"]).items():
        np.testing.assert_allclose(table, arrays[f"sim_{name}"], atol=1e-6, rtol=0)
        assert tasks.recalls(table) == expected[name]
    theirs = released("golden_onscreen.json")
    ours = tasks.onscreen({name: theirs[name] for name in ("dist_pos", "dist_neg", "act_pos", "act_neg")})
    assert all(ours[name] == pytest.approx(theirs[name]) for name in ("m_on", "acc_m_on", "acc_d_on", "acc_either"))


def test_segmentation_equals_the_original_code(released):
    theirs, arrays = released("golden_avsbench.json"), released("golden_maps.npz")
    where = [list(arrays["full_idx"]).index(scene) for scene in theirs["frames_scene_idx"]]
    logits = arrays["full"][where] * np.float32(8) - np.float32(5)
    masks = released("golden_avsbench_masks.npz")["masks"].astype(bool)
    assert_near(tasks.avsbench(1 / (1 + np.exp(-logits)), masks), theirs)


def test_degenerate_lists_have_the_original_code_s_numbers(released):
    """But for lists with NaN, which Python and numpy sort differently; they are refused."""
    for name in inputs.DEGENERATE_LISTS.keys() - {"08f_nan_confidence", "08g_nan_ciou"}:
        theirs = released("golden_edge.json")[name]
        ours = evaluators.degenerate_list(*(theirs["input"][column] for column in ("bb", "ciou", "conf")))
        for printed, value in theirs["finalize_stats"]["result"].items():
            found = ours["finalize_stats"]["result"][printed]
            same = found == value if isinstance(value, str) else found == pytest.approx(value, abs=EXACT, nan_ok=True)
            assert same, (name, printed)
        for number in ("precision_at_50", "f1_at_50", "ap_at_50"):
            assert ours[number]["result"] == pytest.approx(theirs[number]["result"], abs=EXACT, nan_ok=True), name


def test_consensus_equals_the_original_code(released):
    theirs = released("golden_edge.json")["11a_flickr_disjoint_annotators"]
    truth = reference.flickr_truth(inputs.DISJOINT_ANNOTATORS)
    assert (truth.sum(), (truth > 0).sum()) == (theirs["sum"], theirs["support"])
    assert reference.ciou(truth > 0, truth) == theirs["perfect_support_prediction_ciou"]


def test_instruments_are_scored_as_by_the_original_code(released):
    theirs, arrays = released("golden_music.json"), released("golden_music.npz")
    assert theirs["categories"] == golden_music.CATEGORIES
    expected = theirs["solo"]
    assert_near(golden_music.solo(released("golden_maps.npz")["low14"], expected["keys"], expected["boxes"]), expected)
    for clusters in (11, 20):
        for kind, fraction, looked_at in (("synthetic", 0.5, 11), ("duet", 0.2, None)):
            expected = theirs[f"{kind}_{clusters}clusters"]
            rows = [theirs[f"boxes_{clusters}"][key] for key in expected["keys"]]
            maps = arrays[f"maps_{clusters}"][[int(key[1:]) for key in expected["keys"]]]
            found = golden_music.mixtures(maps, arrays[f"corr_{clusters}"], rows, fraction, looked_at)
            assert_near(found, expected, kind)
            assert found.keys() <= expected.keys()


def test_maps_are_enlarged_as_by_the_original_code(released):
    arrays = released("golden_interp.npz")
    for name, theirs in released("golden_interp.json").items():
        for what, values in golden_enlarging.enlarged(arrays[f"{name}_raw"]).items():
            np.testing.assert_allclose(values, arrays[f"{name}_{what}"], atol=4e-5, rtol=0, err_msg=name + what)
        ours = golden_enlarging.facts(arrays[f"{name}_raw"])
        assert ours["cv2_vs_acT"] == pytest.approx(theirs["cv2_vs_acT"], abs=1e-6)
        np.testing.assert_allclose(ours["bicubic_overshoot"], theirs["bicubic_overshoot"], atol=1e-6)


@pytest.mark.slow
def test_boxes_of_vggss_have_the_original_code_s_floors(released):
    entries = json.loads(needed(METADATA / "vggss" / "vggss.json").read_text())
    ours = golden_vggss.floors_and_ceilings({entry["file"]: entry["bbox"] for entry in entries})
    theirs = released("golden_vggss_real.json")
    assert ours.keys() <= theirs.keys()
    for name in ours.keys() - {"constant map | kaist"}:  # an empty mask on an empty truth is 0/0
        assert_near(ours[name], theirs[name], name)
    assert sorted(ours["empty_gt"]) == sorted(theirs["empty_gt"])


def test_the_shipped_files_are_what_the_reference_says():
    """One entry of each kind; `tests/golden/make.py` makes all."""
    shipped = load("made", "golden_extended.json")["lists"]["n64"]
    arrays = inputs.lists()
    made = evaluators.score_list(
        *(arrays[f"n64_{column}"].tolist() for column in ("bb", "ciou", "conf", "area", "type"))
    )
    assert_near(shipped, made)
    assert shipped["original"]["finalize_stats"]["F1-all@50"] == made["original"]["finalize_stats"]["F1-all@50"]
    assert load("made", "golden_onscreen.json")["m_on"] == tasks.onscreen(inputs.onscreen())["m_on"]
    scene = inputs.scene()
    boxes = [[reference.vggss_box(box) for box in each] for each in scene["vggss_boxes_normalised"]]
    assert load("made", "golden_scene.json")["vggss_boxes_int"] == boxes
    cases = load("made", "golden_edge.json")
    for name, case in inputs.edge_cases().items():
        assert_near(cases[name], evaluators.edge(*case))
    for name, (source, row) in golden_enlarging.ROWS.items():
        assert_near(load("made", "golden_interp.json")[name], golden_enlarging.facts(inputs.maps()[source][row]))
    music = load("made", "golden_music.json")["solo"]
    assert_near(music, golden_music.solo(inputs.maps()["low14"], music["keys"], inputs.music_solo()))
    entries = json.loads((MINIATURES / "vggss" / "vggss.json").read_text())
    boxes = {entry["file"]: entry["bbox"] for entry in entries}
    assert_near(load("made", "golden_vggss_real.json"), golden_vggss.floors_and_ceilings(boxes))


LISTENING = {
    "negatives": lambda arrays, theirs: golden_listening.negatives(arrays, theirs["boxes"]),
    "robust_segmentation": lambda arrays, theirs: golden_listening.robust(arrays),
    "avss": lambda arrays, theirs: golden_listening.avss(arrays),
    "kaist": lambda arrays, theirs: golden_listening.kaist(
        arrays, {name: own["names"] for name, own in theirs["sets"].items()}
    ),
}
RATES = ("auc", "f_auc")  # per cent of areas under steps: one clip over a step moves them by 0.1


def assert_listens(ours, theirs, path=""):
    """As `assert_near`, with per cent means to 0.01 and areas in per cent to 0.3."""
    if isinstance(theirs, dict):
        for name in theirs.keys() & ours.keys() - {"boxes"}:
            assert_listens(ours[name], theirs[name], f"{path}/{name}")
    elif isinstance(theirs, float) and ("/scalars/" in path or "percent" in path):
        wide = 0.3 if path.rpartition("/")[2].startswith(RATES) else 0.02
        assert ours == pytest.approx(theirs, abs=wide), path
    elif isinstance(theirs, float) and "/helpers/" in path:
        assert ours == pytest.approx(theirs, abs=1e-9) or ours == pytest.approx(theirs / 100, abs=1e-9), path
    elif path.endswith("/printed"):
        assert set(ours) <= set(theirs), path  # of what is printed, what stands nowhere else
    elif "iou_pos" in path:
        np.testing.assert_allclose(ours, theirs, atol=2e-3, err_msg=path)
    else:
        assert_near(ours, theirs, path)


@pytest.mark.slow
@pytest.mark.parametrize("part", LISTENING)
def test_what_tests_listening_equals_the_original_code(released, part):
    theirs = released("golden_listening.json")[part]
    arrays = dict(released("golden_listening.npz"))
    for name in (each for each in arrays if each.endswith("_masks")):
        arrays[name] = arrays[name] * np.uint8(255 // arrays[name].max())  # some are stored as 0 and 1
    assert_listens(LISTENING[part](arrays, theirs), theirs, part)


@pytest.mark.slow
@pytest.mark.parametrize("images", [2, 3])
def test_mixtures_equal_the_original_code(released, images):
    theirs, arrays = released("golden_listening.json")["duet"], released("golden_listening.npz")
    boxes = theirs["ground_truth"]["vggss_boxes_fraction"]
    for case, expected in enumerate(theirs[f"noprior_K{images}"]["per_case"]):
        maps = [arrays[f"duet_K{images}_case{case:02d}_map{each}"] for each in range(expected["n_maps"])]
        ours = golden_mixtures.mixture(maps, [golden_mixtures.filled(boxes[name]) for name in expected["pictures"]])
        np.testing.assert_allclose(ours["iou"], expected["iou"], atol=PIXELS)
        for name in ("cap", "piap"):
            np.testing.assert_allclose(ours[name], expected[name], atol=1e-3)


@pytest.mark.slow
def test_avgn_s_numbers_equal_the_original_code(released):
    theirs = released("golden_listening.json")
    ours = golden_mixtures.avgn(
        released("golden_listening.npz"), theirs["duet"]["ground_truth"]["vggss_boxes_fraction"]
    )
    for way, name in ((way, name) for way, block in ours.items() for name in block):
        block, expected = ours[way][name], theirs["avgn"][way][name]
        np.testing.assert_allclose(block["ciou"], expected["ciou"], atol=PIXELS)
        np.testing.assert_allclose(block["piap"], expected["piap"], atol=1e-3)
        np.testing.assert_allclose(block["confidence"], expected["confidence"], atol=1e-5)
        alike = ("precision_at_10", "precision_at_30", "precision_at_50", "f1_at_30", "ap_at_30")
        assert {each: block[each] for each in alike} == pytest.approx({each: expected[each] for each in alike})
        texts = {each for each in block["stats"] if each.startswith("F1-")}
        assert {each: block["stats"][each] for each in texts} == {each: expected["stats"][each] for each in texts}
        numbers = {each: value for each, value in block["stats"].items() if each not in texts}
        assert numbers == pytest.approx({each: expected["stats"][each] for each in numbers})


def test_the_shipped_values_of_listening_are_those_of_the_reference():
    stored, arrays = load("made", "golden_listening.json"), load("made", "golden_listening.npz")
    assert_listens(golden_listening.avss(arrays), stored["avss"])
    assert_listens(golden_mixtures.denseav(arrays), stored["denseav"])
