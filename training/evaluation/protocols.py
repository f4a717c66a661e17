"""Protocols: what exactly each released evaluator does between a raw map and a binary mask, as named frozen records.

"cIoU" in five papers is five measurements. A preset names the code it reproduces in `source`; results carry the whole
record, and numbers of two protocols never share a column. `dataclasses.replace` makes a variant; give it a new name.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from manifests.errors import InputError

Rule = Literal["top_share", "fixed", "adaptive", "fraction_of_max"]


@dataclass(frozen=True)
class Protocol:
    """From a raw map to a mask and a verdict.

    interpolation, align_corners: how the map reaches 224 x 224 ("none": it must have that size).
    scaling: "minmax", "flipped_minmax" (LVS), "fixed" (affine from `map_range` / `object_range` to [0, 1]) or "none".
    stretch: min-max each map once more after scaling and mixing.
    rule, level: "top_share" - threshold is the pixel at rank int(pixels * level) in ascending order; "fixed" -
        threshold is level; "fraction_of_max" - level * the map's maximum; "adaptive" - the rank that leaves as many
        pixels as the truth has (half of the image when the truth is empty).
    comparator: ">=" keeps pixels equal to the threshold, ">" does not.
    keep_maximum: pixels of 1 and above stay whatever the threshold (LVS binarises twice).
    exact: exactly the asked number of pixels, ties taken row by row from the top left; a constant map predicts nothing.
    iou_cut: a sample is localized when its cIoU is at least this.
    confidence: "top_quarter" mean or "maximum" of the map before any min-max.
    """

    name: str
    source: str
    interpolation: Literal["bilinear", "bicubic", "none"] = "bilinear"
    align_corners: bool = True
    scaling: Literal["minmax", "flipped_minmax", "fixed", "none"] = "minmax"
    map_range: tuple[float, float] = (-1.0, 1.0)
    object_range: tuple[float, float] = (0.0, 2.5)
    stretch: bool = True
    rule: Rule = "top_share"
    level: float = 0.5
    comparator: Literal[">=", ">"] = ">="
    keep_maximum: bool = False
    exact: bool = False
    iou_cut: float = 0.5
    confidence: Literal["top_quarter", "maximum"] = "top_quarter"

    def __post_init__(self) -> None:
        if self.exact and self.rule not in ("top_share", "adaptive"):
            raise ValueError(f"the rule {self.rule!r} asks for no number of pixels, so it cannot be exact")

    def as_json(self) -> dict[str, Any]:
        """All fields, as they are stored beside every number."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def adaptive(protocol: Protocol, name: str) -> Protocol:
    """The same chain with the ground-truth area as threshold, as SSLalignment's `Evaluator_iiou` codes it.

    Rank N - n of n non-zero truth pixels and a strict ">": n - 1 pixels when values are distinct, fewer with ties, none
    of a constant map. It uses the true size, so it is an oracle measure of ranking, never comparable with top half.
    """
    return replace(
        protocol, name=name, rule="adaptive", comparator=">", keep_maximum=False, source=f"{protocol.source}, adaptive"
    )


_EZVSL = Protocol("ezvsl", "EZ-VSL 95ff5bf test.py validate (FNAC test.py, first run, is the same)")
_SLAVC = replace(
    _EZVSL, name="slavc_relative", interpolation="bicubic", scaling="fixed",
    source="SLAVC 05b429c test.py validate --relative_prediction",
)  # fmt: skip
_KAIST = replace(_EZVSL, name="kaist", comparator=">", source="SSLalignment e7ae3c5 test.py validate")
_LVS = replace(
    _EZVSL, name="lvs", align_corners=False, scaling="flipped_minmax", comparator=">", keep_maximum=True,
    source="LVS 8fe8cbb test.py main (SSL-TIE c49e6a9 main.py test is the same)",
)  # fmt: skip
_KAIST_LVS = replace(
    _LVS, name="kaist_lvs", keep_maximum=False,
    source="SSLalignment e7ae3c5 test.py validate_lvs on VGG-SS, and validate_ssltie",
)  # fmt: skip
_KAIST_LVS_ALIGNED = replace(
    _KAIST_LVS, name="kaist_lvs_aligned", align_corners=True,
    source="SSLalignment e7ae3c5 test.py validate_lvs on every set but VGG-SS",
)  # fmt: skip

