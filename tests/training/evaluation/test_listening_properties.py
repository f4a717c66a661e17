"""What must hold of every answer: deaf maps, oracles, thresholds, the order of clips, pixel masks and boxes alike."""

import numpy as np
import pytest
from class_frames import write_grey_masks
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.sound_draws import CONTROLS, NEGATIVES
from manifests.test_sets import Truth
from manifests.truth import read_truth
from training.evaluation.control_maps import ControlMaps
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.evaluation.truth import weight_maps

COUNT = 4
SIDES = st.tuples(*[st.floats(0, 0.45)] * 2, *[st.floats(0.55, 1)] * 2)


def truth_of(boxes) -> Truth:
    annotations = tuple(Annotation(f"clip{at}_000001", "ab"[at % 2], (box,)) for at, box in enumerate(boxes))
    return Truth("vggss", TestSet("made", annotations, "made", "0" * 64))


def scored(truth: Truth, own: np.ndarray, controls: dict[str, np.ndarray], protocol: str = "vssl_textbook") -> dict:
    return score(ControlMaps(RawMaps(truth.test_set.keys, own), controls), truth, protocol).summary["scores"][
        "audio_visual"
    ]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.lists(SIDES, min_size=COUNT, max_size=COUNT))
def test_a_map_that_ignores_the_sound(seed, boxes):
    """Correlation 1, one mask under all sounds, nothing lost when the sound is swapped, and nothing heard."""
    maps = np.random.default_rng(seed).normal(size=(COUNT, 7, 7)).astype(np.float32)
    found = scored(truth_of(boxes), maps, dict.fromkeys(CONTROLS, maps))
    assert found["hears"] == pytest.approx(0)
    for name in CONTROLS:
        assert found[f"correlation_{name}"] == pytest.approx(1)
        assert found[f"overlap_{name}"] == 1
    assert found["ciou_drop_swapped"] == found["ciou_drop_offscreen"] == 0
    assert found["pia_silence"] == found["pia_noise"] == found["pia_offscreen"]


@settings(max_examples=15)
@given(st.lists(SIDES, min_size=COUNT, max_size=COUNT), st.floats(0.5, 5))
def test_an_oracle_whatever_its_scale(boxes, scale):
    truth = truth_of(boxes)
    own = np.float32(scale) * weight_maps(truth.test_set.annotations)
    quiet = np.zeros_like(own)
    found = scored(truth, own, dict.fromkeys(NEGATIVES, quiet) | {"swapped": own})
    for name in ("f_loc", "f_auc", "hears", "vssl_ciou", "vssl_auc"):
        assert found[name] == pytest.approx(1), name
    assert found["ciou_drop_swapped"] == found["outside_truth"] == 0
    assert found["ciou_drop_offscreen"] == 1


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.permutations(range(COUNT)))
def test_the_order_of_clips_and_one_scale_for_all_maps_change_nothing(seed, order):
    random = np.random.default_rng(seed)
    own, *others = random.normal(size=(1 + len(CONTROLS), COUNT, 7, 7)).astype(np.float32)
    controls, truth = dict(zip(CONTROLS, others, strict=True)), truth_of([(0.1, 0.1, 0.6, 0.7)] * COUNT)
    found, at = scored(truth, own, controls), list(order)
    keys = [truth.test_set.keys[row] for row in at]
    other = ControlMaps(RawMaps(keys, 4 * own[at]), {name: 4 * maps[at] for name, maps in controls.items()})
    again = score(other, truth, "vssl_textbook").summary["scores"]["audio_visual"]
    assert again == pytest.approx(found, abs=1e-6)


def test_a_box_and_its_mask_give_the_same_numbers(tmp_path):
    """Pixel masks are a truth like boxes; beside the same maps every number is the same."""
    boxes = truth_of([(0.25, 0.25, 0.75, 0.75), (0, 0, 0.5, 1)])
    weights = weight_maps(boxes.test_set.annotations)
    folder = write_grey_masks(tmp_path, dict(zip(boxes.test_set.keys, 255 * weights.astype(np.uint8), strict=True)))
    masks = read_truth(folder, "vpo")
    random = np.random.default_rng(0)
    own, *others = random.normal(size=(1 + len(CONTROLS), 2, 7, 7)).astype(np.float32)
    controls = dict(zip(CONTROLS, others, strict=True))
    for protocol in ("vssl", "vssl_textbook"):
        assert scored(masks, own, controls, protocol) == pytest.approx(scored(boxes, own, controls, protocol))
    result = score(ControlMaps(RawMaps(masks.test_set.keys, own), controls), masks, "vssl").summary
    assert result["truth_from"] == "masks"
    assert result["ceiling"]["outside_truth"] == 0


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["vssl", "vssl_textbook", "vssl_lvs"]))
def test_whatever_pairs_are_missing_they_are_counted_and_named_and_no_number_is_nan(seed, protocol):
    random = np.random.default_rng(seed)
    own, *others = random.normal(size=(1 + len(CONTROLS), COUNT, 7, 7)).astype(np.float32)
    there = random.random((len(CONTROLS), COUNT)) < random.choice([0, 0.5, 1], size=(len(CONTROLS), 1))
    controls = {name: np.where(has[:, None, None], maps, np.float32(np.nan))
                for name, has, maps in zip(CONTROLS, there, others, strict=True)}  # fmt: skip
    truth = truth_of([(0.1, 0.1, 0.6, 0.7)] * COUNT)
    answer = ControlMaps(RawMaps(truth.test_set.keys, own), controls)
    has = dict(zip(CONTROLS, there, strict=True))
    if protocol != "vssl_lvs" and not any(has[name].any() for name in NEGATIVES):
        with pytest.raises(InputError, match="no clip with a negative sound"):
            score(answer, truth, protocol)
        return
    result = score(answer, truth, protocol)
    for name in CONTROLS:
        absent = [key for key, own in zip(truth.test_set.keys, has[name], strict=True) if not own]
        assert result.summary["controls"][name] == {"n": COUNT - len(absent), "without": absent}
    found = result.summary["scores"]["audio_visual"]
    assert all(value is None or np.isfinite(value) for value in found.values())
    assert (found["hears"] is None) == (not has["offscreen"].any())
    assert (found["f_loc"] is None) == (not all(has[name].any() for name in NEGATIVES))
    assert result.table.num_rows == COUNT
