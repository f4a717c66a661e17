r"""PixelPlayer: the sound of pixels (Zhao et al., ECCV 2018, arXiv:1804.03160).

Mathematics. Sounds of two clips are mixed, and each clip's image has to say which part of the mixture is its own. With
waveforms x_1, x_2 and gains g of 0.5 to 1.5,

    x = (g_1 x_1 + g_2 x_2) / 2        X, X_n: magnitudes of its transform and of g_n x_n / 2, on a log frequency axis
    s_k(f, t): K components that a U-Net makes of log X        i_k = sigma( max_p (W V(p))_k ) of an image's cells V(p)
    M_n(f, t) = sigma( sum_k w_k i_nk s_k(f, t) + b )          G_n = [ X_n > X / 2 ]
    loss = mean_n mean_{f,t} min(max(ln(1 + X), 0.001), 10) BCE( M_n, G_n )

Without the maximum each cell has a mask of its own, M_p, and a sound of its own. Prediction: the share of the sound's
energy that a cell's mask lets pass,

    map(p) = sum_{f,t} M_p(f, t)^2 E(f, t) / sum_{f,t} E(f, t)        E: energies of the clip's own, unmixed sound

in [0, 1]; a silent clip has a map of 0. Confidence: the largest share. `training separate` writes the sounds. Of a
mixture an image's sources are groups of its cells by i(p), and a source's map is that of its cells (`source_maps`).

What follows from it: a mixture asks an image as a whole, by its strongest cells. Nothing is learned of cells without a
source, whose masks may let everything pass, and the highest cell of a map is mostly one of these. Measured on made
clips of one sounding and one silent object, each 19 % of the image, by how much of the clip's own sound cells let pass:

                            steps   sounding object   silent object   elsewhere   highest cell on either
    a cell sees all           800              0.26            0.24        0.26                 9 %, 4 %
    a cell sees half          300              0.32            0.23        0.42                20 %, 2 %
                              400              0.30            0.23        0.30                18 %, 3 %

So cells do tell the classes apart, and the silent object is hardly ever chosen, while what is elsewhere is left to
chance: the loss fell by a third (0.21 to 0.14 in 800 steps, and rose again for wrong images) with the highest cell on
the sounding object no more often than its area gives. Taking off what a cell lets pass of white noise helped at times
(35 %) and not at others (7 %), so the map stays what the figures show. Training begins with a plateau of 120 steps, on
which gates and parts are too small to tell anything.

Deviations and choices where paper and released code differ:
- the paper compares no map with boxes, and neither does the code: the map is this project's, read from its figures.
- sources of a mixture are this project's as well: the paper groups cells to colour them. k-means of i(p), in as many
  groups as sounds were mixed; there is none more for what is elsewhere, since its masks may let everything pass and
  nothing tells which group it would be. Groups are ranked by their largest cell and not matched with sounds: the first
  ones of two images under one sound share no more than their rank, and all that are there count the same.
- K is 16 in the paper and 32 in the released script (the default).
- images: 3 frames of a clip, 3 s apart, whose components are max-pooled together. `images: 3` does so in the loss, in
  what is taken out of a mixture and in the embeddings (`pipeline ingest --burst 3 --burst-rate 0.333333 --audio
  context`; `rate`, by default 1/3 a second); the map is that of the clip's own image, the middle one. `images: 1`
  (default) has that one alone. With an image and a sound alone it stands still.
- image network: ResNet-18 whose last stage keeps stride 16 and is dilated by 2; here the run's trunk, `last_stride: 1`
  without dilation. A 3 x 3 convolution to K above it, as there.
- sound: 11025 Hz as there, but the 3 s around the moment instead of 6 s (`pipeline ingest --audio context`), that is
  128 times of 256 rows; `levels: 7` halves these to one.
- the partner is another clip of the batch, of another video; each clip is once the first and on average once the
  second. Both masks of a mixture are learned.
- energies are those of linear frequencies, collected into the rows whose mask they would take.
- optimiser: SGD with momentum, the trunk at the run's rate and all else at `head_rate` times it (1e-4 and 1e-3), a
  tenth of it after 40 and 80 of 100 epochs, as released. An epoch of the code passes over a hundred copies of each
  video, each at a moment of its own; here over the clips that were stored, once.
- without a waveform (an image and a spectrogram alone) the stored spectrogram stands in for the magnitudes: brought to
  the same size and axis, and each to mean 0 and deviation 1, since its scale is not known.
- embeddings: the components i of an image, and those of a sound, weighed by energy. Nobody meant them for retrieval.
"""

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.unet import UNet, initialise_separation
from training.encoders.weights import build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction, SourceMaps
from training.parts.clustering import kmeans
from training.parts.pair_losses import draw_mismatches
from training.parts.separation import (
    ROWS,
    bin_weights,
    louder_than_half,
    mask_loss,
    sound_of,
    spectrum,
    unwarped,
    warped,
    warped_energy,
)
from training.parts.several_images import images_of, middle_of, of_each, refuse_without_middle
from training.similarity import einsum, in_float32, max_response, unit

