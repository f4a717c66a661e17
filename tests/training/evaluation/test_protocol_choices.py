"""What may be chosen within a protocol, behind its name: it changes what is measured, and the name says so."""

from dataclasses import fields, replace
from typing import get_args, get_type_hints

import numpy as np
import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.sound_draws import NEGATIVES
from manifests.test_sets import Truth
from training.evaluation.adaptive_masks import asked_areas
from training.evaluation.control_maps import ControlMaps
from training.evaluation.control_protocols import ListeningProtocol
from training.evaluation.listening import threshold_from_negatives
from training.evaluation.printing import protocol_page, table
from training.evaluation.prompted import prompted_scores
from training.evaluation.protocols import find_protocol, known_protocols
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import score
from training.report.masks import as_protocol

KEYS = ("a", "b", "c", "d")
BOXES = (((0.0, 0.0, 0.5, 0.5),), ((0.2, 0.2, 0.9, 0.9),), (), ((0.5, 0.5, 1.0, 1.0),))
TRUTH = Truth("vggss", TestSet("tiny", tuple(map(Annotation, KEYS, "xyxy", BOXES)), "tiny.json", "0" * 64))


@pytest.fixture
def answers():
    """Maps of four clips; those of clip c, which has no box, are below all others."""
    random = np.random.default_rng(5)
    sounds = {name: random.random((4, 7, 7)) * loud for name, loud in zip(NEGATIVES, (0.5, 0.7, 0.9), strict=True)}
    own = random.random((4, 7, 7))
    for maps in (own, *sounds.values()):
        maps[2] *= 0.1
    return ControlMaps(RawMaps(KEYS, own), sounds)


def test_what_is_chosen_stands_in_the_record_and_in_its_name():
    found = find_protocol("vssl+quantile=0.90+pooling=mean_of_kinds+comparator=ge")
    assert found.name == "vssl+comparator=ge+pooling=mean_of_kinds+quantile=0.9"
    assert (found.comparator, found.pooling, found.quantile) == (">=", "mean_of_kinds", 0.9)
    assert find_protocol(found.name) == found
    assert find_protocol("adaptive_masks+exact+frames_per_batch=8").name == "adaptive_masks+exact+frames_per_batch=8"
    assert find_protocol("ezvsl+align_corners=false").align_corners is False


@pytest.mark.parametrize(
    ("cut", "key", "heading"),
    [
        ("0.504", "ciou50.4", "cIoU at 50.4 %"),
        ("0.333", "ciou33.3", "cIoU at 33.3 %"),
        ("0.005", "ciou0.5", "cIoU at 0.5 %"),
        ("0.29", "ciou29", "cIoU at 29 %"),
        ("0.50000001", "ciou50.000001", "cIoU at 50.000001 %"),
        ("0.3", "ciou30", "cIoU@0.3"),
        ("0.5", "ciou50", "cIoU@0.5"),
    ],
)
def test_no_cut_poses_as_another(answers, cut, key, heading):
    found = score(answers.own, TRUTH, f"ezvsl+iou_cut={cut}").summary
    assert list(found["scores"]["audio_visual"])[:1] == [key]
    assert list(found["scores"]["audio_visual"]["interval95"])[:1] == [key]
    assert heading in table(found)


