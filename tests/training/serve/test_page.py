"""The page in a real browser, served by a real process: all that a visitor does."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_page import Server, Watched, browser, dragged, dropped, needs_gradio, serving, watched
from waiting import wait_until

from .conftest import SECONDS

MOST_WAITING, NOTHING = 20, -1
BUSY = "Nothing came of this, most likely because too many visitors wait. Try again in a minute."

pytestmark = needs_gradio  # it is imported by the server alone
OPACITY = """() => {
  let found = 1;
  for (let each = document.querySelector('#result .stop'); each; each = each.parentElement) {
    found *= Number(getComputedStyle(each).opacity);
  }
  return found;
}"""
RECTANGLES = "[...document.querySelectorAll('#result .boxes rect')].map(box => box.getBoundingClientRect().width)"


def test_the_page(runs: list[Path], media: Path, tmp_path: Path) -> None:
    """One server and one browser: most of the time is taken by loading torch, gradio and the browser."""
    with browser() as opened, serving(tmp_path / "work", *runs, "--examples", 2, "--max-seconds", 5) as server:
        with watched(opened, server.address) as visit:
            a_dropped_video_plays_under_its_map_with_its_sound(visit.page, media)
            the_slider_moves_the_boxes_and_a_plot_moves_the_video(visit.page)
            the_numbers_can_be_fetched(visit.page)
            a_refused_file_shows_its_sentence(visit.page, media / "note.mp4", "note.mp4 is no video, or it is damaged.")
            a_refused_file_shows_its_sentence(visit.page, media / "mute.mp4", "mute.mp4 has no sound.")
            a_name_that_says_nothing_refuses_nothing(visit.page, media)
            an_example_by_two_models_side_by_side(visit.page)
            an_image_with_one_sound_and_then_another(visit.page, media)
            a_video_is_a_sound_too_and_a_sound_no_image(visit.page, media)
            nothing_but_this_server_was_asked_and_nothing_went_wrong(visit, server)
        files_go_when_pages_are_closed(server)
        what_nobody_asked_about_goes_as_well(opened, server, media)
        an_upload_that_breaks_off_leaves_nothing(server)
        a_telephone_shows_it_all_in_its_width(opened, server, media)
        a_signal_ends_it_in_order(server)


def players(page: Any) -> list[dict[str, Any]]:
    """What the browser says of the videos that it shows."""
    facts = "readyState, duration, currentTime, muted, videoWidth"
    return page.evaluate(f"[...document.querySelectorAll('#result video')].map(({{{facts}}}) => ({{{facts}}}))")


def show_result(page: Any, count: int = 1) -> None:
    page.wait_for_function(
        f"(() => {{ const all = [...document.querySelectorAll('#result video')];"
        f" return all.length === {count} && all.every(each => each.readyState >= 2); }})()"
    )


def a_dropped_video_plays_under_its_map_with_its_sound(page: Any, media: Path) -> None:
    dropped(page, media / "clip.mp4")
    show_result(page)
    (player,) = players(page)
    assert player["duration"] == pytest.approx(SECONDS, abs=0.15)
    assert player["videoWidth"] == 96
    assert not player["muted"]
    page.evaluate("document.querySelector('#result video').play()")
    page.wait_for_function("document.querySelector('#result video').currentTime > 0.2")
    assert page.evaluate("document.querySelector('#result video').webkitAudioDecodedByteCount") > 0
    page.evaluate("document.querySelector('#result video').pause()")


def the_slider_moves_the_boxes_and_a_plot_moves_the_video(page: Any) -> None:
    areas = []
    for threshold in (0.1, 0.95):
        page.locator("#result .threshold input").fill(str(threshold))
        assert page.locator("#result .threshold output").inner_text() == f"{round(100 * threshold)} %"
        areas.append(sum(page.evaluate(RECTANGLES)))
    assert areas[0] > areas[1]
    plots = page.locator("#result .plot")
    assert plots.count() == 2
    assert plots.locator("polyline").count() == 3  # confidence; across, up and down
    plots.first.locator("svg").click(position={"x": 2, "y": 10})
    page.wait_for_function("document.querySelector('#result video').currentTime < 0.2")


def the_numbers_can_be_fetched(page: Any) -> None:
    link = page.locator("#result .downloads a").nth(1)
    answer = page.request.get(page.evaluate("link => link.href", link.element_handle()))
    assert len(json.loads(answer.text())["moments"]) == 4 * SECONDS + 1
    assert "/" not in json.loads(answer.text())["video"]


def a_refused_file_shows_its_sentence(page: Any, path: Path, sentence: str) -> None:
    page.locator("#video").get_by_label("Clear").click()
    dropped(page, path)
    page.wait_for_function(f"document.querySelector('#result .refused')?.textContent === {sentence!r}")


def a_name_that_says_nothing_refuses_nothing(page: Any, media: Path) -> None:
    page.locator("#video").get_by_label("Clear").click()
    dropped(page, media / "clip.mp4", name=".clip.ts")
    show_result(page)
    assert page.locator("#result .downloads a").first.get_attribute("download") == "clip.first-0123abcd-s0.mp4"


def an_example_by_two_models_side_by_side(page: Any) -> None:
    page.get_by_label("Beside it").click()
    page.get_by_role("option", name="second").click()
    page.get_by_role("button", name="dog barking").first.click()
    show_result(page, 2)
    assert page.locator("#result .stages figcaption").all_inner_texts() == ["first", "second"]
    assert [player["muted"] for player in players(page)] == [False, True]
    page.evaluate("document.querySelector('#result video').currentTime = 1.5")
    page.wait_for_function("[...document.querySelectorAll('#result video')].every(each => each.currentTime > 1.3)")
    assert page.locator("#result polyline.run-1").count() == 3


def an_image_with_one_sound_and_then_another(page: Any, media: Path) -> None:
    page.get_by_role("tab", name="An image").click()
    page.locator("#go-image").click()
    page.wait_for_selector("#result-image .refused")
    dragged(page, media / "image.png", "image", ".image.JPG_1")
    page.wait_for_selector("#image img")
    for number, name in enumerate(("dog barking", "violin viola"), start=1):
        page.locator("#sounds").get_by_role("button", name=name).click()
        page.wait_for_function(f"document.querySelectorAll('#result-image .card img').length === {number}")
    assert page.locator("#result-image figcaption strong").all_inner_texts() == ["violin viola", "dog barking"]
    page.wait_for_function("document.querySelector('#result-image .card img').naturalWidth === 640")


def a_video_is_a_sound_too_and_a_sound_no_image(page: Any, media: Path) -> None:
    page.locator("#sound").get_by_label("Clear").click()
    dropped(page, media / "clip.mp4", "sound", "clip")
    page.wait_for_selector("#sound .waveform-container")
    assert page.locator("#sound").get_by_role("button", name="Share").count() == 0
    page.locator("#go-image").click()
    page.wait_for_function("document.querySelectorAll('#result-image .card img').length === 3")
    assert page.locator("#result-image figcaption strong").first.inner_text() == "clip"
    dropped(page, media / "sound.wav", "image", "photo.HEIC")
    page.wait_for_selector("#image img[src$='photo.HEIC']")
    page.locator("#go-image").click()
    said = "photo.HEIC is no JPEG, PNG, WEBP or BMP image, or it is damaged."
    page.wait_for_function(f"document.querySelector('#result-image .refused')?.textContent === {said!r}")


def nothing_but_this_server_was_asked_and_nothing_went_wrong(visit: Watched, server: Server) -> None:
    assert len(visit.requests) > 20
    assert not visit.outside(server.address)
    assert not visit.complaints
    assert not server.errors
    assert server.files("results")
    assert server.files("uploads")


def a_telephone_shows_it_all_in_its_width(opened: Any, server: Server, media: Path) -> None:
    with watched(opened, server.address, 390, "dark") as seen:
        assert not seen.is_too_wide
        dropped(seen.page, media / "clip.mp4")
        show_result(seen.page)
        assert not seen.is_too_wide
        work_that_lasts_can_be_stopped(seen.page, server, lambda: watched(opened, server.address), media)
        assert not seen.is_too_wide
        seen.page.get_by_role("tab", name="An image").click()
        assert not seen.is_too_wide
        assert not seen.complaints


def work_that_lasts_can_be_stopped(page: Any, server: Server, another: Callable[[], Any], media: Path) -> None:
    (desk,) = server.desks
    os.kill(desk, signal.SIGSTOP)  # it works on this for ever
    page.locator("#go").click()
    page.wait_for_selector("#result .working")
    with another() as waiting:
        dropped(waiting.page, media / "clip.mp4")
        waiting.page.wait_for_selector("#result .working")
        waiting.page.wait_for_timeout(1000)  # gradio would fade what waits for its turn
        assert waiting.page.evaluate(OPACITY) == 1
    one_more_than_may_wait_is_told_so(server, another, media)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.wait_for_function("document.querySelector('#result .empty')?.textContent.startsWith('Stopped')")
    wait_until(lambda: not server.desks)


def one_more_than_may_wait_is_told_so(server: Server, another: Callable[[], Any], media: Path) -> None:
    with another() as full:
        ids = [
            each["id"]
            for each in full.page.request.get(f"{server.address}config").json()["dependencies"]
            if each["queue"]
        ]
        question = {"data": [None, 0, NOTHING], "fn_index": ids[0]}  # refused as soon as its turn comes
        for number in range(MOST_WAITING):
            asked = question | {"session_hash": str(number)}
            full.page.request.post(f"{server.address}gradio_api/queue/join", data=asked)
        dropped(full.page, media / "clip.mp4")
        full.page.wait_for_function(f"document.querySelector('#result .refused')?.textContent === {BUSY!r}")


def files_go_when_pages_are_closed(server: Server) -> None:
    wait_until(lambda: not server.files("results") and not server.files("uploads"), 15)


def what_nobody_asked_about_goes_as_well(opened: Any, server: Server, media: Path) -> None:
    with watched(opened, server.address) as seen:
        seen.page.get_by_role("tab", name="An image").click()
        dropped(seen.page, media / "image.png", "image")
        dropped(seen.page, media / "sound.wav", "sound")
        wait_until(lambda: len(server.files("uploads")) == 2)
        seen.page.wait_for_selector("#image img")
        seen.page.wait_for_selector("#sound .waveform-container")
    files_go_when_pages_are_closed(server)


def an_upload_that_breaks_off_leaves_nothing(server: Server) -> None:
    head = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000"
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\nbegun'
    host, port = server.address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n{part}".encode())
        wait_until(lambda: bool(server.files("uploads")))
    wait_until(lambda: not server.files("uploads"))
    assert not server.errors


def a_signal_ends_it_in_order(server: Server) -> None:
    assert server.end() == 0
    assert "files of visitors are deleted" in server.said
    assert not server.errors
    assert not list(server.work.glob("*-serve-*"))
