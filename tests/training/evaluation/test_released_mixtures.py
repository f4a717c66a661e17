"""Mixtures, AVGN's pixels and prompts from files, under the protocols' names, against the evaluators' numbers."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from class_frames import write_prompts
from scored_files import scores_of

from manifests.errors import InputError
from manifests.truth import read_truth
from training import score
from training.evaluation import duets
from training.evaluation.protocols import find_protocol
from training.evaluation.raw_maps import RawMaps
from training.evaluation.tasks import prompted


def mixtures(arrays, cases, pattern):
    """The arrays of a maps.npz of cases, with the number of maps of each."""
    maps, owner = [], []
    for row in range(len(cases)):
        each = 0
        while pattern.format(row, each) in arrays:
            maps.append(arrays[pattern.format(row, each)])
            owner.append(row)
            each += 1
    return {"names": cases, "maps": np.stack(maps), "owner": owner}


def write_vggss(path, boxes):
    path.write_text(json.dumps([{"file": key, "class": "dog", "bbox": own} for key, own in boxes.items()]))
    return path


@pytest.mark.parametrize(("images", "protocol"), [(2, "noprior_duet"), (3, "noprior_trio")])
def test_duets_and_trios_of_noprior(values, arrays, images, protocol, tmp_path):
    boxes = values["duet"]["ground_truth"]["vggss_boxes_fraction"]
    truth, found = write_vggss(tmp_path / "vggss.json", boxes), values["duet"][f"noprior_K{images}"]
    cases = ["+".join(case["pictures"]) for case in found["per_case"]]
    given = mixtures(arrays, cases, f"duet_K{images}_case{{:02d}}_map{{}}")
    np.savez(tmp_path / "maps.npz", **given)
    scores, facts, said = scores_of(tmp_path, truth, "vggss", protocol)
    logged = found["logged"]
    for own, theirs in (("duet_ciou50", "cIoU"), ("duet_ciou30", "cIoU0.3"), ("duet_auc", "AUC"), ("cap", "CAP"),
                        ("piap", "PIAP")):  # fmt: skip
        assert scores[own] == pytest.approx(logged[f"test/{theirs}"], abs=1e-3), own
    assert scores["duet_ciou10"] == pytest.approx(found["ciou_at_0_1_from_the_original_list"])
    assert facts["n_without_maps"] == sum(case["n_maps"] == 0 for case in found["per_case"]) > 0
    assert facts["n_expected"] == len(boxes) // images
    assert facts["n_of_another_pairing"] == len(cases)  # neighbours in the list; the released rule takes i and i + L/K
    assert facts["floors"]["no_maps"]["duet_ciou50"] is None  # as released, a model that finds nothing is not punished
    assert facts["floors"]["no_maps"]["duet_ciou50_textbook"] == 0
    assert facts["ceiling"]["piap_textbook"] > 0.9
    assert "cIoU@0.3 as coded" in said


def test_music_duets_of_noprior(values, arrays, tmp_path):
    found, made = values["duet"]["noprior_music_duet_concat1"], values["duet"]["ground_truth"]["music_duet_made"]
    frames = {
        frame["file"]: {"bbox": [{"normbox": frame[f"bbox_src{n}"], "category_id": c} for n, c in ((1, 1), (2, 12))]}
        for frame in made
    }
    (tmp_path / "duettest.json").write_text(json.dumps(frames))
    cases = [case["file"] for case in found["per_case"]]
    np.savez(tmp_path / "maps.npz", **mixtures(arrays, cases, "duet_music_case{:02d}_map{}"))
    scores, facts, _ = scores_of(tmp_path, tmp_path / "duettest.json", "music", "noprior_music")
    for own, theirs in (("duet_ciou50", "cIoU"), ("duet_ciou30", "cIoU0.3"), ("duet_auc", "AUC"), ("cap", "CAP"),
                        ("piap", "PIAP")):  # fmt: skip
        assert scores[own] == pytest.approx(found["logged"][f"test/{theirs}"], abs=1e-3), own
    assert facts["n_of_another_pairing"] == 0


def test_mixtures_that_fit_nothing_are_refused(tmp_path):
    truth = write_vggss(tmp_path / "vggss.json", {f"clip{at:03d}": [[0, 0, 0.5, 0.5]] for at in range(4)})
    maps = np.zeros((1, 14, 7), np.float32)
    for given, message in (
        ({"names": ["clip000+clip002"], "maps": maps, "owner": [1]}, "whole numbers from 0 to 0"),
        ({"names": ["clip000"], "maps": maps, "owner": [0]}, "is of 1 images"),
        ({"names": ["clip000+other"], "maps": maps, "owner": [0]}, "None of the 1 cases"),
        ({"names": ["clip000+clip002"] * 2, "maps": maps, "owner": [0]}, "there twice"),
        ({"names": ["clip000+clip002"], "maps": maps[:, :7], "owner": [0]}, "not 2 images below one another"),
        ({"names": ["clip000+clip002"], "maps": maps * np.nan, "owner": [0]}, "clip000\\+clip002 holds NaN"),
        ({"names": ["clip000+clip002"], "maps": maps[0], "owner": [0]}, "Give maps"),
    ):
        np.savez(tmp_path / "maps.npz", **given)
        with pytest.raises(InputError, match=message):
            scores_of(tmp_path, truth, "vggss", "noprior_duet")
    np.savez(tmp_path / "maps.npz", names=["clip000+clip002"], maps=maps, owner=[0])
    _, facts, said = scores_of(tmp_path, truth, "vggss", "noprior_duet")
    assert facts["missing"] == ["clip001+clip003"]
    assert "clip001+clip003" in said


def test_cases_are_counted_by_their_images_in_any_order_and_spelling(tmp_path):
    def counts(keys, names, protocol="noprior_duet", **more):
        truth = write_vggss(tmp_path / "vggss.json", {key: [[0, 0, 0.5, 0.5]] for key in keys})
        maps = np.random.default_rng(0).normal(size=(len(names), 14, 7))
        np.savez(tmp_path / "maps.npz", names=names, maps=maps, owner=np.arange(len(names)), **more)
        facts = scores_of(tmp_path, truth, "vggss", protocol)[1]
        return facts["n_scored"], facts["n_expected"], facts["n_of_another_pairing"], facts["missing"]

    keys = ["aa", "ab", "ac", "ad"]
    assert counts(keys, ["ac+aa", "ad+ab"]) == (2, 2, 0, [])
    assert counts(keys, ["aa+ab", "ac+ad", "aa+ad", "ab+ac"]) == (0, 2, 4, ["aa+ac", "ab+ad"])
    assert counts(keys, ["x/aa.mp4+x/ac.mp4", "ab+ac"]) == (1, 2, 1, ["ab+ad"])
    assert counts(["a+a", "ab", "ac", "ad"], ["a+a+ac", "ad+ab"]) == (2, 2, 0, [])
    folders = ["cat/1.mp4", "cat/2.mp4", "dog/1.mp4", "dog/2.mp4"]
    assert counts(folders, ["dog/1.mp4+cat/1.mp4", "cat__2+dog__2"]) == (2, 2, 0, [])
    for names in (["aa+ac", "ac+aa"], ["aa+ac", "aa.mp4+ac.mp4"]):
        with pytest.raises(InputError, match="there twice"):
            counts(keys, names)
    with pytest.raises(InputError, match=r"which has 2. A case is named by 3 images\."):
        counts(keys[:2], ["aa+ab+zz"], "noprior_trio")


def test_parts_of_frames_are_those_of_a_case_s_images(tmp_path):
    truth = write_vggss(tmp_path / "vggss.json", {key: [[0.25, 0, 0.5, 1]] for key in ("aa", "ab", "ac", "ad")})
    left = np.repeat([[1.0, 1.0, 0.0, 0.0]], 8, axis=0)  # the truth is the left half of what is shown
    for shown, first in (([0.25, 0, 0.75, 1], 1.0), ([0, 0, 1, 1], 0.5)):
        given = {"names": ["aa+ac", "ab+ad"], "maps": np.stack([left] * 2), "owner": [0, 1], "view": "centre_crop"}
        np.savez(tmp_path / "maps.npz", shown=np.tile(shown, (2, 1)), **given)
        facts = scores_of(tmp_path, truth, "vggss", "noprior_duet")[1]
        assert facts["rows"][0]["iou"] == pytest.approx(first / 2, abs=0.02)  # one map for two images
    np.savez(tmp_path / "maps.npz", shown=np.tile(shown, (2, 1)), **given | {"names": ["aa+ac", "aa+ad"]})
    with pytest.raises(InputError, match="The image aa is of the cases"):
        scores_of(tmp_path, truth, "vggss", "noprior_duet")


def test_maps_of_instruments_that_fit_nothing_are_refused(tmp_path):
    boxes = [{"normbox": [0.1, 0.1, 0.3, 0.3], "category_id": 1}]
    names = [f"v/frame_{at}/1.jpg" for at in range(2)]
    (tmp_path / "duettest.json").write_text(json.dumps({name: {"bbox": boxes} for name in names}))
    (tmp_path / "solotest.json").write_text(json.dumps({name: {"bbox": []} for name in names}))
    maps = np.random.default_rng(0).normal(size=(2, 2, 7, 7))
    given = {"names": names, "maps": maps, "categories": np.array([b"cello", b"acoustic_guitar"])}
    for more, truth, message in (
        ({"names": names[:1] * 2}, "duettest", "two maps for v/frame_0/1.jpg"),
        ({"correspondence": np.full((2, 2), "a")}, "duettest", "correspondence is <U1"),
        ({"maps": maps[..., :0]}, "duettest", "they are empty"),
        ({}, "solotest", "no box in any of its 2 frames"),
    ):
        np.savez(tmp_path / "maps.npz", **given | more)
        with pytest.raises(InputError, match=message):
            scores_of(tmp_path, tmp_path / f"{truth}.json", "music", "music_duet")
    np.savez(tmp_path / "maps.npz", **given)
    assert scores_of(tmp_path, tmp_path / "duettest.json", "music", "music_duet")[1]["n_scored"] == 2


AVGN_MAPS = {"audio_visual": "av", "object_prior": "obj", "combined": "av_obj"}


@pytest.mark.parametrize("way", ["relative", "absolute"])
def test_avgn_one_map_an_image(values, arrays, way, tmp_path):
    """Every map's numbers: those of pixels, the strict shares, and those by confidence, of all clips and by size."""
    boxes = dict(list(values["duet"]["ground_truth"]["vggss_boxes_fraction"].items())[:24])
    truth, expected = write_vggss(tmp_path / "vggss.json", boxes), values["avgn"][f"avgn_single_{way}"]
    low, prior = arrays["avgn_low7"] / np.float32(0.03), arrays["avgn_object7"]
    np.savez(tmp_path / "maps.npz", names=list(boxes), maps=low, object_maps=prior)
    _, facts, said = scores_of(tmp_path, truth, "vggss", f"avgn_{way}", temperature=0.03)
    for name, spelled in AVGN_MAPS.items():
        found, pixels = expected[spelled], facts["average_precision_of_pixels"][name]
        assert pixels["piap_swapped"] == pytest.approx(found["piap_average"], abs=1e-3)
        holds_piap_of_sizes(pixels, found)
        assert pixels["ciou30"] == pytest.approx(np.mean(np.array(found["ciou"]) >= 0.3))
        holds_numbers_of_clips(facts["avgn"][name], found)
    own = [row["iou"] for row in facts["rows"]]
    np.testing.assert_allclose(own, expected["av"]["ciou"], atol=3e-4)
    overlapping = facts["average_precision_of_pixels"]["overlapping"]
    assert overlapping > 0
    assert f"{overlapping} with overlapping boxes" in said
    assert "PIAP as coded by AVGN" in said
    assert "cIoU above 0.5" in said


