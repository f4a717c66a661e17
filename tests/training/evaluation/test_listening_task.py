"""Maps under controls, from file or model, through the one path that scores them."""

from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest

from manifests.annotations import Annotation, TestSet
from manifests.errors import InputError
from manifests.sound_draws import CONTROLS, NEGATIVES, SoundDraw
from manifests.test_sets import Truth
from training.evaluation.control_maps import ControlMaps
from training.evaluation.printing import table
from training.evaluation.protocols import drawn_by, find_protocol, known_protocols, seeds_variant
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import listening, score

COUNT = 6
BOX = (0.25, 0.25, 0.75, 0.75)


@pytest.fixture
def truth():
    annotations = tuple(Annotation(f"clip{number}_000001", "ab"[number % 2], (BOX,)) for number in range(COUNT))
    return Truth("vggss", TestSet("made", annotations, "made", "0" * 64))


def boxes():
    own = np.zeros((COUNT, 224, 224), np.float32)
    own[:, 56:168, 56:168] = 1
    return own


def answers(truth, own, **controls):
    return ControlMaps(RawMaps(truth.test_set.keys, own), {name: controls.get(name, own) for name in CONTROLS})


@pytest.mark.parametrize("protocol", ["vssl", "vssl_textbook", "vssl_lvs"])
def test_an_oracle_hears_everything(truth, protocol):
    nothing = np.zeros((COUNT, 224, 224), np.float32)
    found = score(answers(truth, boxes(), **dict.fromkeys(NEGATIVES, nothing)), truth, protocol).summary
    scores = found["scores"]["audio_visual"]
    assert scores["f_loc"] == scores["f_auc"] == scores["hears"] == scores["vssl_ciou"] == 1
    assert all(scores[f"pia_{name}"] == 0 for name in NEGATIVES)
    assert scores["ciou_drop_swapped"] == 0
    assert scores["ciou_drop_offscreen"] == 1
    assert scores["outside_truth"] == 0


def test_a_map_that_ignores_sound_hears_nothing_and_has_the_floors_numbers(truth):
    prior = np.random.default_rng(0).normal(size=(COUNT, 7, 7)).astype(np.float32)
    deaf = ControlMaps(RawMaps(truth.test_set.keys, prior, prior), dict.fromkeys(CONTROLS, prior))
    one_grid = replace(known_protocols()["vssl"], control_align_corners=True)
    found = listening.score(deaf, truth, one_grid).summary
    own, floor = found["scores"]["audio_visual"], found["floors"]["object_prior"]
    assert own == pytest.approx(floor)
    assert own["hears"] == pytest.approx(0)
    assert all(own[f"correlation_{name}"] == pytest.approx(1) for name in CONTROLS)
    assert all(own[f"overlap_{name}"] == 1 for name in CONTROLS)
    assert found["floors"]["centred_disc"]["hears"] == found["floors"]["nothing"]["f_loc"] == 0


def test_the_released_grids_keep_even_a_deaf_map_from_agreeing_with_itself(truth):
    maps = np.random.default_rng(0).normal(size=(COUNT, 7, 7)).astype(np.float32)
    released = score(answers(truth, maps), truth, "vssl").summary["scores"]["audio_visual"]
    textbook = score(answers(truth, maps), truth, "vssl_textbook").summary["scores"]["audio_visual"]
    assert released["overlap_silence"] < 1
    assert textbook["overlap_silence"] == 1


def test_clips_without_a_pair_are_counted_and_named(truth):
    maps = np.random.default_rng(0).normal(size=(COUNT, 7, 7)).astype(np.float32)
    some, none = maps.copy(), np.full_like(maps, np.nan)
    some[2] = np.nan
    result = score(answers(truth, maps, swapped=some, offscreen=none), truth, "vssl")
    found = result.summary
    assert found["controls"]["swapped"] == {"n": COUNT - 1, "without": ["clip2_000001"]}
    assert found["controls"]["offscreen"]["n"] == 0
    own = found["scores"]["audio_visual"]
    assert own["f_loc"] is own["hears"] is None
    assert "1 clip has no map under swapped: clip2_000001" in table(found)
    assert "how much it hears is not known" in table(found)
    assert result.table.num_rows == COUNT


def test_where_one_half_has_no_negatives_all_clips_share_a_threshold_and_that_is_said(truth):
    maps = np.random.default_rng(0).normal(size=(COUNT, 7, 7)).astype(np.float32)
    halves = np.array([crc32(key.encode()) % 2 for key in truth.test_set.keys])
    for half in (0, 1):
        there = maps.copy()
        there[halves == half] = np.nan
        answer = ControlMaps(RawMaps(truth.test_set.keys, maps), {"silence": there})
        found = score(answer, truth, "vssl_textbook").summary
        cut = found["threshold"]
        assert cut["from"] == "negatives"
        assert (
            cut["lowest"] == cut["highest"] == pytest.approx(np.quantile(maps[halves != half].max(axis=(1, 2)), 0.75))
        )
        assert "under negative sounds lie" in table(found)
    both = ControlMaps(RawMaps(truth.test_set.keys, maps), {"silence": maps})
    assert score(both, truth, "vssl_textbook").summary["threshold"]["from"] == "other_half"


