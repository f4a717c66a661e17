"""Every protocol by name: the records `PROTOCOLS` of this folder's modules, one module for each released evaluator.

A new protocol is one more record in such a tuple, or one more module with a tuple.
"""

from dataclasses import replace
from typing import Any

from manifests.errors import InputError
from manifests.near_names import did_you_mean
from training.evaluation.found import found_modules
from training.evaluation.protocol import MapProtocol, Protocol
from training.evaluation.protocol_choices import with_choices

# `+exact`: the asked number of pixels with ties broken row by row; `+maximum`: the paper's confidence, not the code's
VARIANTS: dict[str, dict[str, Any]] = {"exact": {"exact": True}, "maximum": {"confidence": "maximum"}}


def known_protocols(task: str | None = None) -> dict[str, Protocol]:
    """Every record by name, or those of one task."""
    every = (protocol for module in found_modules("protocols").values() for protocol in module.PROTOCOLS)
    return {protocol.name: protocol for protocol in every if task in (None, protocol.task)}


def find_protocol(name: str) -> Protocol:
    """The protocol called `name`, or a variant of it: `ezvsl+exact`, `slavc_relative+maximum`, `ezvsl+comparator=gt`.

    InputError lists the known ones, or says why a protocol has no such variant.
    """
    known, (base, *written) = known_protocols(), name.split("+")
    choices = [each for each in written if "=" in each]
    variants = [each for each in written if "=" not in each]
    if base not in known:
        meant = did_you_mean(base, known)
        raise InputError(f"There is no protocol {name!r}.{meant} The known ones are {', '.join(known)}.")
    if unknown := [variant for variant in variants if variant not in VARIANTS]:
        meant = did_you_mean(unknown[0], VARIANTS)
        raise InputError(
            f"The protocol {name!r} has an unknown variant.{meant} The known ones are {', '.join(VARIANTS)}; a field "
            f"is chosen as in {base}+field=value."
        )
    changes = {field: value for variant in variants for field, value in VARIANTS[variant].items()}
    if changes and not isinstance(known[base], MapProtocol):
        raise InputError(f"There is no protocol {name!r}: {base} compares no single maps, so it has no variants.")
    try:
        varied = replace(known[base], name="+".join([base, *variants]), **changes)
    except ValueError as error:
        raise InputError(f"There is no protocol {name!r}: {error}.") from error
    return with_choices(varied, choices)