def holds_piap_of_sizes(own, found):
    """By the released code's own numbers where they are at hand; all sizes together have the mean of all clips."""
    sizes = own["by_size"]
    assert sum(part["n"] for part in sizes.values()) == len(found["ciou"]) > sizes["medium"]["n"] > 0
    for way in ("piap_swapped", "piap_of_mask"):
        together = sum(part["n"] * part.get(way, 0) for part in sizes.values()) / len(found["ciou"])
        assert together == pytest.approx(own[way])
    for size in (each for each in sizes if f"PIAP-{each}@50" in found["stats"]):
        assert sizes[size]["piap_swapped"] == pytest.approx(found["stats"][f"PIAP-{size}@50"], abs=1e-3)


def holds_numbers_of_clips(own, found):
    for cut in (10, 30, 50):
        assert own[f"ciou{cut}_strict"] == pytest.approx(found[f"precision_at_{cut}"])
    assert own["f1_at_30"] == pytest.approx(found["f1_at_30"])
    assert own["ap_at_30"] == pytest.approx(found["ap_at_30"])
    stats = found["stats"]
    assert {"Precision-all@75", "F1-all@50"} <= set(stats)
    for cut in (30, 50, 75):
        f1 = max(map(float, stats[f"F1-all@{cut}"].split()))
        assert 100 * own[f"max_f1_at_{cut}"] == pytest.approx(f1, abs=0.05)
        assert own[f"max_f1_at_{cut}_textbook"] >= own[f"max_f1_at_{cut}"]
        assert own[f"ap_at_{cut}"] == pytest.approx(stats[f"AP-all@{cut}"])
        for size, numbers in own["by_size"].items():
            assert (numbers["n"] > 0) == (f"AP-{size}@{cut}" in stats)
            if numbers["n"]:
                assert numbers[f"ap_at_{cut}"] == pytest.approx(stats[f"AP-{size}@{cut}"])
                assert numbers[f"ciou{cut}"] == pytest.approx(stats[f"Precision-{size}@{cut}"])
                assert numbers["auc"] == pytest.approx(stats[f"AUC-{size}@{cut}"])


