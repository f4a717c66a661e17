"""One geometric change for images and for maps: rotate, shrink, mirror (SSL-TIE's equivariance).

A map of a changed image should be the changed map; for that both must go through the very same operator.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Geometry:
    """Rotation per image (degrees, counter-clockwise), and one scale and one mirroring for the whole batch.

    On a canvas of the image's size the content is rotated about the centre and shrunk by `warp_scale`, with zeros
    around it; then the canvas is resized by `canvas_scale` and mirrored. SSL-TIE's code shrinks by both, so content
    at scale 0.5 ends at a quarter of the canvas it began with.
    """

    angles: Tensor  # (B,)
    warp_scale: float
    canvas_scale: float
    mirrored: bool

    @classmethod
    def draw(
        cls, size: int, degrees: int, scale: float = 0.5, scale_chance: float = 0.5, flip_chance: float = 0.5,
        twice: bool = True,
    ) -> "Geometry":  # fmt: skip
        """Whole angles in [-degrees, degrees]; the scale is 1 or `scale`, applied to warp and canvas or canvas only."""
        angles = torch.randint(-degrees, degrees + 1, (size,)).float()
        drawn = scale if float(torch.rand(())) < scale_chance else 1.0
        mirrored = float(torch.rand(())) < flip_chance
        return cls(angles, drawn if twice else 1.0, drawn, mirrored)

    def on_images(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, floor(H * canvas_scale), floor(W * canvas_scale)), at least one pixel each way."""
        height, width = image.shape[-2:]
        size = max(1, math.floor(height * self.canvas_scale)), max(1, math.floor(width * self.canvas_scale))
        return self._changed(image, (height, width), size)

    def on_maps(self, maps: Tensor, canvas: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """(B, h, w) -> (B, *size): stretched to the image's canvas, changed as the image was, brought to `size`."""
        return self._changed(maps.unsqueeze(1), canvas, size).squeeze(1)

    def _changed(self, content: Tensor, canvas: tuple[int, int], size: tuple[int, int]) -> Tensor:
        if self.warp_scale != 1.0 or self.angles.any():
            content = self._warped(_resized(content, canvas))
        content = _resized(content, size)
        return content.flip(-1) if self.mirrored else content

    def _warped(self, content: Tensor) -> Tensor:
        """Rotate and shrink about the centre: bilinear, zeros from outside."""
        aspect = content.shape[-1] / content.shape[-2]
        turn = torch.deg2rad(self.angles)
        cosine, sine, nothing = turn.cos(), turn.sin(), torch.zeros_like(turn)
        rows = [torch.stack([cosine, -sine / aspect, nothing], 1), torch.stack([sine * aspect, cosine, nothing], 1)]
        source_of = (torch.stack(rows, dim=1) / self.warp_scale).to(content.device, content.dtype)
        with torch.autocast(content.device.type, enabled=False):  # a grid in bfloat16 would be a pixel off
            grid = F.affine_grid(source_of, list(content.shape), align_corners=False)
            return F.grid_sample(content, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _resized(content: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, pixel centres half a pixel in; content that already has the size is left alone."""
    if content.shape[-2:] == torch.Size(size):
        return content
    return F.interpolate(content, size=size, mode="bilinear", align_corners=False)
