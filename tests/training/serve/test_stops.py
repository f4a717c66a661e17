"""Whoever asked can have it end: while it waits, while it is done, and never what is asked for next."""

from training.serve.stops import Stops


def test_what_is_done_is_stopped_and_what_comes_next_is_not() -> None:
    stops = Stops()
    stops.ask("a", "video")
    with (
        stops.at_work("a", "video") as mine,
        stops.at_work("b", "video") as other,
        stops.at_work("a", "image") as image,
    ):
        stops.stop("a", "video")
        assert [each.is_set() for each in (mine, other, image)] == [True, False, False]
    with stops.at_work("a", "video") as after:
        assert not after.is_set()


def test_what_waits_is_stopped_when_its_turn_comes() -> None:
    stops = Stops()
    stops.ask("a", "video")
    stops.stop("a", "video")
    stops.ask("a", "video")  # again, before its turn came: the page has one of a tab in line
    with stops.at_work("a", "video") as event:
        assert event.is_set()


def test_a_stop_with_nothing_to_stop_changes_nothing() -> None:
    stops = Stops()
    stops.stop("a", "video")
    with stops.at_work("a", "video") as event:
        assert not event.is_set()
    assert not stops._events
