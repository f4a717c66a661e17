"""Image files of every sample format, palette and profile: what is stored is what a viewer shows."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.media.still import read_image, read_pixels, rgba
from pipeline.shards.record import Rejected


class TestImages:
    GREY = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (48, 1))

    @staticmethod
    def _read(image: Image.Image, **options: object) -> np.ndarray:
        buffer = io.BytesIO()
        image.save(buffer, "PNG", **options)
        return read_image(buffer.getvalue(), 0.0, 0).pixels

    def test_deep_grey_keeps_its_greys(self) -> None:
        deep = Image.fromarray(self.GREY.astype(np.uint16) * 257)
        assert np.abs(self._read(deep).astype(int) - self.GREY[..., None]).max() <= 1

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
    def test_every_other_format(self, mode: str) -> None:
        image = Image.fromarray(self.GREY).convert(mode)
        expected = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(self._read(image) - expected).max() <= 1

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_what_cannot_be_seen_is_not_seen(self, mode: str) -> None:
        image = Image.fromarray(self.GREY).convert(mode)
        image.putalpha(Image.fromarray(np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)[None].repeat(48, 0)))
        found = self._read(image)
        assert (found[:, :31] == 255).all()
        assert np.abs(found[:, 33:].astype(int) - self.GREY[:, 33:, None]).max() <= 1

    def test_nothing_is_called_empty(self, tmp_path: Path) -> None:
        (tmp_path / "zero.jpg").touch()
        for content in (b"", tmp_path / "zero.jpg"):
            with pytest.raises(Rejected, match=r"the image is empty \(0 bytes\)") as refused:
                read_image(content, 0.0, 0)
            assert refused.value.reason == "unreadable"

    def test_transparent_colour_of_a_palette(self) -> None:
        image = Image.fromarray((self.GREY > 127).astype(np.uint8), "P")
        image.putpalette([10, 20, 30, 200, 40, 40])
        found = self._read(image, transparency=0)
        assert found[0, 0].tolist() == [255, 255, 255]
        assert found[0, -1].tolist() == [200, 40, 40]

    def test_cmyk(self) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48), (200, 40, 40)).convert("CMYK").save(buffer, "JPEG", quality=95)
        found = read_image(buffer.getvalue(), 0.0, 0).pixels[20, 20].astype(int)
        assert np.abs(found - (200, 40, 40)).max() <= 6

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
    def test_a_profile_says_what_the_colours_are(self, mode: str) -> None:
        image = Image.new("RGB", (64, 48), (200, 40, 90))
        image = image.quantize(4) if mode == "P" else image.convert(mode)
        for profile, expected in (
            (_exchanged_profile(), (90, 40, 200)),
            (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), (200, 40, 90)),
            (b"no profile", (200, 40, 90)),
        ):
            found = self._read(image, icc_profile=profile)[20, 20].astype(int)
            assert np.abs(found - expected).max() <= 8

    def test_a_profile_says_nothing_of_transparency(self) -> None:
        image, seen = Image.new("RGB", (64, 48), (200, 40, 90)), np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
        image.putalpha(Image.fromarray(seen))
        image.save(buffer := io.BytesIO(), "PNG", icc_profile=_exchanged_profile())
        assert (read_pixels(buffer.getvalue(), rgba)[..., 3] == seen).all()

    def test_a_profile_of_another_kind_says_nothing(self) -> None:
        found = self._read(Image.fromarray(self.GREY), icc_profile=_exchanged_profile())
        assert np.abs(found.astype(int) - self.GREY[..., None]).max() <= 1


def _exchanged_profile() -> bytes:
    """That of a screen whose red is blue and whose blue is red."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = (profile.index(tag, 128) for tag in (b"rXYZ", b"bXYZ"))
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
