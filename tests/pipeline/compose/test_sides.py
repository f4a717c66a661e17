"""Which side a file is on."""

from collections import defaultdict

from pipeline.compose.sides import Member, divide


def members(*groups: tuple[str, str, int]) -> list[Member]:
    """(class, origin, files) of each source; every file has an origin of its own, too."""
    found: list[Member] = []
    for label, origin, count in groups:
        found += [Member(len(found) + n, label, (origin, f"{label} {origin} {n}")) for n in range(count)]
    return found


def test_sources_stay_together_and_a_fifth_is_tested() -> None:
    given = members(*((f"class {c}", f"source {c} {s}", 1 + s % 3) for c in range(4) for s in range(40)))
    divided = divide(given, 5)
    assert not divided.by_file
    sides: dict[str, set[str]] = defaultdict(set)
    for member in given:
        sides[member.origins[0]].add(divided.side[member.number])
    assert all(len(found) == 1 for found in sides.values())
    tested = sum(side == "test" for side in divided.side.values()) / len(given)
    assert 0.17 < tested < 0.24


def test_the_order_of_files_does_not_matter_and_the_seed_does() -> None:
    given = members(*(("a", f"s{n}", 1) for n in range(50)))
    assert divide(given, 0) == divide(given[::-1], 0)
    assert divide(given, 0).side != divide(given, 1).side


def test_a_class_of_one_source_is_divided_file_by_file_and_named() -> None:
    given = members(("whole", "s", 1), ("whole", "t", 1), ("tuba", "soundfont", 20))
    divided = divide(given, 0)
    assert divided.by_file == ("tuba",)
    assert sum(divided.side[member.number] == "test" for member in given if member.label == "tuba") == 4


def test_a_photograph_of_two_classes_is_on_one_side() -> None:
    given = members(*((label, f"photo {n}", 1) for n in range(30) for label in ("cat", "dog")))
    divided = divide(given, 0)
    by_photo: dict[str, set[str]] = defaultdict(set)
    for member in given:
        by_photo[member.origins[0]].add(divided.side[member.number])
    assert all(len(found) == 1 for found in by_photo.values())


def test_what_is_joined_through_others_goes_together() -> None:
    chain = [Member(n, "a", (f"origin {n}", f"origin {n + 1}")) for n in range(3)]
    others = [Member(10 + n, "a", (f"other {n}",)) for n in range(20)]
    sides = divide([*chain, *others], 0).side
    assert len({sides[member.number] for member in chain}) == 1


def test_every_class_is_on_both_sides() -> None:
    for count in range(2, 12):
        for alone in (True, False):
            given = members(*((("a", f"s{n}", 1) for n in range(count)) if alone else [("a", "s", count)]))
            assert set(divide(given, count).side.values()) == {"train", "test"}
