"""The page with real clips of many kinds, visitors who leave, a password, and Ctrl-C in the middle of work."""

import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from places import VIDEOS, needed
from served_page import Server, browser, dropped, needs_gradio, serving, watched
from waiting import wait_until

pytestmark = [pytest.mark.slow, needs_gradio]
PLAYED = (
    "vggsound_real/M1pPtg6a_g8_000230.mp4",
    "vggsound_real/-0pJqpNjft4_000267.mp4",
    "good/exo_sample_mpeg4_mp3.avi",
    "good/flipping_a_pancake.mkv",
    "good/big_buck_bunny_432_433.webm",
    "edge/rot90_phone_1s.mp4",
    "edge/silent_audio_alpha.webm",
)
REFUSED = {
    "edge/noaudio_odd_161x121.webm": "has no sound",
    "edge/novideo_vorbis_8khz_mono.mkv": "no moving image",
    "edge/unopenable_no_moov.mp4": "no video, or it is damaged",
}


def localized(page: Any, video: Path) -> None:
    """Drop a video, wait until its map plays to the end."""
    if page.locator("#video").get_by_label("Clear").count():
        page.locator("#video").get_by_label("Clear").click()
    dropped(page, video)
    page.wait_for_selector("#result .working")
    page.wait_for_function("document.querySelector('#result video')?.readyState >= 2", timeout=150_000)


@pytest.mark.timeout(900)
def test_real_clips_of_many_kinds(runs: list[Path], tmp_path: Path) -> None:
    clips = needed(VIDEOS)
    with (
        browser() as opened,
        serving(tmp_path / "work", *runs, "--examples", 2) as server,
        watched(opened, server.address) as seen,
    ):
        for name in PLAYED:
            localized(seen.page, clips / name)
            facts = "(({duration, videoWidth, error}) => [duration, videoWidth, error])"
            duration, width, error = seen.page.evaluate(f"{facts}(document.querySelector('#result video'))")
            assert duration > 0.9, name
            assert width > 100, name
            assert error is None, name
            assert ("Nothing is heard" in seen.page.locator("#result").inner_text()) == ("silent" in name), name
        for name, sentence in REFUSED.items():
            seen.page.locator("#video").get_by_label("Clear").click()
            dropped(seen.page, clips / name)
            seen.page.wait_for_function(
                f"document.querySelector('#result .refused')?.textContent.includes({sentence!r})"
            )
        assert not seen.outside(server.address)
        assert not seen.complaints
        assert not server.errors


@pytest.mark.timeout(600)
def test_visitors_who_leave_and_a_server_that_is_stopped(runs: list[Path], media: Path, tmp_path: Path) -> None:
    with browser() as opened, serving(tmp_path / "work", *runs) as server:
        with watched(opened, server.address, 390) as first:
            dropped(first.page, media / "long.mp4")
            first.page.wait_for_selector("#result .working")
            with watched(opened, server.address) as second:
                dropped(second.page, media / "clip.mp4")
                second.page.wait_for_selector("#result .working")
                first.page.context.close()
                second.page.wait_for_selector("#result video")
        wait_until(lambda: not server.files("uploads") and not server.files("results"))
        with watched(opened, server.address) as third:
            dropped(third.page, media / "long.mp4")
            third.page.wait_for_selector("#result .working")
            ends_in_order(server)


def ends_in_order(server: Server) -> None:
    """At Ctrl-C, with a page open and work under way."""
    began = time.monotonic()
    assert server.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 15
    assert "files of visitors are deleted" in server.said
    assert not server.errors
    assert not list(server.work.glob("*-serve-*"))


@pytest.mark.timeout(300)
def test_a_password_stands_before_everything(runs: list[Path], tmp_path: Path) -> None:
    with (
        serving(
            tmp_path / "work", runs[0], "--password", "--host", "0.0.0.0", "--examples", 0,
            TRAINING_SERVE_PASSWORD="sesame",
        ) as server,
        httpx.Client(base_url=server.address.replace("0.0.0.0", "127.0.0.1")) as visitor,
    ):  # fmt: skip
        assert "everybody who reaches this machine can open the page, with the password" in server.errors
        assert "sesame" not in server.said + server.errors
        closed = ("config", "gradio_api/info", "gradio_api/file=/etc/passwd", "gradio_api/queue/data?session_hash=a")
        assert {visitor.get(path).status_code for path in closed} == {401}
        assert visitor.post("gradio_api/upload", files={"files": ("a", b"1")}).status_code == 401
        assert visitor.post("gradio_api/queue/join", json={"data": []}).status_code == 401
        assert visitor.post("login", data={"username": "me", "password": "open"}).status_code == 400
        assert visitor.post("login", data={"username": "me", "password": "sesame"}).status_code == 200
        assert visitor.get("config").status_code == 200
        assert server.end() == 0
