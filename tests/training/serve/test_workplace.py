"""Files of visitors: apart from one another, gone when a page is closed, in time, and with the server."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import PYTHONPATH

from manifests.files.temporary import LOCK, PREFIX
from training.serve.workplace import KEPT, LATE, RESULTS_OF_A_VISIT, UNCLAIMED, Workplace, workplace


def upload(place: Workplace, name: str) -> Path:
    path = place.uploads / name / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"video")
    return path


def test_a_workplace_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        assert place.root.stat().st_mode & 0o077 == 0
        upload(place, "a")
        assert place.size == 5
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt), workplace(tmp_path):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_only_files_of_visitors_are_used(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.touch()
    with workplace(tmp_path) as place:
        given = upload(place, "a")
        assert place.use("one", str(given)) == given
        (place.uploads / "link").symlink_to(outside)
        (place.root / "other").touch()
        wrong = [outside, place.root / LOCK, place.uploads / ".." / LOCK, place.uploads / "link", place.uploads]
        for path in [*map(str, wrong), "a\0b", "http://localhost/a.mp4", "", f"{place.uploads}/none"]:
            with pytest.raises(ValueError):  # noqa: PT011
                place.use("one", path)


def test_what_a_visit_left_goes_with_it(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        mine, shared, example = upload(place, "a"), upload(place, "b"), place.examples / "clip.mp4"
        example.touch()
        for visit, path in (("one", mine), ("one", shared), ("two", shared), ("one", example)):
            place.use(visit, str(path))
        first, second = place.new_result("one"), place.new_result("two")
        assert first.parent != second.parent
        place.leave("one")
        assert [mine.parent.exists(), shared.exists(), example.exists(), first.exists(), second.exists()] == [
            False, True, True, False, True,
        ]  # fmt: skip
        place.leave("two")
        place.leave("nobody")
        assert not any(place.uploads.iterdir())
        assert not any(place.results.iterdir())


def test_what_no_page_claims_goes_soon_and_what_one_does_stays(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        sent, claimed = (place.arrived(str(upload(place, name))) for name in "ab")
        place.use("one", str(claimed))
        assert place.sweep(time.time() + UNCLAIMED / 2) == 0
        assert place.sweep(time.time() + UNCLAIMED + 10) == 1
        assert [sent.parent.exists(), claimed.exists()] == [False, True]


def test_the_same_file_sent_by_two_stays_for_the_one_who_has_not_named_it_yet(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        path = upload(place, "a")
        place.arrived(str(path))
        place.use("one", str(path))
        place.arrived(str(path))
        place.leave("one")
        assert place.use("two", str(path)) == path
        place.leave("two")
        assert not path.exists()


def test_a_page_that_is_closed_keeps_nothing_that_it_names_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workplace(tmp_path) as place:
        path = place.arrived(str(upload(place, "a")))
        place.leave("one")
        with pytest.raises(ValueError, match=r"clip\.mp4"):
            place.use("one", str(path))
        assert place.sweep(time.time() + UNCLAIMED + 10) == 1
        path = place.arrived(str(upload(place, "b")))
        later = time.time() + LATE + 1
        monkeypatch.setattr(time, "time", lambda: later)  # its connection was gone for a moment, and it is there
        assert place.use("one", str(path)) == path


@pytest.mark.parametrize(("name", "shown"), [(".clip.mp4", "clip.mp4"), ("...mp4", "mp4"), ("a.mp4", "a.mp4")])
def test_a_name_begins_with_no_dot(tmp_path: Path, name: str, shown: str) -> None:
    with workplace(tmp_path) as place:
        sent = upload(place, "a").rename(place.uploads / "a" / name)
        assert place.arrived(str(sent)) == place.arrived(str(sent)) == place.uploads / "a" / shown
        assert (place.uploads / "a" / shown).exists()


def test_what_was_sent_in_part_goes_when_nothing_is_sent_any_more(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        whole = upload(place, "a")
        with place.arriving():
            with place.arriving():
                (place.uploads / "part").touch()
            assert (place.uploads / "part").exists()  # it may be of the other
        assert list(place.uploads.iterdir()) == [whole.parent]


def test_a_visit_keeps_its_last_results(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        made = [place.new_result("one") for _ in range(RESULTS_OF_A_VISIT + 2)]
        assert [folder.exists() for folder in made] == [False] * 2 + [True] * RESULTS_OF_A_VISIT


def test_what_is_not_used_goes_in_time(tmp_path: Path) -> None:
    with workplace(tmp_path) as place:
        old, used, new = (upload(place, name) for name in "abc")
        result = place.new_result("one") / "map.mp4"
        result.touch()
        past = time.time() - KEPT - 10
        for path in (old, used, result):
            os.utime(path, (past, past))
        place.use("one", str(used))
        assert place.sweep() == 2
        assert [old.parent.exists(), used.exists(), new.exists(), result.exists()] == [False, True, True, False]
        assert place.sweep(time.time() + KEPT + 10) == 2


def test_what_a_killed_server_left_goes_with_the_next_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\nfrom training.serve.workplace import workplace\n"
        "with workplace(pathlib.Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": PYTHONPATH}, check=False)
    (left,) = tmp_path.glob(f"{PREFIX}*")
    with workplace(tmp_path) as first, workplace(tmp_path) as second:
        assert set(tmp_path.iterdir()) == {first.root, second.root}
        assert left.name not in {first.root.name, second.root.name}
