"""Broken and odd content is rejected for its reason, and leaves nothing behind."""

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from decoded import DECODERS, verdict

from pipeline.media import recording
from pipeline.media.decode import DecodeOptions, decode_clip
from pipeline.media.ffmpeg import file_input
from pipeline.media.opening import open_container


class TestBroken:
    @pytest.fixture
    def plain(self, clips) -> Path:
        return clips.once("whole.mp4", seconds=10.0)

    @DECODERS
    def test_truncated_with_the_index_at_the_end(self, plain: Path, decode) -> None:
        content = plain.read_bytes()
        assert verdict(decode, content[: len(content) * 6 // 10]) == "unreadable"

    @DECODERS
    @pytest.mark.parametrize(("suffix", "options"), [("mp4", {"movflags": "+faststart"}), ("mkv", {})])
    def test_truncated_where_it_is_needed(self, clips, plain: Path, decode, suffix: str, options: dict) -> None:
        content = clips.remux(plain, f"front.{suffix}", **options).read_bytes()
        assert verdict(decode, content[: len(content) * 4 // 10]) == "corrupt"
        assert decode(content[: len(content) * 9 // 10]).moment == 5.0

    def test_garbage_at_the_moment(self, clips, plain: Path) -> None:
        content = bytearray(clips.remux(plain, "garbled.mp4", movflags="+faststart").read_bytes())
        middle = len(content) // 2
        content[middle - 30_000 : middle] = np.random.default_rng(0).bytes(30_000)
        assert verdict(decode_clip, bytes(content)) == "corrupt"

    def test_a_stream_that_appears_on_the_way_ends_the_data(self, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """PyAV knows no stream that the header did not announce, and says IndexError where damage looks like one."""

        class Torn:
            def __init__(self, container: av.container.InputContainer) -> None:
                self.container = container

            def __getattr__(self, name: str) -> object:
                return getattr(self.container, name)

            def demux(self, *streams: av.stream.Stream) -> Iterator[av.Packet]:
                yield from islice(self.container.demux(*streams), 10)
                raise IndexError("list index out of range")

        monkeypatch.setattr(recording, "open_container", lambda content: Torn(open_container(content)))
        assert verdict(decode_clip, plain) == "corrupt"

    def test_a_rate_that_nobody_records_with_is_refused(self) -> None:
        """Its three seconds would take 24 GB."""
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="matroska") as container:
            video = container.add_stream("mpeg4", rate=10)
            video.width = video.height = 64
            audio = container.add_stream("pcm_s16le", rate=2_000_000_000, layout="mono")
            for value in range(40):
                container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), value, np.uint8))))
            frame = av.AudioFrame.from_ndarray(np.full((1, 200_000), 1000, np.int16), "s16", "mono")
            frame.sample_rate = 2_000_000_000
            container.mux(audio.encode(frame))
        assert verdict(decode_clip, buffer.getvalue()) == "corrupt"

    @DECODERS
    def test_missing_streams(self, clips, plain: Path, decode) -> None:
        assert verdict(decode, clips.remux(plain, "mute.mp4", an=None)) == "no_audio"
        assert verdict(decode, clips.remux(plain, "blind.mp4", vn=None)) == "no_video"

    @DECODERS
    def test_cover_art_is_no_moving_image(self, clips, plain: Path, decode) -> None:
        opened = file_input(plain)
        cover = opened.video.filter("select", "eq(n,0)")
        options = {"c:v": "mjpeg", "frames:v": 1, "disposition:v:0": "attached_pic"}
        assert verdict(decode, clips.join(opened.audio, cover, name="song.m4a", format="mp4", **options)) == "no_video"

    @DECODERS
    def test_too_short(self, clips, decode) -> None:
        path = clips.plain("moment.mp4", seconds=0.4)
        assert verdict(decode, path) == "too_short"
        assert decode(path, DecodeOptions(minimum_seconds=0.2)).moment == pytest.approx(0.2, abs=0.02)

    @DECODERS
    def test_a_playlist_is_not_followed(self, plain: Path, tmp_path: Path, decode) -> None:
        for name, text in (
            ("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{plain}\n#EXT-X-ENDLIST\n"),
            ("list.mp4", f"ffconcat version 1.0\nfile '{plain}'\n"),
        ):
            (tmp_path / name).write_text(text)
            assert verdict(decode, tmp_path / name) == "unreadable"

    @DECODERS
    def test_what_is_no_file(self, tmp_path: Path, decode) -> None:
        assert verdict(decode, tmp_path / "missing.mp4") == "unreadable"
        assert verdict(decode, tmp_path) == "unreadable"

    def test_nothing_stays_open(self, plain: Path) -> None:
        def opened() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        decode_clip(plain)
        before = opened()
        for _ in range(5):
            decode_clip(plain)
        verdict(decode_clip, b"nothing")
        assert opened() == before
