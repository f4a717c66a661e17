"""What a protocol is: a named, frozen record of what exactly an evaluator does. The records are in `protocols/`.

"cIoU" in five papers is five measurements. A record names the code it reproduces in `source`; results carry the whole
record, and numbers of two protocols never share a column. `dataclasses.replace` makes a variant; give it a new name.
"""

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self

from training.evaluation.reaches import ANY, SHARE, Reach
from training.evaluation.thresholds import RULES

# Of a field that records did not always have: results name it only where it is not at its default, so that those from
# before it was there are of the same protocol.
LATER = {"later": True}


@dataclass(frozen=True)
class Protocol:
    """A way to measure: what it is called, whose it is, and which task (a module of `tasks/`) scores by it.

    `choices`: the fields that may be chosen behind the name, see `protocol_choices`.
    """

    name: str
    source: str
    task: ClassVar[str]
    choices: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """ValueError names a field with a value that its rule gives no meaning."""
        for name, reach in self.reaches.items():
            given = getattr(self, name)
            values = given if isinstance(given, tuple) else () if given is None else (given,)
            if any(not reach.holds(value) for value in values):
                raise ValueError(f"{name} must be {reach}, not {given}")

    @property
    def reaches(self) -> Mapping[str, Reach]:
        """Of every field that holds a number, or a tuple of them, which these may be."""
        return {}

    @property
    def asks(self) -> str:
        """What a trained model is asked for: a key of `training.answers.ANSWERS`."""
        return "maps"

    @property
    def from_files(self) -> bool:
        """Whether what another program wrote can be scored, or a model itself must be asked."""
        return True

    @property
    def fitted_by(self) -> str | None:
        """The protocol whose result on a validation set says where this one cuts; None where no such set has a say."""
        return None

    @property
    def idle(self) -> frozenset[str]:
        """Fields that change nothing as the others stand, so that they are no choice."""
        return frozenset()

    def as_json(self) -> dict[str, Any]:
        """All fields, as they are stored beside every number."""
        unsaid = {each.name for each in fields(self) if "later" in each.metadata and self._has_default(each)}
        stored = {name: value for name, value in asdict(self).items() if name not in unsaid}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in stored.items()}

    def _has_default(self, each: Field[Any]) -> bool:
        return getattr(self, each.name) == each.default

    def at_temperature(self, temperature: float) -> Self:
        """The protocol for maps that are cosines / `temperature`: the same, unless it scales by a fixed range."""
        return self


@dataclass(frozen=True)
class MapProtocol(Protocol):
    """From a raw map to a mask and a verdict.

    interpolation, align_corners: how the map reaches 224 x 224 ("none": it must have that size).
    object_enlarging: how an object-prior map does, as the map ("alike") or bilinear with aligned corners.
    scaling: "minmax", "flipped_minmax" (LVS), "fixed" (affine from `map_range` / `object_range` to [0, 1]) or "none".
    stretch: min-max each map once more after scaling and mixing.
    rule, level: which pixels are called sounding, by a rule of `thresholds`: "top_share" - threshold is the pixel at
        rank int(pixels * level) in ascending order; "fixed" - threshold is level; "fraction_of_max" - level * the map's
        maximum; "adaptive" - the rank that leaves as many pixels as the truth has (half of the image when it is empty).
    comparator: ">=" keeps pixels equal to the threshold, ">" does not.
    keep_maximum: pixels of 1 and above stay whatever the threshold (LVS binarises twice).
    exact: exactly the asked number of pixels, ties taken row by row from the top left; a constant map predicts nothing.
    iou_cut: a sample is localized when its cIoU is at least this.
    confidence: "top_quarter" mean or "maximum" of the map before any min-max.
    """

    task: ClassVar[str] = "localization"
    choices: ClassVar[tuple[str, ...]] = (
        "interpolation",
        "align_corners",
        "scaling",
        "stretch",
        "rule",
        "level",
        "comparator",
        "keep_maximum",
        "iou_cut",
    )
    interpolation: Literal["bilinear", "bicubic", "none"] = "bilinear"
    align_corners: bool = True
    scaling: Literal["minmax", "flipped_minmax", "fixed", "none"] = "minmax"
    map_range: tuple[float, float] = (-1.0, 1.0)
    object_range: tuple[float, float] = (0.0, 2.5)
    stretch: bool = True
    rule: str = "top_share"
    level: float = 0.5
    comparator: Literal[">=", ">"] = ">="
    keep_maximum: bool = False
    exact: bool = False
    iou_cut: float = 0.5
    confidence: Literal["top_quarter", "maximum"] = "top_quarter"
    object_enlarging: Literal["alike", "bilinear_aligned"] = field(default="alike", metadata=LATER)

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"there is no threshold rule {self.rule!r}; the known ones are {', '.join(RULES)}")
        if self.exact and not RULES[self.rule].fixes_area:
            raise ValueError(f"the rule {self.rule!r} asks for no number of pixels, so it cannot be exact")
        super().__post_init__()

    @property
    def reaches(self) -> Mapping[str, Reach]:
        return {"level": self._reach_of_level, "iou_cut": SHARE, "map_range": ANY, "object_range": ANY}

    @property
    def _reach_of_level(self) -> Reach:
        """By its rule; a fixed one is a value of the maps as they are scaled, which lie anywhere where they are not."""
        if self.rule != "fixed":
            return RULES[self.rule].level
        return SHARE if self.stretch or self.scaling != "none" else ANY

    @property
    def idle(self) -> frozenset[str]:
        without_effect = {
            "level": self.rule == "adaptive",
            "align_corners": self.interpolation == "none",
            "comparator": self.exact,
            "keep_maximum": self.exact,
        }
        return frozenset(name for name, holds in without_effect.items() if holds)

    def at_temperature(self, temperature: float) -> Self:
        """Matters only where scaling is "fixed" (SLAVC)."""
        return replace(self, map_range=(-1 / temperature, 1 / temperature)) if temperature != 1 else self


def adaptive(protocol: MapProtocol, name: str) -> MapProtocol:
    """The same steps with the ground-truth area as threshold, as SSLalignment's `Evaluator_iiou` codes it.

    Rank N - n of n non-zero truth pixels and a strict ">": n - 1 pixels when values are distinct, fewer with ties, none
    of a constant map. It uses the true size, so it is an oracle measure of ranking, never comparable with top half.
    """
    return replace(
        protocol, name=name, rule="adaptive", comparator=">", keep_maximum=False, source=f"{protocol.source}, adaptive"
    )
