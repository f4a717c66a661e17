"""The foreign sounds of a test: what each is called, and how they are drawn and made where a protocol asks for them.

Usually by seed 0, off screen any clip of another class, silence and noise through the whole front end. vssl_eval
(e8ebbc9) draws a class first and then a file of it, repeats a test set under ten seeds, and the loader of its models of
7 x 7 takes the logarithm of clips' spectrograms, not of those of silence and noise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SILENCE, NOISE, OFF_SCREEN, SWAPPED = CONTROLS = ("silence", "noise", "offscreen", "swapped")
OTHER_GROUP = "othergroup"  # off screen as AVSBench-Robust draws it: of another broad group
NEGATIVES = (SILENCE, NOISE, OFF_SCREEN)  # under these nothing that is seen sounds; a swapped one is of the same class
UNLOGGED = "/unlogged"  # ends the kind of a made sound
SEEDS = re.compile(r"seed(?P<one>\d{1,9})|seeds(?P<first>\d{1,9})\.\.(?P<last>\d{1,9})")
MOST = 100


@dataclass(frozen=True)
class SoundDraw:
    """One draw. `by_class`: every other class is as likely to be off screen, whatever its number of clips. `unlogged`:
    the spectrograms of silence and noise are power, not its logarithm."""

    seed: int = 0
    by_class: bool = False
    unlogged: bool = False

    @property
    def again(self) -> str:
        """Ends the name of what another seed makes otherwise; nothing for seed 0."""
        return f"@{self.seed}" if self.seed else ""


def seeds_in(word: str) -> tuple[int, ...]:
    """(7,) of `seed7`, (0, 1 ... 9) of `seeds0..9`; nothing of another word, or of more than a hundred seeds."""
    found = SEEDS.fullmatch(word)
    if found is None:
        return ()
    if found["one"]:
        return (int(found["one"]),)
    first, last = int(found["first"]), int(found["last"])
    return tuple(range(first, last + 1)) if last - first < MOST else ()


def draws_of(fields: Mapping[str, Any]) -> tuple[SoundDraw, ...]:
    """The draws that the fields of a protocol ask for, one for each seed; those of earlier results name none."""
    by_class, unlogged = (bool(fields.get(name, False)) for name in ("off_screen_by_class", "unlogged"))
    return tuple(SoundDraw(seed, by_class, unlogged) for seed in fields.get("sound_seeds", (0,)))


def word_of(draws: tuple[SoundDraw, ...]) -> str:
    """What tells files apart by how sounds were drawn: `+byclass+seeds0..9`; nothing for the usual draw."""
    first, last = draws[0], draws[-1]
    seeds = f"seeds{first.seed}..{last.seed}" if len(draws) > 1 else f"seed{first.seed}" if first.seed else ""
    words = ("byclass" if first.by_class else "", "unlogged" if first.unlogged else "", seeds)
    return "".join(f"+{word}" for word in words if word)
