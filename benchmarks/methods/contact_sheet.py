r"""A contact sheet of one run of a comparison: its best, typical and worst test clips, picked as the report does.

Of each clip the frame with its true boxes, the map under its own sound with the mask that was scored, and the map under
a sound of another class, both in one range of colours. Give the run and the shards, in the comparison's work folder:

    python -m benchmarks.methods.contact_sheet runs/ezvsl_t0.15/*-s0 --test-set synth-vggss-heard \
        --shards shards --out sheet.png

The real bed's material may not be passed on. Without `--shards` frames stay empty, and what is left are maps, boxes and
scores: such a sheet of it lies here.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from manifests.annotations import Box
from training.evaluation.maps import upsample
from training.evaluation.postprocess import AUDIO_VISUAL
from training.overlay.colours import heat_palette
from training.report.gallery import drawn_mask
from training.report.results import Evaluation, read_run
from training.report.saved_maps import Maps
from training.report.selection import Choice, choose
from training.report.sources import Clips

PROTOCOL = "ezvsl"
EMPTY = (70, 70, 70)
COLUMNS, WIDTH, HEIGHT, GAP, LINE = 6, 200, 150, 8, 20
ROWS = ("the frame, what sounds in a box", "its own sound", "a sound of another class")
MARGIN = 170  # for the words at the left
LEVELS = 64
INK, PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Shown:
    """A run's maps of a test set under the clips' own sounds and under foreign ones, and what they scored."""

    scored: Evaluation
    own: Maps
    foreign: dict[str, np.ndarray]

    @classmethod
    def read(cls, run: Path, test_set: str) -> "Shown":
        found = read_run(run)
        scored = next(one for one in found.evaluations if (one.file_set, one.protocol) == (test_set, PROTOCOL))
        own = found.maps(scored)
        assert own is not None, run
        with np.load(run / "evaluation" / f"{test_set}.controls.npz") as arrays:
            foreign = dict(zip(arrays["names"].tolist(), arrays["maps_offscreen"], strict=True))
        return cls(scored, own, foreign)

    def choices(self) -> list[Choice]:
        return choose([self.scored.ious[AUDIO_VISUAL]], self.scored.labels, 3 * COLUMNS)

    def tiles(self, key: str, frame: Image.Image) -> Iterator[tuple[Image.Image, str]]:
        """What is drawn of a clip, from above, and the words below each."""
        own, foreign = self.own.maps[self.own.row_of[key]], self.foreign[key]
        low, high = min(own.min(), foreign.min()), max(own.max(), foreign.max())
        mask = drawn_mask(key, own, self.own, self.scored)
        yield boxed(frame, self.own.boxes[key]), str(self.scored.labels[key]).replace("_", " ")
        yield outlined(heated(frame, own, low, high), mask), f"IoU {self.scored.ious[AUDIO_VISUAL][key]:.2f}"
        yield heated(frame, foreign, low, high), ""


def boxed(frame: Image.Image, boxes: tuple[Box, ...]) -> Image.Image:
    """The frame with its true boxes in white, on black so that they show everywhere."""
    image = frame.copy()
    draw = ImageDraw.Draw(image)
    for x1, y1, x2, y2 in boxes:
        corners = (x1 * WIDTH, y1 * HEIGHT, x2 * WIDTH - 1, y2 * HEIGHT - 1)
        draw.rectangle(corners, None, "black", 4)
        draw.rectangle(corners, None, "white", 2)
    return image


def heated(frame: Image.Image, raw: np.ndarray, low: float, high: float) -> Image.Image:
    """The map over the frame in grey; `low` and `high` are the ends of the colours."""
    scaled = np.clip((upsample(raw[None], "bilinear", False)[0] - low) / max(high - low, 1e-12), 0, 1)
    colours = heat_palette(LEVELS)[np.round(scaled * (LEVELS - 1)).astype(int)]
    heat = Image.fromarray(colours, "RGBA").resize(frame.size, Image.Resampling.BILINEAR)
    grey = frame.convert("L").convert("RGBA")
    return Image.alpha_composite(grey, heat).convert("RGB")


def outlined(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """The image with the border of what was called sounding in white."""
    large = Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)
    inside = np.pad(np.asarray(large), 1, mode="edge")
    same = (inside[1:-1, :-2] == inside[1:-1, 2:]) & (inside[:-2, 1:-1] == inside[2:, 1:-1])
    pixels = np.array(image)
    pixels[~same] = 255
    return Image.fromarray(pixels)


def sheet(shown: Shown, clips: Clips | None) -> Image.Image:
    """All choices below one another; without clips on empty frames."""
    choices, font = shown.choices(), ImageFont.load_default(14)
    band = LINE + len(ROWS) * (HEIGHT + LINE) + GAP
    page = Image.new("RGB", (MARGIN + COLUMNS * (WIDTH + GAP), len(choices) * band), PAPER)
    draw = ImageDraw.Draw(page)
    for at, choice in enumerate(choices):
        top = at * band + LINE
        draw.text((4, top), choice.title, INK, ImageFont.load_default(20))
        for row, words in enumerate(ROWS):
            draw.multiline_text((4, top + row * (HEIGHT + LINE) + HEIGHT // 2), wrapped(words), INK, font)
        for column, key in enumerate(choice.keys[:COLUMNS]):
            for row, (image, words) in enumerate(shown.tiles(key, frame_of(clips, key))):
                left, upper = MARGIN + column * (WIDTH + GAP), top + row * (HEIGHT + LINE)
                page.paste(image, (left, upper))
                draw.text((left, upper + HEIGHT + 2), words, INK, font)
    return page


def frame_of(clips: Clips | None, key: str) -> Image.Image:
    if clips is None:
        return Image.new("RGB", (WIDTH, HEIGHT), EMPTY)
    return Image.fromarray(clips.frame(key)).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def wrapped(words: str) -> str:
    """Two lines of what is longer than the margin."""
    return words.replace(", ", ",\n").replace(" of ", "\nof ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run that `training evaluate --listen` has scored")
    parser.add_argument("--test-set", required=True, help="as its files in evaluation/ begin")
    parser.add_argument("--shards", type=Path, nargs="+", help="for the frames")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    clips = Clips.open(options.shards) if options.shards else None
    sheet(Shown.read(options.run, options.test_set), clips).save(options.out)


if __name__ == "__main__":
    main()
