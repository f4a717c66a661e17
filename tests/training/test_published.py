"""The packaged configs' published numbers: each under a set, protocol, map and score that an evaluation makes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml
from every import for_every
from places import METADATA, needed

from manifests.catalogue import catalogue, find_list
from manifests.splits import IdList, overlap
from training.config import RunConfig, load_config
from training.evaluation.consistency import impossible
from training.evaluation.protocols import known_protocols
from training.methods import method_names
from training.published import Printed, rows_of
from training.settings.files import PACKAGED

PROTOCOLS = known_protocols("localization")

NAMES = sorted(path.stem for path in PACKAGED.glob("*.yaml"))
MUSIC = {"music_solo", "music_synthetic", "music_duet"}
SETS = {"vggss", "flickr", "extended_vggss", "extended_flickr", "avsbench_s4", *MUSIC}
MAPS = {"audio_visual", "object_prior", "combined"}
LOCALIZATION = {"ciou50", "ciou50_last", "auc"}
PAIRS = {"ap", "max_f1", "locacc", "max_f1_real", "max_f1_easy", "max_f1_hard"}
RECALLS = {"R@1", "R@5", "R@10"}
PRINTED_IMPOSSIBLE = {
    (name, "extended_flickr", "slavc_relative") for name in ("attention10k", "dsol_flickr_144k")
}  # max-F1 24.0 and 49.4 beside localization accuracies of 34.2 and 72.9
NO_NUMBERS = {
    "demo", "demo_semantic", "ezvsl_semantic", "ssltie_scale_once", "lvs_as_paper", "hardpos_as_printed",
    "slavc_symmetric", "fnac_corrected_stripes", "fnac_vggss_heard", "dsol_localization_only", "dmc_ranking",
    "coarse_to_fine",
    "coarse_to_fine_flickr_144k_stage1",
    "proposal_frames",
    "proposal_plain_sum",
    "proposal_by_similarity",
    "real_alignment",
    "real_ezvsl",
    "real_ezvsl_semantic",
}  # fmt: skip


@cache
def packaged(name: str) -> RunConfig:
    """A packaged config, read once for all tests of this file."""
    return load_config(name)


@cache
def printed(name: str) -> tuple[Printed, ...]:
    """What a packaged config says was printed: its own numbers, and those of the entries it names."""
    return tuple(rows_of(packaged(name).model_dump(mode="json")))


def scores(name: str, test_set: str, protocol: str, map_name: str) -> Mapping[str, float]:
    """The one row of a config for a map."""
    (row,) = [row for row in printed(name) if (row.test_set, row.protocol, row.map) == (test_set, protocol, map_name)]
    return row.scores


@cache
def released(name: str) -> IdList:
    """A released list, read once."""
    return find_list(name, METADATA)


def allowed(test_set: str, protocol: str) -> tuple[set[str], set[str]]:
    """Names of maps (or directions) and of scores of one measurement."""
    if protocol == "retrieval":
        return {"audio_to_image_class", "image_to_audio_class"}, RECALLS  # Align's, of a size that only classes have
    if protocol == "avsbench":
        return MAPS, {"miou", "miou_top_half", "f_per_video", "f_data_set"}
    if protocol == "onscreen":
        return {"m_on", "d_on", "either"}, {"accuracy"}
    if protocol in ("music_synthetic", "music_duet"):
        return {"audio_visual"}, {"ciou30", "auc", "nsa"}
    assert protocol in PROTOCOLS, protocol
    return MAPS, PAIRS if test_set.startswith("extended_") else LOCALIZATION


@for_every(NAMES)
def test_every_number_stands_where_an_evaluation_would_put_its_own(name: str) -> None:
    for row in printed(name):
        whole, _, part = row.test_set.partition("-")
        assert whole in SETS
        assert not part or catalogue()[part].role == "part"
        known_maps, known_scores = allowed(row.test_set, row.protocol)
        assert row.map in known_maps
        assert set(row.scores) <= known_scores
        assert all(0 <= value <= 1 for value in row.scores.values())


@for_every(NAMES)
def test_published_rows_are_possible(name: str) -> None:
    """A typing error in a cIoU or AUC mostly breaks an inequality that every measurement keeps.

    Two rows are printed so, and the page says of them that they are impossible.
    """
    for row in printed(name):
        given = {score: row.scores.get(score) for score in ("ciou50", "auc", "max_f1")}
        found = impossible(**given, located=row.scores.get("locacc"))
        assert bool(found) == ((name, row.test_set, row.protocol) in PRINTED_IMPOSSIBLE)


@for_every(NAMES)
def test_published_settings_carry_numbers_and_others_none(name: str) -> None:
    assert bool(printed(name)) == (name not in NO_NUMBERS)


@for_every(NAMES)
def test_who_repeats_a_publication_trains_on_silent_clips_too(name: str) -> None:
    """No paper leaves them out; our own runs do unless told otherwise."""
    config = packaged(name)
    if printed(name) and "optim" in config.model_fields_set:
        assert config.data.drop_flagged == ()
    assert packaged("demo").data.drop_flagged == ("silent",)


@for_every(NAMES)
def test_training_lists_and_protocols_are_known(name: str) -> None:
    config = packaged(name)
    assert set(config.evaluation.protocols) <= set(known_protocols())
    if config.data.train_list is not None:
        assert catalogue()[config.data.train_list].role == "train"


@pytest.mark.slow
def test_no_clip_of_a_test_set_that_a_config_names_is_trained_on() -> None:
    """Nor any of MUSIC's test videos, whose keys are those of frames. VGG-SS and AVSBench share videos with training
    lists by publication, never clips."""
    needed(METADATA)
    for listed, excluded, names in {trained_and_tested(packaged(name)) for name in NAMES}:
        if listed is None:
            continue
        trained = released(listed)
        banned = {key for test in excluded for key in released(test).known_as(trained.ids).ids}
        left = replace(trained, ids=tuple(key for key in trained.ids if key not in banned))
        for test_set in map(released, sorted(names)):
            assert not set(left.ids) & set(test_set.ids), (listed, test_set.name)
            assert test_set.name not in MUSIC or not overlap(left, test_set).videos, (listed, test_set.name)


@for_every(NAMES)
def test_who_is_tested_on_music_excludes_its_test_videos(name: str) -> None:
    config = packaged(name)
    if named_tests(config) & MUSIC:
        assert {"music_solo", "music_duet"} <= set(config.data.exclude_test)
        assert config.data.train_list is not None or config.method.name == "dsol_mixtures"  # whose clips are collages


def named_tests(config: RunConfig) -> set[str]:
    """The released test sets of a config's evaluation and published numbers, by whole set; mixtures are of solos."""
    named = {
        (name or "").partition("-")[0].removeprefix("extended_") for name in (config.evaluation.test_set, *config.paper)
    }
    made_of = {"flickr": "flickr_test", "music_synthetic": "music_solo"}
    return {made_of.get(name, name) for name in named} & catalogue().keys()