def test_what_a_record_has_anyway_is_no_choice():
    for name in ("ezvsl+comparator=ge", "adaptive_masks+frames_per_batch=64", "vssl+undefined=zero+pooling=one_list"):
        assert find_protocol(name) == find_protocol(name.partition("+")[0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ezvsl+comparater=gt", "no choice of 'comparater'. Did you mean comparator"),
        ("ezvsl+comparator=>>", "Give comparator=ge|gt"),
        ("vssl+quantile=many", "Give quantile=a number"),
        ("vssl+quantile=nan", "Give quantile=a number"),
        ("vssl+quantile=1.5", "quantile must be from 0 to 1, not 1.5"),
        ("adaptive_masks+frames_per_batch=0", "frames_per_batch must be from 1 to 1,000,000, not 0"),
        ("ezvsl+level=1", "level must be from 0 to below 1, not 1.0"),
        ("ezvsl+level=-0.5", "level must be from 0 to below 1, not -0.5"),
        ("textbook+level=1.5", "level must be from 0 to below 1, not 1.5"),
        ("sspl+level=1e9", "level must be from 0 to 1, not 1000000000.0"),
        ("ezvsl+rule=fixed+level=1.5", "level must be from 0 to 1, not 1.5"),
        ("ezvsl+scaling=none+rule=fixed+level=1.5", "level must be from 0 to 1, not 1.5"),
        ("dsol+level=5", "level must be from 0 to 1, not 5.0"),
        (f"denseav+size={10**400}", "size must be from 1 to 8,192, not 1000"),
        ("adaptive_masks+frames_per_batch=2.5", "Give frames_per_batch=a whole number"),
        ("ezvsl+rule=best", "there is no threshold rule 'best'"),
        ("ezvsl+level=0.3+level=0.4", "level of the protocol ezvsl is chosen twice"),
        ("vssl+level=0.3", "level would change nothing"),
        ("vssl_ezvsl+pooling=mean_of_kinds", "pooling would change nothing"),
        ("adaptive+level=0.3", "level would change nothing"),
        ("top_half_masks+empty_mask=half_of_image", "empty_mask would change nothing"),
        ("noprior_duet+images=4", "It has nothing to choose"),
        ("ezvsl+source=me", "no choice of 'source'"),
        ("ez+level=0.3", "no protocol 'ez"),
    ],
)
def test_what_cannot_be_chosen_is_refused(name, message):
    with pytest.raises(InputError) as refused:
        find_protocol(name)
    assert message in str(refused.value)


def test_a_level_is_a_value_of_the_maps_as_they_are_scaled():
    assert find_protocol("acl+level=1.5").level == 1.5  # logits; nothing scales them
    assert find_protocol("avsbench_robust").reaches["level"].holds(-7)
    assert find_protocol("ezvsl+level=0").level == 0


def _numbers(protocol):
    """The fields of a protocol that hold a number, or a tuple of numbers."""
    hints = get_type_hints(type(protocol))
    kinds = {each.name: {hints[each.name], *get_args(hints[each.name])} for each in fields(protocol)}
    return [name for name, kind in kinds.items() if kind & {int, float}]


def test_every_number_of_every_protocol_is_bounded_by_what_it_means():
    for name, protocol in known_protocols().items():
        assert sorted(_numbers(protocol)) == sorted(protocol.reaches), name
        for field, reach in protocol.reaches.items():
            beyond = [float("nan"), float("inf"), -float("inf"), 10**400 if reach.high < 1e9 else float("nan")]
            beyond += [bound + step for bound, step in ((reach.low, -1), (reach.high, 1)) if abs(bound) < float("inf")]
            for value in [*beyond, *([reach.high] if reach.below else [])]:
                with pytest.raises(ValueError, match=f"{field} must be"):
                    replace(protocol, **{field: (value,) if isinstance(getattr(protocol, field), tuple) else value})


def test_levels_at_their_ends_are_scored():
    random = np.random.default_rng(2)
    for name, protocol in known_protocols("localization").items():
        side = 224 if protocol.interpolation == "none" else 7
        maps = RawMaps(KEYS, random.random((4, side, side)))
        ends = [0.0, np.nextafter(1, 0) if protocol.reaches["level"].below else 1.0]
        for level in [] if "level" not in protocol.choices or "level" in protocol.idle else ends:
            assert score(maps, TRUTH, f"{name}+level={level}").summary


def test_choices_are_fields_and_their_page_says_what_they_may_be():
    for name, protocol in known_protocols().items():
        assert set(protocol.choices) <= {field.name for field in fields(protocol)} - {"name", "source"}, name
    page = protocol_page("adaptive_masks")
    assert "choice             frames_per_batch=a whole number" in page
    assert "choice             empty_mask=half_of_batch|half_of_image" in page
    assert "empty_mask         half_of_batch" in page


