r"""Random map: independent noise on a coarse grid. A floor, no citation: it looks and listens, and learns nothing.

Mathematics. map(x) ~ uniform on [-1, 1], independent over the `grid` x `grid` cells and over pairs; embeddings are
independent directions in `dimension` dimensions, one per image and one per sound. 7 x 7 cells are the maps of the
EZ-VSL family: 1.8 cIoU and 22.1 AUC on VGG-SS (14 x 14: 0.1 and 21.6).

No encoders and nothing to train. The noise is a function of the run's seed (kept with its weights) and of the values of
the image and the sound, so a pair gets the same map in any batch and in any order; another device may round its
input differently and draw another.

Deviations: none.
"""

import zlib

import torch
from pydantic import Field
from torch import Tensor

from training.config import Encoders, Section
from training.methods.contract import BaseMethod, Prediction
from training.similarity import max_response, unit


class Config(Section):
    """Options of the noise."""

    grid: int = Field(7, gt=0, description="cells along each side of the map")
    dimension: int = Field(128, gt=0, description="of the embeddings")


class Method(BaseMethod):
    """Noise that belongs to a pair."""

    config: Config

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.register_buffer("seed", torch.randint(2**31, ()))

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        grid, dimension = self.config.grid, self.config.dimension
        maps = torch.stack([self._noise((grid, grid), pair) for pair in zip(image, audio, strict=True)])
        images, auditory = (
            unit(torch.stack([self._noise((dimension,), (part,)) for part in parts])) for parts in (image, audio)
        )
        return Prediction(maps, max_response(maps), images, auditory)

    def _noise(self, shape: tuple[int, ...], contents: tuple[Tensor, ...]) -> Tensor:
        """Uniform on [-1, 1], seeded by the run's seed and the bytes of what it belongs to."""
        seed = int(self.seed)
        for content in contents:
            seed = zlib.crc32(content.cpu().contiguous().numpy().tobytes(), seed)
        noise = 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1
        return noise.to(contents[0].device)