def test_avgn_s_boxes_that_overlap_count_more_than_once_in_duets(tmp_path):
    """The left half twice and the right half once: a map of the right half has 1/2 of the union, and 1/3 added up."""
    truth = write_vggss(tmp_path / "vggss.json", {"clip": [[0, 0, 0.5, 1], [0, 0, 0.5, 1], [0.5, 0, 1, 1]]})
    right = np.tile(np.arange(7.0), (7, 1))
    np.savez(tmp_path / "maps.npz", names=["clip"], maps=right[None])
    scores, facts, _ = scores_of(tmp_path, truth, "vggss", "avgn_relative")
    assert scores["ciou50"] == 1
    assert facts["average_precision_of_pixels"]["audio_visual"]["ciou50_added"] == 0
    assert facts["average_precision_of_pixels"]["overlapping"] == 1


def test_avgn_reads_boxes_of_music_as_corners(tmp_path):
    frames = {f"m{at}": {"bbox": [{"normbox": [0.1 + 0.2 * at, 0.1, 0.4, 0.5], "category_id": 1}]} for at in range(3)}
    (tmp_path / "duettest.json").write_text(json.dumps(frames))
    np.savez(tmp_path / "maps.npz", names=list(frames), maps=np.random.default_rng(0).normal(size=(3, 7, 7)))
    _, facts, said = scores_of(tmp_path, tmp_path / "duettest.json", "music", "avgn_relative")
    assert facts["average_precision_of_pixels"]["corners"] == {"boxes": 3, "empty": 1}
    assert "1 of 3 corners empty" in said


