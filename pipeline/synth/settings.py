"""What a user may choose of a drawn corpus."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What a user may choose of the toy world. surroundings: the probability that a class appears in its own one or two
    places; 0: every clip has a background of its own. distractors: the share of clips with silent objects, which are
    then smaller than what sounds; None: as many and as large ones as the sizes allow.
    """

    surroundings: float = 0.0
    distractors: float | None = None
