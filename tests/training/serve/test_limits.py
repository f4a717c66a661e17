"""What the page refuses, and in which words: by content, never by name, and without telling where files lie."""

from pathlib import Path

import av
import pytest
from PIL import Image

from pipeline.media.front_ends import find_front_end
from training.serve.limits import Limits, Refused, refusing

from .conftest import make_sound

USUAL = Limits(seconds=5)


def check_audio(path: Path) -> None:
    USUAL.check_audio(path, find_front_end())


def refusal(check, path: Path) -> str:
    with pytest.raises(Refused) as caught:
        check(path)
    said = str(caught.value)
    assert said.startswith(path.name)
    assert str(path.parent) not in said
    assert said.endswith(".")
    return said


def test_what_is_fine_is_taken(media: Path) -> None:
    USUAL.check_video(media / "clip.mp4")
    USUAL.check_image(media / "image.png")
    check_audio(media / "sound.wav")
    check_audio(media / "clip.mp4")  # a video's sound is one, too


def test_refusals_of_videos(media: Path, tmp_path: Path) -> None:
    assert "no video, or it is damaged" in refusal(USUAL.check_video, media / "note.mp4")
    assert "no sound" in refusal(USUAL.check_video, media / "mute.mp4")
    assert "no moving image" in refusal(USUAL.check_video, media / "sound.wav")
    assert "9 s long; at most 5 s" in refusal(USUAL.check_video, media / "long.mp4")
    large = tmp_path / "large.mp4"
    with open(large, "wb") as file:
        file.truncate(2 << 20)
    assert "2 MB; at most 1 MB" in refusal(Limits(megabytes=1).check_video, large)
    (tmp_path / "empty.mp4").touch()
    refusal(USUAL.check_video, tmp_path / "empty.mp4")


def test_refusals_of_images_and_sounds(media: Path, tmp_path: Path) -> None:
    assert "is no JPEG, PNG, WEBP or BMP image" in refusal(USUAL.check_image, media / "sound.wav")
    assert "no sound" in refusal(check_audio, media / "image.png")
    assert "no sound, or it is damaged" in refusal(check_audio, media / "note.mp4")
    Image.new("1", (9000, 8)).save(tmp_path / "wide.png")
    assert "too large" in refusal(USUAL.check_image, tmp_path / "wide.png")
    (tmp_path / "cut.wav").write_bytes(make_sound(tmp_path / "whole.wav", 10).read_bytes()[:90_000])
    assert "10.00 s that the file announces" in refusal(check_audio, tmp_path / "cut.wav")
    assert "at least 0.1 s" in refusal(check_audio, make_sound(tmp_path / "click.wav", 0.05))


def test_more_frames_than_a_camera_takes_are_refused(media: Path, tmp_path: Path) -> None:
    """Four seconds of 480 frames each, in a few kilobytes: their drawing would take minutes."""
    path = tmp_path / "rapid.mkv"
    with av.open(str(media / "clip.mp4")) as source, av.open(str(path), "w") as result:
        audio = result.add_stream_from_template(source.streams.audio[0])
        image = result.add_stream("libx264", rate=480, options={"preset": "ultrafast"})
        image.width, image.height, image.pix_fmt = 16, 16, "yuv420p"
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = audio
                result.mux(packet)
        for number in range(4 * 480):
            frame = av.VideoFrame(16, 16, "yuv420p")
            frame.pts = number
            result.mux(image.encode(frame))
        result.mux(image.encode(None))
    assert "more than 660 frames" in refusal(USUAL.check_video, path)


def test_sentences_of_commands_do_not_tell_where_files_lie(tmp_path: Path) -> None:
    from manifests.errors import InputError

    with pytest.raises(Refused, match=r"^clip.mp4 cannot be localized$"), refusing(tmp_path / "clip.mp4", "video"):
        raise InputError(f"{tmp_path / 'clip.mp4'} cannot be localized")