def test_prompts_of_denseav(values, arrays, tmp_path):
    labels, asked = arrays["denseav_semseg"].astype(np.int64), arrays["denseav_prompt_classes"].tolist()
    truth = read_truth(write_prompts(tmp_path / "ade", labels, asked), "ade20k_sound")
    assert truth.keys[0] == f"validation%2FADE_000_{asked[0]}"
    image, sound, mask = (arrays[f"denseav_{name}"] for name in ("image_features", "audio_features", "audio_mask"))
    similar = np.einsum("nchw,ncft->nhwft", image, sound).mean(axis=3)
    heat = (similar * mask[:, None, None, :]).sum(axis=-1) / mask.sum(axis=-1)[:, None, None]
    protocol = replace(find_protocol("denseav"), size=labels.shape[1])
    found = prompted.score(RawMaps(truth.keys, heat), truth, protocol).summary
    expected = values["denseav"]["results"]["sound_heads1"]["logged_mean"]
    assert found["scores"]["audio_visual"]["prompted_ap"] == pytest.approx(expected["basic_ap"], abs=2e-4)
    assert found["scores"]["audio_visual"]["prompted_iou"] == pytest.approx(expected["basic_iou"], abs=2e-3)
    assert found["classes_never_visible"] == [20]
    assert found["ceiling"]["prompted_ap_textbook"] == pytest.approx(1)
    whole = found["floors"]["whole_image"]  # of all pixels that are taken, those of the class
    assert 0 < whole["prompted_iou"] == pytest.approx(whole["prompted_ap"], abs=1e-6)


