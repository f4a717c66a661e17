"""How many of something, for sentences: "1 clip", "2 clips"."""


def counted(count: int, one: str, many: str = "") -> str:
    """A count with the word for what is counted, in the singular for one; `many` is the plural where no s makes it."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def have(count: int, one: str, many: str = "") -> str:
    """The same with its verb: "1 clip has", "2 clips have"."""
    return f"{counted(count, one, many)} {'has' if count == 1 else 'have'}"


def are(count: int, one: str, many: str = "") -> str:
    """The same with its verb: "1 clip is", "2 clips are"."""
    return f"{counted(count, one, many)} {'is' if count == 1 else 'are'}"