FLOOR, SMALLEST = 1e-10, 1e-12
GAINS = 0.5, 1.5
ROWS_AT_ONCE = 32
GROUPING_SEED = 0
NO_CELL = -1.0  # below every share


class Config(Section):
    """Options of PixelPlayer; the defaults are those of the released code."""

    components: int = Field(32, gt=0, description="K, parts that sounds are made of")
    width: int = Field(64, gt=0, description="channels of the U-Net's first level; at most 8 times that in others")
    levels: int = Field(7, gt=1, le=7, description="how often the U-Net halves a sound of 256 rows and 128 times")
    head_rate: float = Field(10.0, gt=0, description="learning rate of what is not the image trunk / of it")
    images: int = Field(1, ge=1, description="N, images of the clip, an odd number, pooled together for gates")
    rate: float = Field(1 / 3, gt=0, description="of these, so many a second")

    @model_validator(mode="after")
    def _one_is_the_middle(self) -> "Config":
        refuse_without_middle("images", self.images)
        return self


class Method(BaseMethod):
    """An image says which part of a mixture is its own, and its cells which part is theirs."""

    config: Config
    least_clips = 2
    needs = frozenset({"waveform"})
    only_for_trunks = frozenset({"image"})

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.image_components = nn.Conv2d(self.image_trunk.dimension, config.components, 3, padding=1)
        initialise_separation(self.image_components)
        self.sound_components = UNet(config.components, config.width, config.levels)
        self.strength = nn.Parameter(torch.ones(config.components))
        self.offset = nn.Parameter(torch.zeros(()))
        if config.images > 1:
            self.needs, self.only_for_trunks = self.needs | {"burst"}, frozenset()
            self.burst = (config.images, config.rate)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The image trunk comes with weights and moves slower."""
        return self.others_at(self.config.head_rate, self.image_trunk)

    def cells(self, image: Tensor) -> Tensor:
        """W V: (B, 3, S, S) -> (B, K, h, w), before the logistic function."""
        return self.image_components(self.image_trunk(image)).float()

    def gates(self, cells: Tensor) -> Tensor:
        """i of the cells of several images (B, N, K, h, w): (B, K)."""
        return torch.sigmoid(max_response(cells).amax(dim=1))

    def parts(self, magnitudes: Tensor) -> Tensor:
        """s_k of mixtures on the log axis (B, R, T): (B, K, R, T), float32."""
        return self.sound_components(torch.log(magnitudes + FLOOR).unsqueeze(1)).float()

    def mask_logits(self, gates: Tensor, parts: Tensor) -> Tensor:
        """Of images' gates i (B, K) and parts (B, K, R, T): (B, R, T)."""
        return einsum("bk,bkrt->brt", gates * self.strength, parts) + self.offset

    def heard(self, waveform: Tensor) -> Tensor:
        """X of waveforms (B, N) on linear frequencies, as many times as the U-Net can halve: (B, F, T)."""
        return self.cut(spectrum(waveform).abs())

    def cut(self, spectra: Tensor) -> Tensor:
        """(B, F, T) -> the first times, a multiple of what the U-Net needs."""
        step = 2**self.config.levels
        return spectra[..., : spectra.shape[-1] // step * step]

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        """Of a spectrogram whose scale is not known: see the page."""
        step = 2**self.config.levels
        times = max(step, audio.shape[-1] // step * step)
        standing = F.interpolate(audio.float(), size=(2 * ROWS, times), mode="bilinear", align_corners=False).squeeze(1)
        rows = warped(standing)
        deviation, mean = torch.std_mean(rows, dim=(1, 2), keepdim=True)
        magnitudes = torch.exp((rows - mean) / (deviation + SMALLEST))
        return self._predicted(self.cells(image).unsqueeze(1), magnitudes, magnitudes.square())

    def predict(self, batch: Batch) -> Prediction:
        return self._shown(self._seen(batch), batch["waveform"])

    def source_maps(self, batch: Batch, sources: int) -> SourceMaps:
        """The map in `sources` parts, one for each group of cells with like gates; that with the largest cell first."""
        cells = self._seen(batch)
        maps = self._shown(cells, batch["waveform"]).map
        own = grouped(torch.sigmoid(middle_of(cells)), sources)
        largest = maps.unsqueeze(1).masked_fill(~own, NO_CELL).amax(dim=(2, 3))
        largest, order = largest.sort(dim=1, descending=True, stable=True)
        own = own.gather(1, order[..., None, None].expand_as(own))
        return SourceMaps(maps.unsqueeze(1) * own, (largest > NO_CELL).float())

    def _seen(self, batch: Batch) -> Tensor:
        """W V of each of a clip's images: (B, N, K, h, w)."""
        return of_each(self.cells, images_of(batch, self.config.images))

    def _shown(self, cells: Tensor, waveform: Tensor) -> Prediction:
        magnitudes = self.heard(waveform)
        return self._predicted(cells, warped(magnitudes), warped_energy(magnitudes))

    def separated(self, image: Tensor, waveform: Tensor) -> Tensor:
        """What of mixtures (B, T) belongs to images (B, 3, S, S), or to several together, (B, N, 3, S, S).

        (B, T), silent behind the last time that is heard.
        """
        spectra = self.cut(spectrum(waveform))
        gates = self.gates(of_each(self.cells, image.unsqueeze(1) if image.ndim == 4 else image))
        masks = torch.sigmoid(self.mask_logits(gates, self.parts(warped(spectra.abs()))))
        return sound_of(spectra * unwarped(masks), waveform.shape[1])

    def _predicted(self, cells: Tensor, magnitudes: Tensor, energies: Tensor) -> Prediction:
        """Of the cells of several images (B, N, K, h, w)."""
        parts = self.parts(magnitudes)
        shares = energies / energies.sum(dim=(1, 2), keepdim=True).clamp(min=SMALLEST)
        maps = self._passed(torch.sigmoid(middle_of(cells)), parts, shares)
        loud = einsum("brt,bkrt->bk", shares, torch.sigmoid(parts))
        return Prediction(maps, max_response(maps), unit(self.gates(cells)), unit(loud + SMALLEST))

    def _passed(self, gates: Tensor, parts: Tensor, shares: Tensor) -> Tensor:
        """map of cells' gates (B, K, h, w), parts (B, K, R, T) and shares of energy (B, R, T): (B, h, w).

        Some rows at a time: the masks of all cells over all rows are 25 MB a clip.
        """
        weighed = (gates * self.strength.view(-1, 1, 1)).flatten(2).transpose(1, 2)
        passed = torch.zeros_like(weighed[..., 0])
        with in_float32(parts):
            for some, energy in zip(parts.split(ROWS_AT_ONCE, 2), shares.split(ROWS_AT_ONCE, 1), strict=True):
                masks = torch.sigmoid(weighed @ some.flatten(2) + self.offset)
                passed = passed + (masks.square() @ energy.flatten(1).unsqueeze(2)).squeeze(2)
        return passed.unflatten(1, gates.shape[2:])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        gates = self.gates(self._seen(batch))
        drawn = draw_mismatches(batch["source"], "one")
        partner, paired = drawn.int().argmax(dim=1), drawn.any(dim=1)
        own, other = self._with_gains(batch["waveform"], partner)
        mixture, first, second = (warped(self.heard(each)) for each in (own + other, own, other))
        parts, weights = self.parts(mixture), bin_weights(mixture)
        costs = [
            mask_loss(self.mask_logits(seen, parts), louder_than_half(alone, mixture), weights)
            for seen, alone in ((gates, first), (gates[partner], second))
        ]
        return {"total": (torch.stack(costs).mean(dim=0) * paired).sum() / paired.sum().clamp(min=1)}

    def _with_gains(self, waveform: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
        """g_1 x_1 / 2 and g_2 x_2 / 2, (B, N) each; a gain that would clip does."""
        low, high = GAINS
        gains = (low + (high - low) * torch.rand(2, len(waveform), 1)).to(waveform.device)
        return (gains[0] * waveform).clamp(-1, 1) / 2, (gains[1] * waveform[partner]).clamp(-1, 1) / 2


def grouped(gates: Tensor, groups: int) -> Tensor:
    """Which cells of an image have like gates, of itself alone and always the same: (B, K, h, w) -> bool (B, N, h, w).

    A group may be empty where fewer cells differ.
    """
    every = gates.flatten(2).transpose(1, 2).cpu()
    most = min(groups, every.shape[1])
    labels = torch.stack([kmeans(cells, most, GROUPING_SEED) for cells in every]).to(gates.device)
    return F.one_hot(labels, groups).bool().transpose(1, 2).unflatten(2, gates.shape[2:])
