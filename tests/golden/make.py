"""Make the shipped golden values: what the plain reference says of the made inputs.

    PYTHONPATH=tests/support python tests/golden/make.py

Run it again only when an input or a rule of the reference changes; `tests/training/evaluation/test_golden_reference.py`
holds the reference against the numbers of the original code, and the files against the reference.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_enlarging
import golden_evaluators as evaluators
import golden_inputs as inputs
import golden_listening
import golden_music
import golden_reference as reference
import golden_tasks as tasks
import golden_vggss
import numpy as np
from places import MINIATURES

FOLDER = Path(__file__).parent
STYLES = ("vggss", "flickr")


def scene() -> dict:
    made = inputs.scene()
    own = [[reference.vggss_box(box) for box in boxes] for boxes in made["vggss_boxes_normalised"]]
    flickr = [[reference.flickr_box(box) for each in opinions for box in each] for opinions in made["flickr_boxes_256"]]
    truths = [reference.flickr_truth(boxes) for boxes in flickr]
    return made | {
        "vggss_boxes_int": own,
        "flickr_boxes_224": flickr,
        "vggss_area": [float(reference.vggss_truth(boxes).sum()) for boxes in own],
        "flickr_weighted_area": [float(truth.sum()) for truth in truths],
        "flickr_support": [int((truth > 0).sum()) for truth in truths],
        "flickr_xml": [_xml(opinions) for opinions in made["flickr_boxes_256"]],
    }


def _xml(opinions: list[list[list[int]]]) -> str:
    boxes = ["".join(f"<bbox><id>1</id>{''.join(f'<x>{v}</x>' for v in b)}</bbox>" for b in each) for each in opinions]
    return f"<root>{''.join(f'<annotator>{each}</annotator>' for each in boxes)}</root>"


def truths(found: dict, style: str) -> list[np.ndarray]:
    if style == "vggss":
        return [reference.vggss_truth(boxes) for boxes in found["vggss_boxes_int"]]
    return [reference.flickr_truth(boxes) for boxes in found["flickr_boxes_224"]]


def localisation() -> dict:
    found, arrays = scene(), inputs.maps()
    chain, levels = {}, {}
    for style in STYLES:
        boxes = found["vggss_boxes_int"] if style == "vggss" else found["flickr_boxes_224"]
        own = truths(found, style)
        chain[style] = evaluators.chains(arrays, own, [len(each) for each in boxes], style)
        for blocks in (blocks for name, blocks in chain[style].items() if name.startswith("kaist")):
            blocks |= {name: tasks.interactive(found["names"], block) for name, block in blocks.items()}
        levels[style] = evaluators.map_level(arrays["full"], [own[at] for at in arrays["full_idx"]])
    return {"chain": chain, "map_level": levels}


def extended() -> dict:
    found, arrays, made = scene(), inputs.maps(), inputs.composition()
    where = made["pos_scene_idx"]
    low7 = np.concatenate([arrays["low7"][where], arrays["neg7"][made["neg_idx"]]])
    obj7, none = arrays["obj7"][made["obj_idx"]], [np.zeros((224, 224))] * len(made["neg_idx"])
    own = {style: [truths(found, style)[at] for at in where] + none for style in STYLES}
    bb = [len(found["vggss_boxes_int"][at]) for at in where] + [0] * len(none)
    bb_flickr = [len(found["flickr_boxes_224"][at]) for at in where] + [0] * len(none)
    relative, absolute = (evaluators.slavc_maps(low7, obj7, alpha) for alpha in (0.4, 0.9))
    return {
        "composition": made,
        "slavc_test_validate relative=True alpha=0.4": evaluators.slavc(relative, own["vggss"], bb, True),
        "slavc_test_validate relative=False alpha=0.9": evaluators.slavc(absolute, own["vggss"], bb, False),
        "slavc_test_validate flickr relative=True alpha=0.4": evaluators.slavc(
            relative, own["flickr"], bb_flickr, True
        ),
        "slavc_train_validate": evaluators.slavc_train(low7, own["vggss"], bb),
        "confidence_variants": {
            "slavc_code_mean_top25_of_upsampled_scores": [evaluators.top_quarter(each) for each in relative["av"]],
            "paper_max_of_upsampled_scores": relative["av"].max(axis=(1, 2)).tolist(),
            "max_of_lowres_cosine": low7.max(axis=(1, 2)).tolist(),
            "max_of_lowres_logit": (low7 / np.float32(reference.TAU)).max(axis=(1, 2)).tolist(),
        },
        "lists": _lists(),
    }


def _lists() -> dict:
    arrays = inputs.lists()
    columns = ("bb", "ciou", "conf", "area", "type")
    return {
        name: evaluators.score_list(*(arrays[f"{name}_{column}"].tolist() for column in columns))
        for name in inputs.LIST_SIZES
    }


def edge() -> dict:
    found: dict[str, Any] = {name: evaluators.edge(*case) for name, case in inputs.edge_cases().items()}
    found["04_boxes"] = {name: _dirty(box) for name, box in inputs.DIRTY_BOXES.items()}
    box = [50, 50, 100, 100]
    found["06_duplicate_boxes"] = {
        "vggss": [reference.vggss_truth([box] * count).sum() for count in (1, 2, 3)],
        "flickr_sum_and_max": [_sum_and_max(reference.flickr_truth([box] * count)) for count in (1, 2, 3)],
    }
    grid = [round(0.05 * step, 2) for step in range(1, 21)]
    count = [round(20 * value) for value in reference.curve(grid)]
    found["10b_auc_grid_float_rounding"] = {"ciou": grid, "auc": reference.auc(grid), "count_ge": count}
    found["13_avsbench"] = {name: _frame(name) for name in FRAMES}
    found |= {name: evaluators.edge(*case) for name, case in inputs.accidents().items()}
    found |= {name: evaluators.degenerate_list(*columns) for name, columns in inputs.DEGENERATE_LISTS.items()}
    found["10c_nan_in_ezvsl_list"] = {"mean": reference.localization([0.75, float("nan"), 0.25])["mean_ciou"]}
    return found | {"11a_flickr_disjoint_annotators": _disjoint(), "11b_flickr_two_agree": _agreeing()}


def _disjoint() -> dict:
    truth = reference.flickr_truth(inputs.DISJOINT_ANNOTATORS)
    return _consensus(truth) | {"perfect_support_prediction_ciou": reference.ciou(truth > 0, truth)}


def _agreeing() -> dict:
    truth = reference.flickr_truth(inputs.AGREEING_ANNOTATORS)
    whole, sure = reference.ciou(truth > 0, truth), reference.ciou(truth == 1, truth)
    return _consensus(truth) | {"predict_full_support": whole, "predict_only_consensus1": sure}


def _consensus(truth: np.ndarray) -> dict:
    return {"values": sorted(set(truth.ravel().tolist())), "sum": truth.sum(), "support": int((truth > 0).sum())}


def _dirty(box: list[float]) -> dict:
    whole = reference.vggss_box(box)
    result = {"box": whole, "area": float(reference.vggss_truth([whole]).sum())}
    return {"box": box} | {evaluator: {"result": result} for evaluator in ("ez", "slavc", "kaist", "lvs")}


def _sum_and_max(truth: np.ndarray) -> list[float]:
    return [float(truth.sum()), float(truth.max())]


FRAMES = {"pred0_gt0": -20.0, "pred1_gt0": 20.0, "pred0_gt1": -20.0, "pred1_gt1": 20.0, "logit_exactly_0_gt1": 0.0,
          "nan_logit_gt0": np.nan, "nan_logit_gt1": np.nan}  # fmt: skip


def _frame(name: str) -> dict:
    values = np.full((1, 224, 224), 1 / (1 + np.exp(-FRAMES[name])), np.float32)
    truth = np.full((224, 224), name.endswith("gt1"))
    f = tasks.best_f([tasks.f_curve(values[0], truth)[2]], [bool(truth.any())])
    return {"miou": {"result": tasks.frame_iou(values[0] > 0.5, truth)}, "F": {"result": f}}


def interactive() -> dict:
    made, arrays = inputs.interactive(), inputs.maps()
    own, where = [reference.vggss_truth([box]) for box in made["boxes_224"]], made["scene_idx"]
    low7, low14, obj7 = (arrays[name][where] for name in ("low7", "low14", "obj7"))
    ezvsl = evaluators.ezvsl_maps(low7, obj7)
    runs = {
        "kaist_validate (7x7)": {"av": ezvsl["av"], "ogl": ezvsl["av_obj"]},
        "kaist_validate_lvs testset=is3": evaluators.kaist_lvs_maps(low14, obj7, True),
        "kaist_validate_ssltie": evaluators.kaist_lvs_maps(low14, obj7, False),
    }
    found: dict[str, Any] = {name: made[name] for name in ("names", "scene_idx", "boxes_224")}
    for name, maps in runs.items():
        blocks = evaluators.kaist(maps, own)
        found[name] = {each: tasks.interactive(made["names"], block) for each, block in blocks.items()}
    return found | {"list_level": _list_level(made["groups"])}


def _list_level(groups: dict[str, list[list[float]]]) -> dict:
    names = [f"{group}_{side}" for group in groups for side in ("a", "b")]
    columns = {
        name: [pair[side] for pair_of in groups.values() for side, pair in ((0, pair_of[at]), (1, pair_of[at]))]
        for at, name in enumerate(("ciou", "ciou_adap"))
    }
    found = tasks.interactive(names, columns)
    for suffix in ("", "_adap"):
        found |= {f"ciou{suffix}50": reference.success(columns[f"ciou{suffix}"])}
        found |= {f"auc{suffix}": reference.auc(columns[f"ciou{suffix}"])}
    expected = {name: value for name, value in found.items() if not isinstance(value, list | dict)}
    return {"groups": groups, "expected": expected}


def retrieval() -> dict:
    arrays = inputs.retrieval()
    found = tasks.similarities(arrays["img"], arrays["aud"])
    return {"expected": {name: tasks.recalls(table) for name, table in found.items()}}


def avsbench() -> dict:
    arrays, where = inputs.maps(), list(range(20))
    logits = arrays["full"][where] * np.float32(8) - np.float32(5)
    scenes = [int(arrays["full_idx"][at]) for at in where]
    found = tasks.avsbench(1 / (1 + np.exp(-logits)), inputs.frame_masks().astype(bool))
    return {"frames_scene_idx": scenes} | found


def music() -> dict:
    arrays, frames, boxes = inputs.music_mixtures(), inputs.music_boxes(), inputs.music_solo()
    number = {name: category for category, name in golden_music.DUETKEYS.items()}
    keys = [f"{name}/frame.jpg" for name in inputs.scene()["names"]]
    solo = golden_music.solo(inputs.maps()["low14"], keys, boxes)
    found: dict[str, Any] = {"categories": golden_music.CATEGORIES, "solo": solo | {"keys": keys, "boxes": boxes}}
    names = [f"s{at}" for at in range(16)]
    for clusters in (11, 20):
        rows = [[[*box, number[golden_music.KEYLIST[row]]] for *box, row in frame] for frame in frames[clusters]]
        found[f"boxes_{clusters}"] = dict(zip(names, rows, strict=True))
        for kind, fraction, looked_at in (("synthetic", 0.5, 11), ("duet", 0.2, None)):
            given = arrays[f"maps_{clusters}"], arrays[f"corr_{clusters}"], rows, fraction, looked_at
            found[f"{kind}_{clusters}clusters"] = golden_music.mixtures(*given) | {"keys": names}
    return found


def interpolation() -> dict:
    arrays, found = inputs.maps(), {}
    for name, (source, row) in golden_enlarging.ROWS.items():
        found[name] = golden_enlarging.facts(arrays[source][row])
    return found


def vggss_real() -> dict:
    entries = json.loads((MINIATURES / "vggss" / "vggss.json").read_text())
    return golden_vggss.floors_and_ceilings({entry["file"]: entry["bbox"] for entry in entries})


FILES: dict[str, Callable[[], dict]] = {
    "golden_scene.json": scene,
    "golden_localisation.json": localisation,
    "golden_extended.json": extended,
    "golden_edge.json": edge,
    "golden_is3.json": interactive,
    "golden_retrieval.json": retrieval,
    "golden_onscreen.json": lambda: tasks.onscreen(inputs.onscreen()),
    "golden_avsbench.json": avsbench,
    "golden_music.json": music,
    "golden_interp.json": interpolation,
    "golden_vggss_real.json": vggss_real,
    "golden_listening.json": golden_listening.listening,
}


def plain(value: Any) -> Any:
    """Numbers of Python only; no digit is lost, as a threshold may be equal to a value."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return float(value) if isinstance(value, np.floating) else value


if __name__ == "__main__":
    for name, build in FILES.items():
        path = FOLDER / f"{name}.gz"
        path.write_bytes(gzip.compress(json.dumps(plain(build()), separators=(",", ":")).encode(), mtime=0))
        print(path.name, path.stat().st_size)
