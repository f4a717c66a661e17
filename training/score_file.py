"""`training score`: maps that any program wrote against any truth, under one named protocol, into one JSON file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.errors import InputError
from manifests.files.content import read_content
from manifests.files.given import understood
from manifests.files.outputs import check_output, json_with
from manifests.files.whole import write_text
from manifests.truth import find_format
from training.evaluation.protocols import find_protocol
from training.evaluation.protocols.boxes import BOXES
from training.scoring import score

OF_BOXES, OF_MAPS = BOXES, "ezvsl"  # the protocols of what nobody named one for


def asked(protocols: list[str] | None, boxes: bool) -> list[str]:
    """The protocols to score under. InputError when boxes are to be scored under one for maps."""
    named = protocols or [OF_BOXES if boxes else OF_MAPS]
    if boxes and set(named) != {OF_BOXES}:
        raise InputError(
            f"--boxes scores the file's predicted boxes as they are, which is the protocol {OF_BOXES}; --protocol "
            f"{' '.join(named)} scores its maps. Give one of the two."
        )
    return named


def outputs(protocols: list[str], out: Path) -> dict[str, Path]:
    """The file of each protocol: `out`, or where there are several `<out>.<protocol>.json`."""
    named = list(dict.fromkeys(protocols))
    return {name: out if len(named) == 1 else out.with_name(f"{out.stem}.{name}.json") for name in named}


def check_given(
    maps: Path,
    truth: Path,
    format: str,
    places: Mapping[str, Path],
    *,
    negatives: Path | None = None,
    clips: Path | None = None,
) -> None:
    """InputError for what can be told before any file is read: names that are none, files that are not there, and
    outputs (`places`, by protocol) that cannot be written."""
    find_format(format)
    for path in (maps, truth, negatives):
        if path is not None:
            with understood(path, remedy="Check the path and that the file is complete."):
                path.stat()
    given = {"MAPS": maps, "--truth": truth, "--negatives": negatives, "--list": clips}
    for name, out in places.items():
        find_protocol(name)
        _check_place(out)
        check_output(out, given, json_with("protocol", "n_expected", "unused_arrays"), "training score")


def replaced(out: Path) -> str:
    """What to say of scores that are there already, which new ones replace; nothing where there are none."""
    if not out.is_file():
        return ""
    earlier = read_content(out).json()
    protocol, test_set = earlier["protocol"], earlier.get("test_set")
    named = protocol.get("name") if isinstance(protocol, dict) else protocol
    return f" (in place of those that were there, of {test_set} under {named})"


def score_file(
    maps: Path,
    truth: Path,
    format: str,
    protocol: str,
    out: Path,
    *,
    negatives: Path | None = None,
    clips: Path | None = None,
    test_set: str | None = None,
    alpha: float = 0.4,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Score `maps` and write `out`; returns the document. InputError when anything given cannot be used.

    Under the protocol retrieval `maps` holds `image_embeddings` and `audio_embeddings` (N, D) instead of maps.
    """
    check_given(maps, truth, format, {protocol: out}, negatives=negatives, clips=clips)
    found = score(
        maps, truth, protocol, format=format, negatives=negatives, clips=clips, test_set=test_set, alpha=alpha,
        temperature=temperature, seed=seed,
    )  # fmt: skip
    write_text(out, json.dumps(found, indent=1, allow_nan=False))
    return found


def _check_place(out: Path) -> None:
    if out.is_dir():
        raise InputError(f"--out {out} is a folder. Name the JSON file to write.")
    if not out.parent.is_dir():
        raise InputError(f"--out {out} lies in a folder that does not exist. Make {out.parent} first.")
