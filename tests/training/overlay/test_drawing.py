"""What is drawn over frames, on planes of luma and chroma: colours, places, orientation, marks."""

from pathlib import Path

import av
import numpy as np
import pytest
from numbered_clips import ClipFactory
from places import VIDEOS, needed

from manifests.annotations import WHOLE, Box
from pipeline.media.encode import encode_video
from pipeline.media.reader import MediaFile
from training.overlay.canvas import COLOURED_SIDE, Canvas
from training.overlay.colours import heat_palette
from training.overlay.marks import Marks
from training.overlay.panels import Panel, Panels, drawn_still, enlarged
from training.overlay.planes import BT601, BT709, Colours, Stamp, planes_of
from training.overlay.timeline import SILENT, UNSURE, Timeline

NOTHING, ALL = np.zeros((COLOURED_SIDE,) * 2, np.float32), np.ones((COLOURED_SIDE,) * 2, np.float32)
GREY = np.full((96, 128, 3), 100, np.uint8)
NO_BOXES = np.zeros((0, 5))


def over(canvas: Canvas, pixels: np.ndarray, heat: np.ndarray, part: Box = WHOLE) -> av.VideoFrame:
    """Pixels under heat."""
    taken = canvas.take_pixels(pixels)
    return canvas.draw(taken, canvas.layer(heat, part))


def pixels_of(canvas: Canvas, frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24", src_colorspace=canvas.colours.number).astype(int)


@pytest.mark.parametrize("size", [(96, 128), (720, 960)])  # players take other colours for high definition
def test_heat_has_the_colours_of_its_palette(size: tuple[int, int]) -> None:
    canvas = Canvas(0)
    drawn = pixels_of(canvas, over(canvas, np.full((*size, 3), 100, np.uint8), ALL))
    *colour, opacity = heat_palette(256)[-1].astype(float)
    expected = 100 + (np.array(colour) - 100) * opacity / 255
    assert np.abs(drawn[20, 20] - expected).max() <= 5
    assert np.abs(pixels_of(canvas, over(canvas, np.full((*size, 3), 100, np.uint8), NOTHING)) - 100).max() <= 1


def test_colour_numbers_are_those_of_the_standards() -> None:
    corners = np.array([[255, 255, 255, 255], [0, 0, 0, 255], [255, 0, 0, 255]], np.uint8)
    bt601, bt709 = (Colours(name, said=True, changed=False).of(corners) for name in (BT601, BT709))
    assert bt601[:, :3].tolist() == [[235, 128, 128], [16, 128, 128], [81, 90, 240]]
    assert bt709[2, :3].tolist() == [63, 102, 240]


def test_white_that_is_whiter_than_white_stays_white() -> None:
    """Faint heat over the highest luma: no value runs over into black."""
    canvas = Canvas(0)
    frame = canvas.take_pixels(np.full((480, 640, 3), 255, np.uint8))
    planes_of(frame)[0][:] = 255
    heat = 0.1 * np.random.default_rng(0).random((COLOURED_SIDE,) * 2).astype(np.float32)
    assert planes_of(canvas.draw(frame, canvas.layer(heat)))[0].min() > 200


def test_what_a_view_leaves_out_is_dark_and_grey() -> None:
    canvas = Canvas(0)
    red = np.full((96, 128, 3), (200, 40, 40), np.uint8)
    drawn = pixels_of(canvas, over(canvas, red, NOTHING, (0.25, 0.0, 0.75, 1.0)))
    outside, inside = drawn[40, 10], drawn[40, 60]
    assert outside.mean() < 0.5 * inside.mean()
    assert np.ptp(outside) < 8 < np.ptp(inside)


@pytest.mark.parametrize(("degrees", "more"), [(0, {}), (90, {}), (180, {}), (270, {}), (90, {"display_hflip": None})])
def test_frames_stand_as_a_player_shows_them(tmp_path: Path, degrees: int, more: dict) -> None:
    """A phone's way: the display matrix turns the stored image."""
    down, across = np.mgrid[0:96, 0:128]
    ground = np.stack([60 + down, 40 + across, 200 - across], axis=2).astype(np.uint8)
    encode_video(tmp_path / "clip.mp4", np.repeat(ground[None], 2, axis=0), 5, np.zeros(8000, np.float32), 8000)
    clips = ClipFactory(tmp_path)
    turned = clips.turned(tmp_path / "clip.mp4", "turned.mp4", display_rotation=degrees, **more)
    with MediaFile(turned) as media:
        _, frame = next(media.frames())
        canvas = Canvas(0)
        drawn, wanted = canvas.take(media, frame), media.pixels(frame, 0)[0]
    own = pixels_of(canvas, drawn)
    assert own.shape == wanted.shape == ((96, 128, 3) if degrees in (0, 180) else (128, 96, 3))
    assert np.abs(own - wanted).max() < 8


@pytest.mark.parametrize(
    "name", ["edge/rot90_phone_1s.mp4", "edge/rot-90_hevc_datastreams_0.1s.MOV", "good/exo_sample_mpeg4_mp3.avi"]
)
def test_real_frames_stand_as_a_player_shows_them(name: str) -> None:
    with MediaFile(needed(VIDEOS / name)) as media:
        _, frame = next(media.frames(lambda bad: None))
        canvas = Canvas(180)
        drawn, wanted = canvas.take(media, frame), media.pixels(frame, 180)[0]
    tall, wide = (side - side % 2 for side in wanted.shape[:2])
    own = pixels_of(canvas, drawn)
    assert own.shape == (tall, wide, 3)
    assert np.abs(own - wanted[:tall, :wide]).mean() < 6


def test_a_single_image_keeps_its_odd_size() -> None:
    drawn = drawn_still(np.full((61, 83, 3), 90, np.uint8), np.zeros((7, 7)), WHOLE, NO_BOXES, "")
    assert drawn.shape == (61, 83, 3)
    assert np.abs(drawn[:20, :20].astype(int) - 90).max() <= 1


def marked(heat: np.ndarray, boxes: np.ndarray = NO_BOXES, warning: str = "", size: int = 240) -> np.ndarray:
    """What marks change of a grey image, per pixel."""
    canvas = Canvas(0)
    frame = over(canvas, np.full((size, size, 3), 100, np.uint8), NOTHING)
    before = pixels_of(canvas, frame)
    Marks(canvas).draw(frame, heat, WHOLE, boxes, warning)
    return np.abs(pixels_of(canvas, frame) - before).max(axis=2)


def test_a_ring_stands_at_the_highest_place_and_none_where_there_is_none() -> None:
    heat = NOTHING.copy()
    heat[30:34, 60:64] = 1.0  # around 32 of 128 down, 62 across
    changed = marked(heat)[:130, :180]
    rows, columns = np.nonzero(changed > 20)
    assert (rows.mean(), columns.mean()) == pytest.approx((60, 116), abs=3)
    assert not marked(0.1 * heat)[:130, :180].any()


def test_the_bar_stands_in_the_lower_right_corner() -> None:
    changed = marked(NOTHING)
    assert changed[-100:, -60:].max() > 60
    assert not changed[:100].any()
    assert not changed[:, :100].any()


def test_boxes_are_lines_and_the_first_is_the_strongest() -> None:
    changed = marked(NOTHING, np.array([[0.1, 0.2, 0.4, 0.5, 0.9], [0.5, 0.1, 0.7, 0.5, 0.4]]))
    first, second = changed[48:120, 24:96] > 20, changed[24:120, 120:168] > 20
    assert first[30, :8].sum() > second[30, :8].sum() > 0
    assert not first[10:-10, 10:-10].any()


@pytest.mark.parametrize("size", [40, 96, 240, 720])
@pytest.mark.parametrize("warning", [SILENT, UNSURE])
def test_a_warning_fits_into_every_frame(size: int, warning: str) -> None:
    changed = marked(NOTHING, warning=warning, size=size)
    assert changed[: size // 4, : size // 3].max() > 60
    if size >= 96:
        assert not changed[: size // 8, -2:].any()


def test_a_stamp_reaches_over_every_edge() -> None:
    canvas = Canvas(0)
    frame = over(canvas, GREY, NOTHING)
    stamp = Stamp(np.full((9, 9, 4), 255, np.uint8), canvas.colours, 2)
    for place in ((-4, -4), (124, 92), (400, 400), (-40, 3)):
        stamp.put(planes_of(frame), *place)
    drawn = pixels_of(canvas, frame)
    assert drawn[0, 0, 0] > 240
    assert drawn[95, 127, 0] > 240
    assert abs(drawn[50, 60, 0] - 100) <= 1


def timeline(count: int = 3) -> Timeline:
    heat = np.zeros((count, 2, 2), np.float32)
    heat[1, 0, 1] = 4.0
    return Timeline(np.arange(count) * 1.0, heat, np.array([WHOLE] * count), [NO_BOXES] * count, [""] * count)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 4), (5, 100), (100, 5), (7, 64), (8, 8)])
