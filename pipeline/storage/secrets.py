"""Addresses, and what libraries say of them, as they may be printed: no password in them is repeated."""

import re

_BEFORE_AT = re.compile(r"^([a-z][a-z0-9+.-]*:/+)?.*@", re.DOTALL | re.IGNORECASE)
_IN_TEXT = re.compile(r"[^\s\"']*@")


def without_secrets(address: str) -> str:
    """An address without what may be secret in it: what stands before an @, and what is asked after a question mark.

    A password may have a slash, a question mark or an @ of its own.
    """
    return _BEFORE_AT.sub(r"\1...@", address, count=1).partition("?")[0]


def text_without_secrets(text: str) -> str:
    """A text without what stands before an @ in any word of it."""
    return _IN_TEXT.sub("...@", text)
