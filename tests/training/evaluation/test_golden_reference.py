"""Where the shipped golden values come from: the plain reference equals the original code, and made the files."""

import golden_evaluators as evaluators
import golden_inputs as inputs
import golden_reference as reference
import golden_tasks as tasks
import numpy as np
import pytest
from golden_values import load

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
    elif isinstance(theirs, list):
        np.testing.assert_allclose(ours, theirs, atol=PIXELS, rtol=0, err_msg=path)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=PIXELS, nan_ok=True), path


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


@pytest.mark.parametrize("case", inputs.edge_cases())
def test_edges_equal_the_original_code(released, case):
    ours, theirs = evaluators.edge(*inputs.edge_cases()[case]), released("golden_edge.json")[case]
    for evaluator, block in theirs.items():
        for name, value in block["result"].items() if evaluator in ours else ():
            if name in ours[evaluator]["result"]:
                assert ours[evaluator]["result"][name] == pytest.approx(value, abs=1e-5, nan_ok=True)


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
