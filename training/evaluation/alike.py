"""Samples that are no draws of their own: frames of one video, sounds of one image. Intervals draw them together."""

from collections.abc import Sequence

from manifests.catalogue import video_of_frames
from manifests.test_sets import INTERACTIVE, Truth
from training.evaluation.metrics.interactive import group_key


def drawn_with(truth: Truth, keys: Sequence[str]) -> list[str] | None:
    """What each key's video, or image, is called; None in a set whose clips are each a draw of their own."""
    name_of = group_key if INTERACTIVE in truth.tasks else video_of_frames(truth.format)
    return None if name_of is None else [name_of(key) for key in keys]
