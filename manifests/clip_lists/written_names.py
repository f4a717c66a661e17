"""Names as lists write them: a page of YouTube is its video, and what no file is called is refused, which spreadsheets
and tables of numbers make of names."""

import re
import unicodedata
from pathlib import Path

from manifests.errors import InputError
from manifests.files.given import shortened
from manifests.files.suffixes import EVERY_SUFFIX

_SITE = r"(https?://)?(((www|m|music)\.)?youtube\.com/(watch\?v=|embed/|shorts/|live/)|youtu\.be/)"
_PAGE = re.compile(rf"{_SITE}(?P<id>[A-Za-z0-9_-]{{11}})", re.IGNORECASE)
_ADDRESS = re.compile(r"(https?://|((www|m)\.)?youtu(be\.com|\.be)/).*[?#].*", re.IGNORECASE)
_SPOILT = (
    (_ADDRESS, "an address that says more than a name"),
    (re.compile(r"\d(\.\d+)?e\+\d+", re.IGNORECASE), "a number that a spreadsheet has rounded"),
    (re.compile(r"\d+\.0"), "a number with a fraction, as tables make of ids"),
    (re.compile(r"#(NAME\?|REF!|VALUE!|N/A|DIV/0!|NUM!|NULL!|####+)", re.IGNORECASE), "a spreadsheet's error"),
    (re.compile(r'="[^"]*"'), "a spreadsheet's formula"),
)


def name_in(text: str, path: Path) -> str:
    """The name that a list gives. InputError for what cannot be meant."""
    name = text.strip()
    if match := _PAGE.fullmatch(name):
        return match["id"]
    if why := _why_spoilt(name):
        raise InputError(
            f"{path} names a clip {shortened(repr(name), 120)}: {why}. Correct the list, or make it again from the "
            "names of the files; a file that is called so is given with its suffix."
        )
    return name


def _why_spoilt(name: str) -> str | None:
    is_a_file = Path(name).suffix.lower() in EVERY_SUFFIX  # whose name may begin so
    if not name.isascii() and not is_a_file and "Cf" in map(unicodedata.category, (name[0], name[-1])):
        return f"it begins or ends with a character that is not seen ({name!a})"
    return next((why for pattern, why in _SPOILT if pattern.fullmatch(name)), None)
