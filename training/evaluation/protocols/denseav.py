"""DenseAV's evaluator of prompted segmentation: heads by their largest, as its configs have it, or by another rule."""

from dataclasses import replace

from training.evaluation.tasks.prompted import PromptProtocol

_CODE = "DenseAV 2221b8c eval_utils.py multi_iou, basic_ap"
DENSEAV = PromptProtocol("denseav", f"{_CODE}; textbook AP beside it")
PROTOCOLS = (
    DENSEAV,
    replace(DENSEAV, name="denseav_nonnegative", source=f"{_CODE}, nonneg_sim: what is below 0 is 0", nonnegative=True),
    replace(DENSEAV, name="denseav_sum", source=f"{_CODE}, head_agg sum", heads="sum"),
)
