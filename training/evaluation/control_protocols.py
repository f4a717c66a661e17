"""Protocols that show an image under other sounds than its own: how these are drawn, where a threshold comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from manifests.sound_draws import SoundDraw, draws_of
from training.evaluation.protocol import LATER, MapProtocol
from training.evaluation.reaches import ANY, SHARE, Reach


@dataclass(frozen=True)
class ControlledProtocol(MapProtocol):
    """As `MapProtocol`, and how the sounds of controls are drawn: a `manifests.sound_draws.SoundDraw` for each of
    `sound_seeds`. What is not drawn otherwise than usual is not stored, as in results from before there was a choice.
    """

    sound_seeds: tuple[int, ...] = (0,)
    off_screen_by_class: bool = False
    unlogged: bool = False

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {**super().reaches, "sound_seeds": Reach(0)}

    def as_json(self) -> dict[str, Any]:
        usual = {"sound_seeds": [0], "off_screen_by_class": False, "unlogged": False}
        return {name: value for name, value in super().as_json().items() if name not in usual or value != usual[name]}

    @property
    def draws(self) -> tuple[SoundDraw, ...]:
        return draws_of(self.as_json())


@dataclass(frozen=True)
class ListeningProtocol(ControlledProtocol):
    """As `ControlledProtocol`, and where the threshold comes from: `level`, the `negatives` that are scored (their
    quantile of maxima, pooled), those of the `other_half` of the clips, so that none helps to choose its own, or those
    of a `validation` set.

    control_align_corners: how maps of controls are enlarged; released code enlarges them otherwise than the own ones.
    printed_levels: the further levels of the list that the released code mixes (`training.evaluation.printed`).
    pooling: the quantile of the maxima of all negatives in one list, or the mean of the quantiles of each kind.
    undefined: what the IoU of nothing with nothing (0/0) is: 0; "nan", and then means are not known, as in the released
        code of maps mixed with the object prior; "raise" refuses such a clip.
    """

    task: ClassVar[str] = "listening"
    choices: ClassVar[tuple[str, ...]] = (
        "interpolation",
        "align_corners",
        "control_align_corners",
        "scaling",
        "comparator",
        "level",
        "threshold_from",
        "quantile",
        "pooling",
        "undefined",
    )
    threshold_from: Literal["level", "negatives", "other_half", "validation"] = "level"
    quantile: float = 0.75
    control_align_corners: bool = False
    printed_levels: tuple[float, ...] = ()
    pooling: Literal["one_list", "mean_of_kinds"] = field(default="one_list", metadata=LATER)
    undefined: Literal["zero", "nan", "raise"] = field(default="zero", metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scaling not in ("fixed", "none"):
            raise ValueError(
                f"its thresholds are of maps that are not stretched: scaling fixed or none, not {self.scaling}"
            )

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {**super().reaches, "quantile": SHARE, "printed_levels": ANY}

    @property
    def asks(self) -> str:
        return "controls"

    @property
    def fitted_by(self) -> str | None:
        return "vssl_textbook" if self.threshold_from == "validation" else None

    @property
    def idle(self) -> frozenset[str]:
        if self.threshold_from == "level":
            return super().idle | {"quantile", "pooling"}
        return super().idle | {"level"} | ({"quantile", "pooling"} if self.threshold_from == "validation" else set())