_PRESETS = (
    _EZVSL,
    replace(
        _EZVSL, name="ezvsl_train", interpolation="bicubic", align_corners=False,
        source="EZ-VSL 95ff5bf train.py validate, which selects best.pth (FNAC test.py, second run)",
    ),
    _SLAVC,
    replace(_SLAVC, name="slavc_train", align_corners=False, source="SLAVC 05b429c train.py validate"),
    replace(
        _SLAVC, name="slavc_absolute", stretch=False, rule="fixed",
        source="SLAVC 05b429c test.py validate without --relative_prediction (both shipped scripts)",
    ),
    _KAIST,
    _KAIST_LVS,
    _KAIST_LVS_ALIGNED,
    _LVS,
    replace(_EZVSL, name="sspl", align_corners=False, rule="fixed", source="SSPL d1af4c7 test.py eval_cal_ciou"),
    replace(
        _EZVSL, name="dsol", align_corners=False, scaling="none", stretch=False, rule="fraction_of_max", level=0.1,
        comparator=">", source="DSOL 7f40207 tools.py cal_ciou on MUSIC-solo",
    ),
    replace(
        _EZVSL, name="acl", interpolation="none", scaling="none", stretch=False, rule="fixed",
        source="ACL-SSL 57f4a6c VGGSS/eval_utils.py at threshold 0.5; `sweep` in results holds all 19",
    ),
    adaptive(_KAIST, "adaptive"),
    adaptive(_KAIST_LVS, "adaptive_lvs"),
    adaptive(_KAIST_LVS_ALIGNED, "adaptive_lvs_aligned"),
    Protocol(
        "adaptive_exact", "this project: exactly as many pixels as the truth, stable ties", align_corners=False,
        rule="adaptive", exact=True,
    ),
    Protocol(
        "textbook", "this project: exactly half of the pixels, stable ties, confidence is the maximum",
        align_corners=False, exact=True, confidence="maximum",
    ),
)  # fmt: skip
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _PRESETS}
# `+exact`: the asked number of pixels with ties broken row by row; `+maximum`: the paper's confidence, not the code's
VARIANTS: dict[str, dict[str, Any]] = {"exact": {"exact": True}, "maximum": {"confidence": "maximum"}}


def find_protocol(name: str) -> Protocol:
    """The preset called `name`, or a variant of it: `ezvsl+exact`, `slavc_relative+maximum`.

    InputError lists the known ones, or says why a protocol has no such variant.
    """
    base, *variants = name.split("+")
    if base not in PROTOCOLS:
        raise InputError(f"There is no protocol {name!r}. The known ones are {', '.join(PROTOCOLS)}.")
    if not set(variants) <= set(VARIANTS):
        raise InputError(f"The protocol {name!r} has an unknown variant. The known ones are {', '.join(VARIANTS)}.")
    changes = {field: value for variant in variants for field, value in VARIANTS[variant].items()}
    try:
        return replace(PROTOCOLS[base], name=name, **changes)
    except ValueError as error:
        raise InputError(f"There is no protocol {name!r}: {error}.") from error


def at_temperature(protocol: Protocol, temperature: float) -> Protocol:
    """The protocol for maps that are cosines / `temperature`; matters only where scaling is "fixed" (SLAVC)."""
    return replace(protocol, map_range=(-1 / temperature, 1 / temperature))


def acl_sweep() -> tuple[Protocol, ...]:
    """The 19 thresholds 0.05 ... 0.95 of ACL-SSL, which reports the best of them: a choice made on the test set."""
    levels = [round(0.05 * step, 2) for step in range(1, 20)]
    return tuple(replace(PROTOCOLS["acl"], name=f"acl@{level:.2f}", level=level) for level in levels)
