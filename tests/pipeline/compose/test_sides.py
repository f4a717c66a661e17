"""Which side a file is on."""

from collections import defaultdict
from collections.abc import Mapping

from pipeline.compose.sides import Member, Side, divide


def members(*groups: tuple[str, str, int]) -> list[Member]:
    """(class, instrument, files) of each source; every file is a recording of its own."""
    found: list[Member] = []
    for label, instrument, count in groups:
        found += [Member(len(found) + n, label, (f"{label} {instrument} {n}",), (instrument,)) for n in range(count)]
    return found


def photographs(*objects: tuple[str, str]) -> list[Member]:
    """(class, photograph) of each object."""
    return [Member(number, label, (photograph,)) for number, (label, photograph) in enumerate(objects)]


def sides_of(given: list[Member], side: Mapping[int, Side]) -> dict[str, set[Side]]:
    """By origin."""
    found: dict[str, set[Side]] = defaultdict(set)
    for member in given:
        for origin in member.origins:
            found[origin].add(side[member.number])
    return found


def test_sources_stay_together_and_a_fifth_is_tested() -> None:
    given = members(*((f"class {c}", f"source {c} {s}", 1 + s % 3) for c in range(4) for s in range(40)))
    divided = divide(given, 5)
    assert not divided.by_file
    sides: dict[str, set[str]] = defaultdict(set)
    for member in given:
        sides[member.collections[0]].add(divided.side[member.number])
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
    given = photographs(*((label, f"photo {n}") for n in range(30) for label in ("cat", "dog")))
    assert all(len(found) == 1 for found in sides_of(given, divide(given, 0).side).values())


def test_nothing_takes_a_photograph_apart() -> None:
    flock = [("sheep", f"photo {n % 2}") for n in range(8)]
    shared = [("sheep", "photo 2"), ("dog", "photo 0"), ("dog", "photo 3"), ("cat", "photo 3"), ("cat", "photo 4")]
    more = [("dog", f"photo {n}") for n in range(5, 30)]
    for objects in (flock, [*flock, *shared], [*flock, *flock, *shared, *more]):
        given = photographs(*objects)
        divided = divide(given, 0)
        assert all(len(found) == 1 for found in sides_of(given, divided.side).values())
        assert not divided.one_sided
        assert "sheep" in divided.by_file


def test_files_of_one_content_stay_together_where_an_instrument_is_taken_apart() -> None:
    given = [Member(n, "tuba", (f"content {n // 2}",), ("soundfont",)) for n in range(10)]
    divided = divide(given, 0)
    assert all(len(found) == 1 for found in sides_of(given, divided.side).values())
    assert sorted(divided.side.values()) == ["test"] * 2 + ["train"] * 8
    assert divided.by_file == ("tuba",)


def test_a_class_whose_instrument_another_class_takes_apart_is_named_too() -> None:
    given = members(("tuba", "soundfont", 20), ("horn", "soundfont", 2), *(("horn", f"s{n}", 1) for n in range(20)))
    assert divide(given, 0).by_file == ("horn", "tuba")


def test_a_class_of_one_photograph_is_on_one_side_and_takes_none_from_others() -> None:
    given = photographs(
        ("cow", "photo 0"), ("cow", "photo 0"), ("owl", "photo 1"), ("cat", "photo 0"), ("cat", "photo 1")
    )
    assert divide(given, 0).one_sided == ("cow", "owl")


def test_classes_that_cannot_all_be_on_both_sides_leave_one_that_is_not() -> None:
    given = photographs(*((f"class {n}", f"photo {m}") for n in range(3) for m in range(3) if m != n))
    divided = divide(given, 0)
    assert len(divided.one_sided) == 1
    assert all(len(found) == 1 for found in sides_of(given, divided.side).values())


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
