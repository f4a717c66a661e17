"""What a viewer sees of a video: transparency on white, high dynamic range brought down; the same in both decoders."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from decoded import DECODERS

from pipeline.media.colours import HLG, PQ, samples_needed, seen
from pipeline.media.decode import DecodeOptions
from pipeline.shards.record import Rejected

COLOUR = (200, 40, 90)
LIGHTS = (20.3, 203.0, 1000.0)  # cd/m2: a tenth of white, white, the peak
AS_SRGB = (89, 215, 255)  # 0.1 lies below the knee; 1.0 becomes 0.679; the peak is white
BT2020 = 9
CHROMATICITIES = {  # of red, green and blue by the number of ISO/IEC 23091-2
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def _coded(light: float, transfer: str) -> float:
    """In [0, 1], by the inverse functions of ITU-R BT.2100."""
    if transfer == PQ:
        power = (light / 10000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    scene = (light / 1000) ** (1 / 1.2)
    return (3 * scene) ** 0.5 if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073


def _write(
    path: Path,
    kind: str,
    codec: str,
    image: np.ndarray,
    shown: str,
    pixels: str,
    transfer: int = 2,
    matrix: int = 2,
    primaries: int = 2,
) -> Path:
    """Two seconds of one image with a tone. transfer, matrix, primaries: by number, 2 where nothing is said."""
    with av.open(str(path), "w", format=kind) as out:
        video, audio = out.add_stream(codec, rate=25), out.add_stream("aac", rate=48000, layout="mono")
        video.width, video.height, video.pix_fmt = image.shape[1], image.shape[0], pixels
        if codec == "libx264":
            video.codec_context.options = {"crf": "1", "preset": "ultrafast"}
        if transfer != 2:
            video.codec_context.color_trc, video.codec_context.color_primaries = transfer, BT2020
            video.codec_context.colorspace = BT2020
        video.codec_context.color_primaries = primaries if transfer == 2 else BT2020
        if matrix != 2:
            video.codec_context.colorspace = matrix
        tone = np.sin(np.arange(96000) * 0.05).astype(np.float32)[None]
        sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        sound.sample_rate = 48000
        out.mux(audio.encode(sound))
        space = {} if transfer == 2 else {"src_colorspace": BT2020, "dst_colorspace": BT2020}
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(image, format=shown).reformat(format=pixels, **space)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


@DECODERS
@pytest.mark.parametrize(
    ("kind", "codec", "pixels"),
    [("mov", "qtrle", "argb"), ("mov", "prores_ks", "yuva444p10le"), ("matroska", "ffv1", "bgra")],
)
def test_what_cannot_be_seen_is_white(tmp_path: Path, decode, kind: str, codec: str, pixels: str) -> None:
    image = np.zeros((64, 96, 4), np.uint8)
    image[..., :3], image[:, 32:64, 3], image[:, 64:, 3] = COLOUR, 128, 255
    found = decode(_write(tmp_path / "video", kind, codec, image, "rgba", pixels), DecodeOptions(short_side=0)).frame
    expected = np.array([(255,) * 3, [(each * 128 + 255 * 127) / 255 for each in COLOUR], COLOUR])
    assert np.abs(found[32, [16, 48, 80]] - expected).max() <= 2


@DECODERS
@pytest.mark.parametrize(("number", "transfer"), [(16, PQ), (18, HLG)])
def test_high_dynamic_range_is_brought_down(tmp_path: Path, decode, number: int, transfer: str) -> None:
    image = np.zeros((64, 96, 3), np.uint16)
    for place, light in enumerate(LIGHTS):
        image[:, 32 * place : 32 * place + 32] = round(65535 * _coded(light, transfer))
    path = _write(tmp_path / "video", "matroska", "libx264", image, "rgb48le", "yuv420p10le", number)
    found = decode(path, DecodeOptions(short_side=0)).frame[32, [16, 48, 80]].astype(int)
    assert np.abs(found - np.array(AS_SRGB)[:, None]).max() <= 2


def test_primaries_of_bt2020_become_those_of_bt709() -> None:
    red_of_bt709 = np.array([0.627404, 0.069097, 0.016391]) * LIGHTS[0]  # ITU-R BT.2087
    coded = np.array([[[_coded(light, PQ) for light in red_of_bt709]]])
    assert np.abs(seen(np.round(65535 * coded).astype(np.uint16), PQ)[0, 0] - np.array([AS_SRGB[0], 0, 0])).max() <= 1


def test_forms_that_are_asked_for() -> None:
    asked = [samples_needed(*each) for each in (("yuv420p", None), ("yuva420p", None), ("ya8", None), ("pal8", None))]
    assert asked == ["rgb24", "rgba", "rgba", "rgba"]
    assert samples_needed("yuv420p10le", HLG) == "rgb48le"


@DECODERS
@pytest.mark.parametrize(("number", "name"), [(8, "ycgco"), (10, "bt2020c"), (17, "number 17")])
def test_a_colour_matrix_that_nothing_reads_is_named(tmp_path: Path, decode, number: int, name: str) -> None:
    image = np.full((64, 96, 3), 128, np.uint8)
    path = _write(tmp_path / "video", "matroska", "ffv1", image, "rgb24", "yuv444p", matrix=number)
    with pytest.raises(Rejected, match=f"colour matrix {name}") as rejected:
        decode(path)
    assert rejected.value.reason == "unreadable"


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Of the chromaticities (x, y) of red, green and blue with the white D65."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    return columns * np.linalg.solve(columns, [0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])


def _stored(colour: tuple[int, int, int], number: int) -> list[int]:
    """How a video with primaries of a number stores a colour of an ordinary screen."""
    if number not in CHROMATICITIES:
        return list(colour)
    coded = np.array(colour) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    light = np.linalg.solve(_to_xyz(CHROMATICITIES[number]), _to_xyz(CHROMATICITIES[1]) @ linear)
    return np.round(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).tolist()


@DECODERS
@pytest.mark.parametrize("number", [9, 12, 1, 2], ids=["BT.2020", "Display P3", "BT.709", "not said"])
@pytest.mark.parametrize("colour", [(220, 40, 40), (40, 200, 60), (128, 128, 128)])
def test_wide_primaries_become_those_of_a_screen(tmp_path: Path, decode, number: int, colour: tuple) -> None:
    image = np.full((64, 96, 3), _stored(colour, number), np.uint8)
    path = _write(tmp_path / "video", "matroska", "libx264", image, "rgb24", "yuv444p", primaries=number)
    found = decode(path, DecodeOptions(short_side=0)).frame
    assert np.abs(found[32, 48].astype(int) - colour).max() <= 6  # a step of what is stored is several of dark colours


def test_what_cannot_be_seen_is_white_in_wide_colours_too() -> None:
    clear = np.zeros((1, 1, 4), np.uint8)
    assert seen(clear, "bt2020").tolist() == [[[255, 255, 255]]]