def trained_and_tested(config: RunConfig) -> tuple[str | None, tuple[str, ...], frozenset[str]]:
    """A config's training list, what it leaves out of it, and what it is tested on; many configs share all three."""
    return config.data.train_list, config.data.exclude_test, frozenset(named_tests(config))


@for_every(NAMES)
def test_a_second_stage_begins_with_a_first_one_of_its_classes(name: str) -> None:
    config = packaged(name)
    if config.init_from is None or (first := Path(config.init_from).name) not in NAMES:
        return
    earlier = packaged(first)
    before, now = (one.method.as_json() for one in (earlier, config))
    for option in ("classes", "clusters", "labels", "dimension"):
        assert now.get(option) == before.get(option), option
    assert config.data.train_list in (earlier.data.train_list, None)  # collages have names of their own


def test_every_method_has_a_config_of_its_name() -> None:
    assert set(method_names()) <= set(NAMES)
    assert all(packaged(name).method.name == name for name in method_names())


def test_extends_reaches_one_level_and_repeats_nothing_of_its_parent() -> None:
    """A child that restates its parent hides what it changes."""
    for name in NAMES:
        child = yaml.safe_load((PACKAGED / f"{name}.yaml").read_text())
        if "extends" in child:
            parent = yaml.safe_load((PACKAGED / child["extends"]).read_text())
            assert "extends" not in parent
            assert not list(repeated(child, parent, skipped={"extends", "name", "paper", "published"})), name


