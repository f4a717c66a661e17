"""Off-screen sounds of AVSBench-Robust (03e925d): which other classes may stand in for a frame's own sound.

Classes fall into four broad groups. Music and people never stand in for each other, people and animals never for
animals; in S4 a device may take any other group (its exclusion names a group that is empty), in MS3 it may not take
music. MS3 labels join names with `_`; "background" counts as a device, and a label with an unknown name only has no
group: no sound is made for such a frame, though its sound may be taken for others.
"""

from collections.abc import Iterable

MUSIC, HUMAN, ANIMAL, DEVICE = GROUPS = ("music", "human", "animal", "device")
S4 = {
    MUSIC: (
        "playing_acoustic_guitar", "playing_glockenspiel", "playing_piano", "playing_tabla", "playing_ukulele",
        "playing_violin",
    ),
    HUMAN: ("baby_laughter", "female_singing", "male_speech"),
    ANIMAL: ("cat_meowing", "coyote_howling", "dog_barking", "horse_clip-clop", "lions_roaring", "mynah_bird_singing"),
    DEVICE: (
        "driving_buses", "helicopter", "race_car", "ambulance_siren", "cap_gun_shooting", "chainsawing_trees",
        "lawn_mowing", "typing_on_computer_keyboard",
    ),
}  # fmt: skip
MS3 = {
    MUSIC: ("guitar", "tabla", "violin", "ukulele", "piano", "marimba"),
    HUMAN: ("man", "woman", "baby"),
    ANIMAL: ("dog", "cat", "lion", "bird", "wolf"),
    DEVICE: ("mower", "background", "bus", "car", "gun", "saw", "emergency-car", "keyboard"),
}
_NEVER = {MUSIC: {HUMAN}, HUMAN: {MUSIC}, ANIMAL: {HUMAN}}
_NEVER_IN_MS3 = _NEVER | {DEVICE: {MUSIC}}


def group_of(category: str) -> str | None:
    """The group of an S4 category; None for one that S4 has not."""
    return next((group for group, names in S4.items() if category in names), None)


def donors_s4(category: str) -> tuple[str, ...]:
    """Categories whose sounds may stand in for one of `category`; none for a category that S4 has not."""
    own = group_of(category)
    if own is None:
        return ()
    allowed = [group for group in GROUPS if group != own and group not in _NEVER.get(own, set())]
    return tuple(name for group in allowed for name in S4[group])


def standing_in(label: str, labels: Iterable[str]) -> tuple[str, ...]:
    """Which of these labels' sounds may stand in for one of `label`, of S4 or MS3; none for a label of neither."""
    there = list(dict.fromkeys(labels))
    if group_of(label) is not None:
        return tuple(name for name in donors_s4(label) if name in there)
    return donors_ms3(label, there)


def groups_of(label: str) -> frozenset[str]:
    """The groups of an MS3 label, by the names in it that are known."""
    known = {name: group for group, names in MS3.items() for name in names}
    return frozenset(known[part] for part in label.split("_") if part in known)


def donors_ms3(label: str, labels: Iterable[str]) -> tuple[str, ...]:
    """Which of the other clips' labels may stand in; any other one where none may, and none for an unknown label."""
    own, others = groups_of(label), [one for one in labels if one != label]
    if not own:
        return ()
    barred = own.union(*(_NEVER_IN_MS3[group] for group in own))
    return tuple(one for one in others if barred.isdisjoint(groups_of(one))) or tuple(others)
