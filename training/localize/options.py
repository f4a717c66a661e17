"""What `training localize` was asked for, and which of it decides how an output looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from index.device import device_number
from manifests.errors import InputError
from training.localizer.model import LONGEST_STEP, MOST_PER_SECOND
from training.overlay.carriage import FORMATS

ONE, SEVERAL = Path("overlay.mp4"), Path("overlays")
BOX_THRESHOLD = 0.5


@dataclass(frozen=True)
class Options:
    """threshold: of boxes, None draws none. other_run: a second model beside the first. peaks: files of all moments."""

    run: Path
    videos: tuple[Path, ...]
    out: Path | None = None
    maps_per_second: float = 4.0
    view: str | None = None
    device: str = "cpu"
    threshold: float | None = None
    side_by_side: bool = False
    other_run: Path | None = None
    peaks: tuple[Path, ...] = ()

    def check(self) -> None:
        """InputError for values that cannot be."""
        device_number(self.device)
        if file := next((run for run in (self.run, self.other_run) if run is not None and run.is_file()), None):
            raise InputError(f"{file} is a file, and no run. Give the run's folder first: training localize RUN VIDEO.")
        rate = self.maps_per_second
        if not 1 / LONGEST_STEP <= rate <= MOST_PER_SECOND:
            raise InputError(
                f"maps per second is {rate:g}; give more than 0 and at most {MOST_PER_SECOND:g}, and one or more a day."
            )
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InputError(f"--threshold is {self.threshold:g}. Give more than 0 and at most 1.")

    @property
    def beside(self) -> bool:
        """Whether an overlay has two images."""
        return self.side_by_side or self.other_run is not None

    def drawn(self, models: Mapping[str, str]) -> dict[str, object]:
        """What an output depends on, but for its video; `models` are digests by role."""
        return {
            "models": dict(models),
            "maps_per_second": self.maps_per_second,
            "view": self.view,
            "threshold": self.threshold,
            "side_by_side": self.beside,
        }

    def place(self, one: bool) -> Path:
        """The overlay's file, or the folder of the overlays. InputError where none can be written there."""
        out = self.out or (ONE if one else SEVERAL)
        is_container = out.suffix.lower() in FORMATS
        if one and not is_container and not out.is_dir():
            raise InputError(f"the overlay cannot be written as {out.name}: give --out a name in {', '.join(FORMATS)}.")
        if not one and (is_container or out.is_file()):
            raise InputError(f"--out {out} names one file, and there may be several videos. Name a folder.")
        return out
