"""Every protocol by name: the records `PROTOCOLS` of this folder's modules, one module for each released evaluator.

A new protocol is one more record in such a tuple, or one more module with a tuple.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from manifests.commands.near_names import did_you_mean
from manifests.errors import InputError
from manifests.sound_draws import seeds_in
from training.evaluation.found import found_modules
from training.evaluation.protocol import MapProtocol, Protocol
from training.evaluation.protocol_choices import with_choices

# `+exact`: the asked number of pixels with ties broken row by row; `+maximum`: the paper's confidence, not the code's;
# `+byclass`, `+unlogged`: foreign sounds as vssl_eval has them. Beside these `+seed7`, `+seeds0..9`: other draws
VARIANTS: dict[str, dict[str, Any]] = {
    "exact": {"exact": True},
    "maximum": {"confidence": "maximum"},
    "byclass": {"off_screen_by_class": True},
    "unlogged": {"unlogged": True},
}
SEEDS = "seed7 and seeds0..9 (any seeds)"


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
    changes = _changes(name, variants)
    if changes and not isinstance(known[base], MapProtocol):
        raise InputError(f"There is no protocol {name!r}: {base} compares no single maps, so it has no variants.")
    if not changes.keys() <= _fields(known[base]):
        raise InputError(f"There is no protocol {name!r}: {base} shows no image under a foreign sound.")
    try:
        varied = replace(known[base], name="+".join([base, *variants]), **changes)
    except ValueError as error:
        raise InputError(f"There is no protocol {name!r}: {error}.") from error
    return with_choices(varied, choices)


def _changes(name: str, variants: list[str]) -> dict[str, Any]:
    """The fields that variants change, and to what. InputError for one that is none."""
    changes: dict[str, Any] = {}
    for variant in variants:
        if variant not in VARIANTS and not seeds_in(variant):
            meant, every = did_you_mean(variant, VARIANTS), ", ".join((*VARIANTS, SEEDS))
            raise InputError(
                f"The protocol {name!r} has an unknown variant.{meant} The known ones are {every}; a field is chosen "
                f"as in {name.partition('+')[0]}+field=value."
            )
        changes |= VARIANTS.get(variant) or {"sound_seeds": seeds_in(variant)}
    return changes


def seeds_variant(given: str) -> str | None:
    """The variant of seeds `7` or `0..9`, None of `0`, which every protocol draws by. InputError for anything else."""
    variant = f"seeds{given}" if ".." in given else f"seed{given}"
    if not seeds_in(variant):
        raise InputError(
            f"--controls-seed {given} is neither a seed, such as 7, nor a range with both ends in it of at most a "
            "hundred, such as 0..9."
        )
    return None if seeds_in(variant) == (0,) else variant


def drawn_by(seeds: str, names: Sequence[str]) -> tuple[str, ...]:
    """Names of protocols, those of foreign sounds with the variant `seeds` (`seed7`, `seeds0..9`).

    InputError where none of them is of foreign sounds, or one says itself by which seeds it draws.
    """
    asked = [name for name in names if "sound_seeds" in _fields(find_protocol(name))]
    if not asked:
        raise InputError(f"No sound is drawn under {', '.join(names)}, so no seed can be given. Ask with --listen.")
    if twice := [name for name in asked if any(map(seeds_in, name.split("+")))]:
        raise InputError(f"{twice[0]} says by which seeds its sounds are drawn. Give them once.")
    return tuple(f"{name}+{seeds}" if name in asked else name for name in names)


def _fields(protocol: Protocol) -> set[str]:
    return {field.name for field in fields(protocol)}