def repeated(child: dict, parent: dict, skipped: set[str] = frozenset()):
    """Keys whose value is the parent's own."""
    for key in child.keys() & parent.keys() - skipped:
        if isinstance(child[key], dict) and isinstance(parent[key], dict):
            yield from repeated(child[key], parent[key])
        elif child[key] == parent[key]:
            yield key


def test_more_neighbours_score_higher_in_alignments_sweep() -> None:
    names = [f"alignment_k{k}" for k in (10, 30, 100, 500)] + ["alignment"]
    rows = [scores(name, "vggss", "kaist_lvs", "audio_visual") for name in names]
    assert [100 * row["auc"] for row in rows] == pytest.approx([39.51, 39.67, 39.93, 40.00, 40.02])
    assert [row["ciou50"] for row in rows] == sorted(row["ciou50"] for row in rows)


# The main rows, as the papers print them, once more and by hand: a config's slip would show here.
MAIN_ROWS = {
    "lvs": ("vggss", "lvs", "audio_visual", 34.4, 38.2),
    "lvs_vanilla": ("vggss", "kaist_lvs", "audio_visual", 27.8, 35.0),
    "hardpos": ("vggss", "kaist_lvs", "audio_visual", 34.6, 38.0),
    "ezvsl": ("vggss", "ezvsl", "combined", 38.85, 39.54),
    "slavc": ("vggss", "slavc_relative", "audio_visual", 37.79, 39.40),
    "alignment": ("vggss", "kaist_lvs", "audio_visual", 39.94, 40.02),
    "sspl": ("vggss", "sspl", "audio_visual", 33.9, 38.0),
    "ssltie": ("vggss", "lvs", "audio_visual", 38.63, 39.65),
    "fnac": ("vggss", "ezvsl", "audio_visual", 39.50, 39.66),
    "centred_disc": ("vggss", "ezvsl", "audio_visual", 34.02, 37.44),
}


@pytest.mark.parametrize("name", MAIN_ROWS)
def test_main_rows(name: str) -> None:
    test_set, protocol, map_name, ciou, auc = MAIN_ROWS[name]
    row = scores(name, test_set, protocol, map_name)
    assert (100 * row["ciou50"], 100 * row["auc"]) == pytest.approx((ciou, auc))


HYPERPARAMETERS = {  # epochs, batch, replicas, learning rate, weight decay, stage-4 stride of images, their weights
    "lvs": (80, 256, 1, 1e-4, 1e-4, 1, "none"),
    "ezvsl": (20, 128, 2, 1e-4, 0.0, 2, "imagenet"),
    "ezvsl_vggss_10k": (100, 128, 2, 1e-4, 0.0, 2, "imagenet"),
    "slavc": (20, 128, 2, 1e-4, 0.0, 2, "imagenet"),
    "alignment": (50, 128, 1, 1e-4, 0.0, 1, "none"),
    "alignment_pretrained": (50, 128, 1, 1e-4, 0.0, 1, "imagenet"),
    "sspl": (20, 256, 1, 2e-5, 1e-4, 2, "imagenet"),
    "sspl_without_pcm": (100, 256, 1, 5e-4, 1e-4, 2, "imagenet"),
    "ssltie": (100, 32, 1, 1e-4, 1e-4, 1, "none"),
    "fnac": (30, 256, 1, 1e-4, 1e-4, 2, "imagenet"),
}


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_hyper_parameters(name: str) -> None:
    config = packaged(name)
    optim, image = config.optim, config.encoders.image
    found = (optim.epochs, optim.batch_size, optim.replicas, optim.learning_rate, optim.weight_decay)
    assert (*found, image.last_stride, image.weights) == HYPERPARAMETERS[name]
