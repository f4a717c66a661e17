"""What is heard of channels of every kind: loudspeakers, ambisonics with and without a mark, microphones, one alone."""

import io
from itertools import product

import av
import numpy as np
import pytest

from pipeline.media import layouts
from pipeline.media.layouts import mixed, mixing_weights
from pipeline.media.still import AudioFile

RATE, SECONDS = 48000, 1.5
TIMES = np.arange(round(RATE * SECONDS)) / RATE
PCM, B_FORMAT = bytes.fromhex("0000 0000 1000 8000 00AA 0038 9B71"), bytes.fromhex("0000 2107 D311 8644 C8C1 CA00 0000")


def tone(hertz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * TIMES)).astype(np.float32)


def written(channels: list[np.ndarray], layout: str, kind: str = "wav", codec: str = "pcm_s16le") -> bytes:
    buffer, samples = io.BytesIO(), np.stack(channels).astype(np.float32)
    with av.open(buffer, "w", format=kind) as out:
        stream = out.add_stream(codec, rate=RATE, layout=layout)
        stream.bit_rate = 64_000 * len(channels)
        converted = av.AudioResampler(stream.codec_context.format.name, layout, RATE)
        for begin in range(0, samples.shape[1], 960):
            piece = np.ascontiguousarray(samples[:, begin : begin + 960].T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
            frame.sample_rate, frame.pts = RATE, begin
            for part in converted.resample(frame):
                out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def heard(content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    with AudioFile(content) as media:
        names = media.facts.channels
        return media.audio_between(0.25, RATE, RATE).samples, names


PCM_CODECS = sorted(name for name in av.codecs_available if name.startswith("pcm_"))


def test_every_kind_of_pcm_is_heard_in_every_container_that_takes_it() -> None:
    """Those of 64 bits, too, of which PyAV makes no array."""
    one, wrong, seen = tone(), [], set()
    for codec, kind in product(PCM_CODECS, ("wav", "w64", "matroska", "caf", "mov", "aiff", "au", "nut")):
        try:
            content = written([one, one], "stereo", kind, codec)
        except (av.FFmpegError, ValueError):  # no encoder of it, or none in this container
            continue
        samples, _ = heard(content)
        seen.add((codec, kind))
        if np.abs(samples - one[round(0.25 * RATE) :][: len(samples)])[500:-500].max() > 0.03:
            wrong.append((codec, kind))
    assert not wrong
    assert {("pcm_s64le", "wav"), ("pcm_s64be", "nut"), ("pcm_u8", "matroska"), ("pcm_s24le", "caf")} < seen
    assert len({codec for codec, _ in seen}) > 25


def level(samples: np.ndarray, hertz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) * 4 / len(samples)
    return float(spectrum[round(hertz * len(samples) / RATE)])


LAYOUTS = {
    "mono": 1, "stereo": 2, "2.1": 3, "3.0": 3, "quad": 4, "4.0": 4, "5.0": 5, "5.1": 6, "5.1(side)": 6, "6.1": 7,
    "7.1": 8, "7.1(wide)": 8, "5.1.4": 10, "7.1.4": 12,
}  # fmt: skip
EVERY = [(layout, "wav", "pcm_s16le") for layout in LAYOUTS]
EVERY += [("5.1(side)", "flac", "flac"), ("7.1", "mp4", "aac"), ("7.1", "flac", "flac"), ("5.1", "ac3", "ac3")]


@pytest.mark.parametrize(("layout", "kind", "codec"), EVERY)
def test_every_loudspeaker_is_heard_at_its_weight(layout: str, kind: str, codec: str) -> None:
    pitches = [400.0 + 100 * number for number in range(LAYOUTS[layout])]
    samples, names = heard(written([tone(hertz) for hertz in pitches], layout, kind, codec))
    assert len(names) == len(pitches)
    for hertz, weight in zip(pitches, mixing_weights(names), strict=True):
        assert level(samples, hertz) == pytest.approx(0.3 * weight, abs=0.004)


AROUND = [(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False)]


@pytest.mark.parametrize("scale", [1.0, 2**-0.5], ids=["SN3D", "FuMa"])
@pytest.mark.parametrize(("x", "y"), AROUND)
def test_ambisonic_sound_is_heard_from_every_side(scale: float, x: float, y: float) -> None:
    """Marked: W alone. Without a mark: never less than half of what is loudest, whatever the direction."""
    channels = [scale * tone(), x * tone(), y * tone(), 0 * tone()]
    content = written(channels, "quad")
    assert content.count(PCM) == 1
    marked, names = heard(content.replace(PCM, B_FORMAT))
    assert names == ("AMBI0", "AMBI1", "AMBI2", "AMBI3")
    assert level(marked, 440) == pytest.approx(0.3 * scale, abs=0.004)
    unmarked = mixed(np.stack(channels), ["NONE"] * 4)
    assert level(unmarked, 440) > 0.3 * scale / 2.1


@pytest.mark.parametrize("count", [4, 9, 16])
def test_ambisonic_of_any_order_without_names(count: int) -> None:
    """Seen from behind on the right, where the sum of all channels would nearly be none."""
    random = np.random.default_rng(count)
    gains = [1.0, -0.6, *random.uniform(-0.7, 0.7, count - 2)]
    found = mixed(np.stack([gain * tone() for gain in gains]), ["NONE"] * count)
    assert np.abs(found).max() == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("count", [3, 4, 6, 8, 16])
def test_microphones_without_names_are_averaged(count: int) -> None:
    random = np.random.default_rng(count)
    channels = 0.1 * random.standard_normal((count, RATE)).astype(np.float32) + tone()[:RATE]
    assert np.allclose(mixed(channels, ["NONE"] * count), channels.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize(
    ("gains", "names", "expected"),
    [
        ((1, 0), ("FL", "FR"), 0.5), ((0, 1), ("FL", "FR"), 0.5), ((1, 1), ("FL", "FR"), 1.0),
        ((1, -1), ("FL", "FR"), 1.0),
        ((1, -0.95), ("FL", "FR"), 1.0), ((1, -0.5), ("FL", "FR"), 0.25), ((0, 0, 0, 1, 0, 0), None, 1.0),
        ((0, 0, 1e-4, 1, 0, 0), None, 0.0), ((0, 0, 1, 1, 0, 0), None, 0.29), ((0, 1), ("DL", "DR"), 0.5),
        ((0.5, -0.5, 1.0), ("FL", "FR", "LFE"), 0.5),
    ],
)  # fmt: skip
def test_one_channel_alone_and_channels_that_oppose(gains, names, expected: float) -> None:
    names = names or ("FL", "FR", "FC", "LFE", "SL", "SR")
    found = mixed(np.stack([np.float32(gain) * tone() for gain in gains]), names)
    assert np.abs(found).max() / 0.3 == pytest.approx(expected, abs=0.01)


def test_many_channels_at_a_high_rate_are_compared_on_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = np.stack([gain * tone() for gain in (1.0, 0.9, -0.8, 0.7)])
    whole = mixed(channels, ["NONE"] * 4)
    monkeypatch.setattr(layouts, "_MOST_COMPARED", 4 * channels.size // 7)
    assert np.array_equal(mixed(channels, ["NONE"] * 4), whole)
    assert np.array_equal(whole, channels[0])