def test_names_of_prompts_may_have_their_folders_with_a_slash(tmp_path):
    folder = write_prompts(tmp_path, np.full((3, 4, 4), 300), [300, 7, 300])
    (folder / "annotations" / "training").mkdir()
    shutil.copy(folder / "annotations/validation/ADE_001_seg.png", folder / "annotations/training")
    with (folder / "prompted_segmentation.csv").open("a") as table:
        table.write("validation/ADE_001.jpg,,again.wav,7\ntraining/ADE_001.jpg,,other.wav,7\n")
    keys, maps = read_truth(folder, "ade20k_sound").keys, np.random.default_rng(0).random((5, 7, 7))
    named = [key.replace("%2F", "/") for key in keys]
    assert named[1::2] == ["validation/ADE_001_7", "validation/ADE_001_7_2"]
    expected, found = (
        score({"names": names, "maps": own}, folder, "denseav", format="ade20k_sound")
        for names, own in ((keys, maps), (named[::-1], maps[::-1]))
    )
    assert (found["n_scored"], found["rows"], found["scores"]) == (5, expected["rows"], expected["scores"])


def similarities(arrays, heads):
    """(N, heads, h, w, F, T) of DenseAV's features, whose channels are shared out to the heads."""
    image, sound = (arrays[f"denseav_{name}"].astype(np.float64) for name in ("image_features", "audio_features"))
    image, sound = (each.reshape(len(each), heads, -1, *each.shape[2:]) for each in (image, sound))
    return np.einsum("nkchw,nkcft->nkhwft", image, sound)


RUNS = {  # protocol, heads, which numbers
    "sound_heads2_max_elementwise_nonneg": ("denseav_nonnegative", 2, "basic"),
    "sound_heads1": ("denseav", 1, "basic"),
    "speech_timing_heads1": ("denseav", 1, "advanced"),
}


