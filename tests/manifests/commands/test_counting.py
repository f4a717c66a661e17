"""One of something is not called by its plural."""

from manifests.commands.counting import are, counted, have
from training.evaluation.metrics import avgn, extended, interactive, predicted_boxes
from training.evaluation.printing import left_out_in_words
from training.report.tables import _warnings


def test_a_count_has_its_word_and_its_verb() -> None:
    assert [counted(count, "clip") for count in (0, 1, 2, 1000)] == ["0 clips", "1 clip", "2 clips", "1,000 clips"]
    assert [counted(count, "box", "boxes") for count in (1, 2)] == ["1 box", "2 boxes"]
    assert [have(count, "clip") for count in (1, 2)] == ["1 clip has", "2 clips have"]
    assert [are(count, "clip") for count in (1, 2)] == ["1 clip is", "2 clips are"]


def test_results_and_pages_say_one_clip() -> None:
    assert extended.heading({"m": {"n_negative": 1}}, "m") == "against 1 negative"
    assert avgn.heading({"m": {"n_negative": 1}}, "m").endswith("against 1 negative")
    assert interactive.heading({"m": {"n_groups": 1}}, "m") == "over 1 image, every sound right"
    block = {"overlapping": ["a"], "without_area": 1}
    assert predicted_boxes.heading(block, "m") == "box by box, with boxes that overlap in 1 clip and 1 box without area"
    assert "1 image left out" in left_out_in_words({"n_incomplete": 1})[0]


class _Evaluation:
    facts = {"n_empty_truth": 1}  # noqa: RUF012


def test_the_page_counts_a_single_empty_truth() -> None:
    (said,) = _warnings([], _Evaluation())  # type: ignore[arg-type]
    assert said == "1 clip has an empty ground truth and counts as wrong in every row."
    _Evaluation.facts["n_empty_truth"] = 2
    (said,) = _warnings([], _Evaluation())  # type: ignore[arg-type]
    assert said == "2 clips have an empty ground truth and count as wrong in every row."