def test_the_smallest_images_are_drawn_over(size: tuple[int, int]) -> None:
    pixels, boxes = np.full((*size, 3), 100, np.uint8), np.array([[0.1, 0.1, 0.9, 0.9, 1.0]])
    for warning in ("", SILENT):
        assert drawn_still(pixels, np.eye(4, dtype=np.float32), WHOLE, boxes, warning).shape == pixels.shape


def test_heat_moves_linearly_between_moments() -> None:
    made = timeline()
    assert made.at(0.5)[0, 1] == pytest.approx(2.0)
    assert made.at(1.0)[0, 1] == 4.0
    assert made.at(99.0).max() == made.at(-1.0).max() == 0.0
    assert made.part(0.2) == WHOLE
    assert [made.before(seconds) for seconds in (-1, 0, 0.99, 1, 7)] == [0, 0, 0, 1, 2]


def test_panels_lie_side_by_side(tmp_path: Path) -> None:
    encode_video(tmp_path / "clip.mp4", np.repeat(GREY[None], 2, axis=0), 5, np.zeros(8000, np.float32), 8000)
    panels = Panels([Panel(None, "as it is"), Panel(timeline(), "run")])
    with MediaFile(tmp_path / "clip.mp4") as media:
        drawn = panels.draw(media, next(media.frames())[1], 1.0).to_ndarray(format="rgb24").astype(int)
    assert drawn.shape == (96, 256, 3)
    assert np.abs(drawn[:60, :128] - 100).max() <= 3
    assert np.ptp(drawn[20, 220]) > 50  # heat in the upper right of the second
    assert np.abs(drawn[20, 140] - 100).max() <= 3


def test_a_map_is_enlarged_cell_by_cell() -> None:
    large = enlarged(np.array([[0.0, 1.0], [0.0, 0.0]]), 64)
    assert large[16, 48] == pytest.approx(1, abs=0.05)
    assert large[48, 16] == 0
    assert large[16, 32] == pytest.approx(0.5, abs=0.05)