def test_what_cannot_be_scored_is_refused(truth):
    maps = np.zeros((COUNT, 7, 7), np.float32)
    with pytest.raises(InputError, match="own sounds only"):
        ControlMaps(RawMaps(truth.test_set.keys, maps), {})
    broken = maps.copy()
    broken[1, 0, 0] = np.nan
    with pytest.raises(InputError, match="clip1_000001 under noise holds NaN"):
        score(answers(truth, maps, noise=broken), truth, "vssl")
    swapped_alone = ControlMaps(RawMaps(truth.test_set.keys, maps), {"swapped": maps})
    with pytest.raises(InputError, match="no clip with a negative sound"):
        score(swapped_alone, truth, "vssl")
    with pytest.raises(InputError, match=r"maps_noise holds 1e\+300, which does not fit float32"):
        score(answers(truth, boxes(), noise=np.full((COUNT, 224, 224), 1e300)), truth, "vssl")
    with pytest.raises(InputError, match="maps_noise are of type <U"):
        ControlMaps(RawMaps(truth.test_set.keys, maps), {"noise": maps.astype(str)})
    with pytest.raises(InputError, match="for each name"):
        ControlMaps(RawMaps(truth.test_set.keys, maps), {"noise": maps[:2]})


def test_ten_draws_are_scored_together_and_own_sounds_count_as_in_one(truth):
    rng = np.random.default_rng(0)
    own, silence, offscreen = (rng.normal(size=(*some, COUNT, 7, 7)).astype(np.float32) for some in ((), (), (3,)))
    offscreen[:, 2] = np.nan
    found = ControlMaps(RawMaps(truth.test_set.keys, own), {"silence": silence, "offscreen": offscreen})
    together = score(found, truth, "vssl_lvs+seeds0..2")
    alone = [
        score(ControlMaps(found.own, {"silence": silence, "offscreen": each}), truth, f"vssl_lvs+seed{seed}").summary
        for seed, each in enumerate(offscreen)
    ]
    scores, each = together.summary["scores"]["audio_visual"], [one["scores"]["audio_visual"] for one in alone]
    for name in ("vssl_ciou", "vssl_auc", "pia_silence", "mixed_ciou50"):
        assert scores[name] == pytest.approx(each[0][name]) == pytest.approx(each[1][name])
    for name in ("pia_offscreen", "auc_n_offscreen", "overlap_offscreen", "hears"):
        assert scores[name] == pytest.approx(np.mean([one[name] for one in each]))
    assert together.summary["controls"]["offscreen"] == {"n": COUNT - 1, "without": ["clip2_000001"]}
    assert together.table.num_rows == COUNT
    assert together.summary["protocol"]["sound_seeds"] == [0, 1, 2]
    assert "sound_seeds" not in alone[0]["protocol"]
    assert alone[1]["protocol"]["sound_seeds"] == [1]


def test_maps_of_more_or_fewer_draws_than_a_protocol_has_seeds_are_refused(truth):
    own = np.zeros((COUNT, 7, 7), np.float32)
    twice = ControlMaps(RawMaps(truth.test_set.keys, own), {"noise": np.stack([own, own])})
    for protocol in ("vssl_lvs", "vssl_lvs+seeds0..9", "avsbench_robust"):
        with pytest.raises(InputError, match="are of 2 draws"):
            score(twice, truth, protocol)
    with pytest.raises(InputError, match="maps_noise of 2, maps_swapped of 1"):
        ControlMaps(twice.own, {"noise": np.stack([own, own]), "swapped": own[None]})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ezvsl+seed7", "no image under a foreign sound"),
        ("avsbench_robust+seeds0..9", "drawn once"),
        ("avsbench_robust+unlogged", "drawn once"),
        ("vssl+seeds9..0", "unknown variant"),
        ("vssl+seeds0..100", "unknown variant"),
    ],
)
def test_draws_that_a_protocol_does_not_have_are_refused(name, told):
    with pytest.raises(InputError, match=told):
        find_protocol(name)


def test_seeds_of_sounds_are_given_once_and_to_protocols_that_draw_some():
    assert seeds_variant("0") is None
    assert (seeds_variant("7"), seeds_variant("0..9")) == ("seed7", "seeds0..9")
    assert drawn_by("seed7", ("ezvsl", "vssl+byclass")) == ("ezvsl", "vssl+byclass+seed7")
    assert find_protocol("avsbench_robust+seed7").draws == (SoundDraw(7),)
    with pytest.raises(InputError, match="neither a seed"):
        seeds_variant("-1")
    with pytest.raises(InputError, match="Ask with --listen"):
        drawn_by("seed7", ("ezvsl",))
    with pytest.raises(InputError, match="Give them once"):
        drawn_by("seed7", ("vssl+seed3",))


def test_a_threshold_of_other_clips_is_taken_as_it_is(truth):
    own, silent = np.random.default_rng(0).normal(size=(2, COUNT, 7, 7)).astype(np.float32)
    answer = ControlMaps(RawMaps(truth.test_set.keys, own, own), {"silence": silent})
    with pytest.raises(InputError, match="cuts where a validation set says"):
        score(answer, truth, "vssl_validated")
    cuts = score(answer, truth, "vssl_textbook").summary["threshold"]["of_all"]
    assert cuts["audio_visual"] == pytest.approx(np.quantile(silent.max(axis=(1, 2)), 0.75))
    found = score(replace(answer, thresholds=cuts), truth, "vssl_validated").summary
    same = listening.score(answer, truth, replace(known_protocols()["vssl"], align_corners=False)).summary
    assert found["scores"] == same["scores"]
    assert found["threshold"]["from"] == "validation"
    assert "on a validation set" in table(found)
    arrays = {"names": np.array(truth.test_set.keys), "maps": own, "maps_silence": silent}
    protocol = find_protocol("vssl_validated")
    assert listening.read(arrays | {"thresholds": np.array(0.5)}, 0.4, protocol).thresholds == {"audio_visual": 0.5}
    with pytest.raises(InputError, match=r"thresholds is \[nan\]"):
        listening.read(arrays | {"thresholds": np.array([np.nan])}, 0.4, protocol)
