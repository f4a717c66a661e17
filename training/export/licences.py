"""The licence of exported weights: in the Hub's word where it has one, else in its owner's own words.

The Hugging Face Hub takes a list of words for `license`, and refuses a card with another one. What it has no word for
it calls `other`, with the name beside it (`license_name`).
"""

import re
from pathlib import Path

from manifests.errors import InputError
from manifests.files.given import read_bytes, understood
from manifests.files.plain_data import parse_yaml

UNKNOWN, OTHER = "unknown", "other"  # the Hub's: nobody has stated one; one that it has no word for
LONGEST = 200  # characters
UNSTATED = "Whoever exported these weights has not stated a licence. Ask before you use them."
_HEAD = re.compile(r"---\n(.*?\n)---\n", re.DOTALL)
HUB = frozenset({
    "afl-3.0", "agpl-3.0", "apache-2.0", "apple-amlr", "apple-ascl", "artistic-2.0", "bigcode-openrail-m",
    "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "bsd", "bsd-2-clause", "bsd-3-clause",
    "bsd-3-clause-clear", "bsl-1.0", "c-uda", "cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0",
    "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "creativeml-openrail-m", "ecl-2.0",
    "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "h-research",
    "intel-research", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "lgpl-lr", "lppl-1.3c", "mit", "mpl-2.0", "ms-pl",
    "ncsa", "odbl", "odc-by", "ofl-1.1", "openrail", "openrail++", "osl-3.0", "pddl", "postgresql", "unknown",
    "unlicense", "wtfpl", "zlib",
})  # fmt: skip


def check_licence(licence: str | None) -> None:
    """InputError for what names no licence."""
    if licence is None:
        return
    if not licence.strip() or not licence.isprintable() or len(licence) > LONGEST or licence.strip().lower() == OTHER:
        raise InputError(
            f"--licence is {licence!r}, which names none. Give the Hub's word (cc-by-4.0), or the licence's own name "
            f"in one line of at most {LONGEST} characters; leave it out where none is stated."
        )


def hub_words(licence: str | None) -> dict[str, str]:
    """What the head of a card says of a licence."""
    if licence is None:
        return {"license": UNKNOWN}
    word = licence.strip().lower()
    return {"license": word} if word in HUB else {"license": OTHER, "license_name": licence.strip()}


def stated_licence(card: Path) -> str | None:
    """The licence that a card's head states, None where it says that there is none. InputError for no such head."""
    remedy = f"Say --licence, which was kept there; {UNKNOWN} where none was stated."
    with understood(card, "is damaged, or no card of an exported model", remedy):
        head = _HEAD.match(read_bytes(card).decode())
        found = parse_yaml(head[1]) if head else {}
        named = found.get("license_name", found.get("license"))
        if not isinstance(named, str):
            raise ValueError("no licence stands in its head")
    return None if named == UNKNOWN else named


def in_text(licence: str | None) -> str:
    """The same as a sentence of its text."""
    said = hub_words(licence)
    return UNSTATED if said["license"] == UNKNOWN else f"{said.get('license_name', said['license'])}."


def in_words(licence: str | None) -> str:
    """The same for a summary."""
    said = hub_words(licence)
    if said["license"] == UNKNOWN:
        return "not stated; --licence says it"
    named = said.get("license_name")
    return said["license"] if named is None else f"{named}, for which the Hub has no word"