@pytest.mark.parametrize("name", RUNS)
def test_denseav_s_heads_and_words(released, name, tmp_path):
    arrays, values = released("golden_listening.npz"), released("golden_listening.json")["denseav"]
    (protocol, heads, kind), expected = RUNS[name], values["results"][name]
    labels, asked = arrays["denseav_semseg"].astype(np.int64), arrays["denseav_prompt_classes"].tolist()
    truth = read_truth(write_prompts(tmp_path / "ade", labels, asked), "ade20k_sound")
    given = {"names": np.array(truth.keys), "maps": similarities(arrays, heads), "heard": arrays["denseav_audio_mask"]}
    if kind == "advanced":
        given |= {"words": np.array(values["timing_seconds"]), "seconds": np.full(len(asked), values["total_seconds"])}
    sized = replace(find_protocol(protocol), size=labels.shape[1])
    found = prompted.score(prompted.read(given, 0.4, sized), truth, sized).summary["by_class"]
    np.testing.assert_allclose(list(found["ap"].values()), expected["per_class"][f"{kind}_ap"], atol=2e-4)
    np.testing.assert_allclose(list(found["iou"].values()), expected["per_class"][f"{kind}_iou"], atol=2e-3)


def test_heads_are_taken_together_cell_by_cell():
    similar = np.zeros((1, 2, 1, 2, 1, 2), np.float32)
    similar[0, 0, 0, 0], similar[0, 1, 0, 0] = [[1, -4]], [[-1, 3]]
    given = {"names": np.array(["a"]), "maps": similar}
    for protocol, expected in (("denseav", 2), ("denseav_sum", -0.5), ("denseav_nonnegative", 2)):
        assert prompted.read(given, 0.4, find_protocol(protocol)).maps[0].tolist() == [[expected, 0]]
    (heard,) = prompted.read(given | {"heard": np.array([[0, 1]])}, 0.4, find_protocol("denseav_sum")).maps.tolist()
    assert heard == [[-1, 0]]


def test_heads_that_do_not_fit_are_refused():
    given, protocol = {"names": np.array(["a"]), "maps": np.zeros((1, 2, 1, 2, 1, 4))}, find_protocol("denseav")
    for more, message in (
        ({"heard": np.ones((1, 3))}, "give numbers of shape \\(1, 4\\)"),
        ({"heard": np.zeros((1, 4))}, "no frame that is heard, first a"),
        ({"words": np.zeros((1, 2))}, "needs both arrays"),
        ({"words": np.array([[2, 1]]), "seconds": np.array([3])}, "from 2 to 1 s of 3 s"),
        ({"words": np.array([[4, 5]]), "seconds": np.array([3])}, "the start within the sound"),
        ({"maps": np.zeros((1, 2, 2)), "heard": np.ones((1, 4))}, "heard go with similarities"),
        ({"maps": np.zeros((1, 0, 1, 2, 1, 4))}, "they are empty"),
        ({"heard": np.full((1, 4), "a")}, "heard is <U1"),
    ):
        with pytest.raises(InputError, match=message):
            prompted.read(given | more, 0.4, protocol)


def test_a_prompt_twice_and_a_row_that_is_none(tmp_path):
    folder = write_prompts(tmp_path, np.full((2, 4, 4), 300), [300, 7])
    text = (folder / "prompted_segmentation.csv").read_text()
    (folder / "prompted_segmentation.csv").write_text(text + "validation/ADE_000.jpg,,again.wav,300\n")
    assert read_truth(folder, "ade20k_sound").keys[-1] == "validation%2FADE_000_300_2"
    for row, message in (("../x.jpg,,a.wav,3", "no path inside"), ("x.jpg,,a.wav,dog", "no number of ADE20K")):
        (folder / "prompted_segmentation.csv").write_text(f"{text}{row}\n")
        with pytest.raises(InputError, match=message):
            read_truth(folder, "ade20k_sound")


def test_the_best_matching_of_many_maps_is_that_of_all_ways(monkeypatch):
    table = np.random.default_rng(0).random((7, 3))
    tried = duets._assignment(table)
    monkeypatch.setattr(duets, "MANY_MAPS", 3)
    assert duets._assignment(table) == tried
    assert len(set(tried)) == 3