def test_results_from_before_a_choice_existed_are_of_the_same_protocol():
    stored = find_protocol("vssl").as_json()
    assert {"pooling", "undefined"}.isdisjoint(stored)
    assert as_protocol(stored, ListeningProtocol) == find_protocol("vssl")
    chosen = find_protocol("vssl+undefined=nan")
    assert chosen.as_json() == stored | {"name": chosen.name, "undefined": "nan"}
    assert as_protocol(chosen.as_json(), ListeningProtocol) == chosen


def test_the_threshold_by_pooling_and_quantile(answers):
    maxima = [maps.max(axis=(1, 2)).astype(np.float32) for maps in answers.controls.values()]
    one_list, higher = (threshold_from_negatives(maxima, each) for each in (0.75, 0.9))
    of_kinds = np.mean([threshold_from_negatives([each]) for each in maxima])
    assert len({one_list, higher, of_kinds}) == 3
    for name, expected in (("", one_list), ("+quantile=0.9", higher), ("+pooling=mean_of_kinds", of_kinds)):
        found = score(answers, TRUTH, f"vssl{name}").summary
        assert found["threshold"]["highest"] == pytest.approx(expected, abs=1e-6)
    given = score(answers, TRUTH, "vssl+level=0.6+threshold_from=level").summary
    assert given["threshold"] == {"from": "level", "lowest": pytest.approx(0.6), "highest": pytest.approx(0.6)}
    said = table(score(answers, TRUTH, "vssl+pooling=mean_of_kinds+quantile=0.9").summary)
    assert "below which 90 % of the maps' maxima under negative sounds lie, the mean over kinds of sounds" in said


def test_nothing_shown_of_nothing_is_0_unknown_or_refused(answers):
    own = score(answers, TRUTH, "vssl")
    assert own.table["iou"].to_pylist()[2] == 0
    unknown = score(answers, TRUTH, "vssl+undefined=nan")
    assert unknown.table["iou"].to_pylist()[2] is None
    found, usual = (each.summary["scores"]["audio_visual"] for each in (unknown, own))
    assert [found[name] for name in ("vssl_ciou", "vssl_auc", "f_loc", "f_auc", "ciou_drop_offscreen")] == [None] * 5
    assert found["pia_noise"] == usual["pia_noise"]
    with pytest.raises(InputError, match="Nothing of c is true and nothing of its map reaches the threshold"):
        score(answers, TRUTH, "vssl+undefined=raise")
    assert unknown.summary["floors"] == own.summary["floors"]


def test_pixels_at_the_threshold_count_with_ge():
    flat = np.full((4, 7, 7), 0.5, np.float32)
    answers = ControlMaps(RawMaps(KEYS, flat), dict.fromkeys(NEGATIVES, flat))
    shown = {name: score(answers, TRUTH, f"vssl{name}").summary["scores"]["audio_visual"]["pia_noise"]
             for name in ("", "+comparator=ge")}  # fmt: skip
    assert shown == {"": 0, "+comparator=ge": 1}


def test_a_frame_without_truth_is_given_half_of_its_batch_or_of_the_image():
    truth = np.zeros((4, 6, 6), bool)
    truth[0, :2] = True
    assert asked_areas(truth, batch=4).tolist() == [12, 2, 2, 2]
    assert asked_areas(truth, batch=4, empty="half_of_image").tolist() == [12, 18, 18, 18]


def test_maps_of_prompts_stretched_each_by_itself_rank_together():
    """Two pictures of one class, one with a map ten times as high: its background lies above the other's object."""
    labels = np.zeros((2, 8, 8), int)
    labels[:, :4] = 3
    maps = (labels > 0) + np.array([0, 9.0])[:, None, None]
    for stretch, perfect in (("set", False), ("map", True)):
        found = prompted_scores(maps, labels, [3, 3], stretch)["released"]
        assert (found["prompted_ap"] == 1) is perfect
    assert find_protocol("denseav+stretch=map").stretch == "map"
