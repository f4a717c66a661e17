"""From the samples of a video's frame to the colours that a viewer sees on an ordinary screen, in both decoders alike.

What is transparent shows white, as in images. High dynamic range (PQ of SMPTE ST 2084, HLG of ARIB STD-B67) is brought
down: left as it is, it looks grey and dark to every model that was trained on ordinary images. Light is counted from
the 203 cd/m2 of ITU-R BT.2408's white, BT.2020's primaries become BT.709's, and what is brighter than white is
compressed by the Moebius curve of ffmpeg's `tonemap`, up to the 1,000 cd/m2 for which most of it is made.
Of ordinary range the primaries of BT.2020 and Display P3 become BT.709's likewise: left as they are, colours look pale.
"""

from collections.abc import Sequence

import av
import numpy as np

RGB, RGB_AND_ALPHA, DEEP_RGB = "rgb24", "rgba", "rgb48le"
PQ, HLG = "smpte2084", "arib-std-b67"  # as ffmpeg spells them
TRANSFERS = {16: PQ, 18: HLG}  # by the number of ISO/IEC 23091-2
MATRICES = {  # likewise
    1: "bt709", 2: "unspecified", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip
BT709 = 1
PRIMARIES = {9: "bt2020", 12: "smpte432"}
PEAK = 1000 / 203  # of the brightest light that is told apart, in units of white
KNEE = 0.3  # light up to here is left as it is
_TO_BT709 = np.array(  # linear light of BT.2020 to BT.709, ITU-R BT.2087
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
_P3_TO_BT709 = np.array(  # of SMPTE EG 432-1 (Display P3), from the chromaticities of both with their common white D65
    [[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]], np.float32
)
_WIDE = {"bt2020": _TO_BT709, "smpte432": _P3_TO_BT709}
_BT709_PRIMARIES, _D65 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)), (0.3127, 0.3290)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020


def light_of(transfer: str | None, primaries: str | None) -> str | None:
    """What of its light is not as on an ordinary screen: the transfer of high dynamic range, or else wide primaries;
    all as ffmpeg spells them. None for ordinary light."""
    if transfer in (PQ, HLG):
        return transfer
    return primaries if primaries in _WIDE else None


def light_in(frame: av.VideoFrame) -> str | None:
    """The same of a frame."""
    return light_of(TRANSFERS.get(int(frame.color_trc)), PRIMARIES.get(int(frame.color_primaries)))


def is_shown_as_stored(frame: av.VideoFrame) -> bool:
    """Whether its samples as RGB are what a viewer sees."""
    return light_in(frame) is None and samples_needed(frame.format.name, None) == RGB


def samples_needed(form: str, light: str | None) -> str:
    """In which form to ask for a frame's samples. form: its pixel format as ffmpeg spells it; light: see `light_of`."""
    if light in (PQ, HLG):
        return DEEP_RGB
    has_alpha = form == "pal8" or any(component.is_alpha for component in av.VideoFormat(form).components)
    return RGB_AND_ALPHA if has_alpha else RGB


def seen(samples: np.ndarray, light: str | None) -> np.ndarray:
    """uint8 (H, W, 3) of samples in the form that `samples_needed` names: uint8 (H, W, 3 or 4) or uint16 (H, W, 3)."""
    if samples.dtype == np.uint16:
        return _tone_mapped(samples, light)
    if light in _WIDE:
        samples = np.concatenate([in_bt709(samples[..., :3], _WIDE[light]), samples[..., 3:]], axis=2)
    if samples.shape[2] == 4:
        opacity = samples[..., 3:].astype(np.uint16)
        return ((samples[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return samples


def _tone_mapped(samples: np.ndarray, transfer: str | None) -> np.ndarray:
    coded = samples.astype(np.float32) / np.float32(65535)
    light = _light_of_pq(coded) if transfer == PQ else _light_of_hlg(coded)
    light = np.maximum(np.einsum("ij,hwj->hwi", _TO_BT709, light), 0.0)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    shown = np.minimum(light * (_compressed(brightest) / brightest), 1.0)
    return np.round(255 * _srgb(shown)).astype(np.uint8)


def to_bt709(primaries: Sequence[tuple[float, float]], white: tuple[float, float]) -> np.ndarray:
    """float32 (3, 3): linear light of these primaries to those of BT.709, from the chromaticities (x, y) of red, green
    and blue, and of their white, which becomes D65 (Bradford). Raises LinAlgError or ZeroDivisionError for none."""
    whites = [_xyz(white), _xyz(_D65)]
    before, after = (_BRADFORD @ each for each in whites)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(after / before) @ _BRADFORD
    own, screen = _to_xyz(primaries, whites[0]), _to_xyz(_BT709_PRIMARIES, whites[1])
    return (np.linalg.inv(screen) @ adapted @ own).astype(np.float32)


def _to_xyz(primaries: Sequence[tuple[float, float]], white: np.ndarray) -> np.ndarray:
    columns = np.stack([_xyz(each) for each in primaries], axis=1)
    return columns * np.linalg.solve(columns, white)


def _xyz(place: tuple[float, float]) -> np.ndarray:
    x, y = place
    return np.array([x / y, 1.0, (1 - x - y) / y])


def in_bt709(samples: np.ndarray, to_bt709: np.ndarray) -> np.ndarray:
    """Colours of other primaries, uint8 (H, W, 3), on an ordinary screen; those beyond it are its nearest."""
    coded = np.arange(256, dtype=np.float32) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)
    light = np.einsum("ij,hwj->hwi", to_bt709, linear[samples])
    return np.round(255 * _srgb(np.clip(light, 0.0, 1.0))).astype(np.uint8)


def _light_of_pq(coded: np.ndarray) -> np.ndarray:
    """Linear light in units of white, of SMPTE ST 2084."""
    root = coded ** np.float32(1 / 78.84375)
    ratio = np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
    return ratio ** np.float32(1 / 0.1593017578125) * np.float32(10000 / 203)


def _light_of_hlg(coded: np.ndarray) -> np.ndarray:
    """Linear light in units of white on a screen of 1,000 cd/m2, of ITU-R BT.2100: the scene's, to the power of 1.2."""
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    luminance = np.einsum("j,hwj->hw", _LUMINANCE, scene)[..., None]
    return scene * np.maximum(luminance, 1e-6) ** np.float32(0.2) * np.float32(PEAK)


def _compressed(light: np.ndarray) -> np.ndarray:
    """libavfilter's vf_tonemap.c, `mobius`: equal up to KNEE, 1 at PEAK."""
    a = -(KNEE**2) * (PEAK - 1) / (KNEE**2 - 2 * KNEE + PEAK)
    b = (KNEE**2 - 2 * KNEE * PEAK + PEAK) / (PEAK - 1)
    scale = (b**2 + 2 * b * KNEE + KNEE**2) / (b - a)
    return np.where(light <= KNEE, light, scale * (light + a) / (light + b))


def _srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-6) ** (1 / 2.4) - 0.055)
