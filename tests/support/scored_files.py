"""Maps in a folder through `training score`'s own function, and what the screen then says."""

from pathlib import Path
from typing import Any

from training.evaluation.printing import table
from training.evaluation.raw_maps import RawMaps, load_arrays
from training.score_file import score_file


def maps_in(path: Path, alpha: float = 0.4) -> RawMaps:
    """The maps of an archive, one a clip."""
    return RawMaps.of(load_arrays(path), alpha)


def scores_of(folder: Path, truth: Any, format: Any, protocol: str, **options: Any) -> tuple[Any, Any, Any]:
    """Scores of `folder`/maps.npz, the document, and what the screen says."""
    found = score_file(folder / "maps.npz", truth, format, protocol, folder / "scores.json", **options)
    return found["scores"]["audio_visual"], found, table(found)
