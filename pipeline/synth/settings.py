"""What a user may choose of a drawn corpus."""

from dataclasses import dataclass

from manifests.errors import InputError

SMALLER = 0.2  # share of clips with smaller silent objects


@dataclass(frozen=True)
class Settings:
    """What a user may choose of the toy world. The defaults are near VGG-SS: mostly one object that dominates.

    surroundings: the probability that a class appears in its own one or two places; 0: every clip has a background of
    its own. distractors: the share of clips with silent objects, which are then smaller than what sounds; None:
    rivals, as many and as large ones as the sizes allow.
    """

    surroundings: float = 0.8
    distractors: float | None = SMALLER


HARD = Settings(surroundings=0.0, distractors=None)  # no background tells a class, what is silent is as large


def chosen(surroundings: float, distractors: float | None, rivals: bool) -> Settings:
    """The settings that options ask for. InputError for both kinds of silent objects."""
    if rivals and distractors is not None:
        raise InputError("--rivals are silent objects in place of --distractors: give one of the two.")
    smaller = SMALLER if distractors is None else distractors
    return Settings(surroundings, None if rivals else smaller)
