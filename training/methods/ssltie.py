r"""SSL-TIE: transformation invariance and equivariance (Liu et al., ACM MM 2022, arXiv:2206.12772).

Mathematics. The core is the loss of LVS as released: c_nm(x) the cosine of image n at cell x with sound m,
R(c, w) = sum_x w(x) c(x) / sum_x w(x), p = sigma((c - 0.65) / 0.03), q = 1 - sigma((c - 0.40) / 0.03),

    CE(v, a) = -mean_n log softmax( [ R(c_nm, p_nm) for every sound m, R(c_nn, q_n) ] / 0.07 )_n

Invariance: images and audio arrive strongly augmented (`data.image_policy: moco`, `data.audio_policy: masks`).
Equivariance: one geometric change G per step, and the map A of a changed image should be the changed map:

    loss = ( CE(v, a) + CE(G v, a) ) / 2 + weight * mean( ( A(G v) - G A(v) )^2 )

G rotates each image by whole degrees of its own, and scales by 1 or 0.5 and mirrors the whole batch.

Encoders: two ResNet-18 from scratch, images at stride 16 (14 x 14 maps), sounds ended by a global max pool; no heads.
Prediction: the cosine map c_nn.

Deviations and choices where paper and released code differ:
- scale_applied: `twice` is the released code's, which shrinks the content on its canvas and then the canvas, so
  content ends at a quarter of the size with zeros around it; `once` shrinks the canvas only.
- rotation: 30 degrees is the scripts', 45 the code's default. Pixel centres are turned about the centre of the canvas;
  the code's centre lies half a pixel beside it. An unchanged map is left alone, where the code resamples it.
- zeros around a turned image are zeros after normalisation (the mean colour), as in the code.
- both maps have gradients; `stop_gradient` holds the unchanged image's still (a flag of the code, off).
- the own sound's logit stands once in the softmax; the code repeats it among the negatives, muted by the factor -99.
- views: the code cuts its random crops from the whole frame, here from a random square of the frame's height.
- sound: the code makes mel decibels of 3 s repeated to 10 s in training and 10 real seconds in the test; here what the
  shards hold, by default 3 s of log power, never repeated. `--front-end mel-decibel-16000-512-239-v1` of `pipeline
  ingest` makes the 10 seconds of mel decibels that the released weights need. Masked cells hold silence in both.
- test frames are cropped as LVS's (`evaluation.view: centre_crop`).
- the variant with mixed sounds (audmix) is not part of this file.
- the code keeps the checkpoint that was best on the test set; here the last epoch is the result.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.config import Section
from training.data.augment.geometry import Geometry
from training.methods.contract import Batch
from training.methods.headless import HeadlessMethod, TriMap, tri_map_contrast
from training.similarity import cosine_maps, own_maps, unit


class Config(Section):
    """Options of SSL-TIE; the defaults are those of the released code and its scripts."""

    temperature: float = Field(0.07, gt=0)
    positive_threshold: float = Field(0.65, gt=-1, lt=1, description="above it a cell counts as sounding")
    negative_threshold: float = Field(0.40, gt=-1, lt=1, description="below it a cell counts as background")
    mask_temperature: float = Field(0.03, gt=0)
    equivariance_weight: float = Field(1.0, ge=0)
    rotation: int = Field(30, ge=0, le=180, description="largest angle, degrees")
    scale: float = Field(0.5, gt=0, le=1, description="the other scale beside 1, for every second batch")
    scale_applied: Literal["twice", "once"] = "twice"
    flip: bool = Field(True, description="mirror every second batch")
    stop_gradient: bool = Field(False, description="learn the equivariance from the changed image only")


class Method(HeadlessMethod):
    """LVS under strong augmentation, with maps that follow the image's geometry."""

    config: Config
    only_for_trunks = frozenset({"audio"})

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        image, geometry = batch["image"], self.draw_geometry(len(batch["image"]))
        auditory = self.auditory(batch["audio"])
        maps = cosine_maps(unit(self.visual(image)), auditory)
        changed = cosine_maps(unit(self.visual(geometry.on_images(image))), auditory)
        terms = {"contrast": self._contrast(maps), "contrast_changed": self._contrast(changed)}
        terms["equivariance"] = self._equivariance(geometry, image, own_maps(maps), own_maps(changed))
        invariance = (terms["contrast"] + terms["contrast_changed"]) / 2
        return {"total": invariance + self.config.equivariance_weight * terms["equivariance"], **terms}

    def draw_geometry(self, size: int) -> Geometry:
        """The step's geometric change, from torch's CPU generator."""
        config = self.config
        flip_chance, twice = 0.5 * config.flip, config.scale_applied == "twice"
        return Geometry.draw(size, config.rotation, config.scale, flip_chance=flip_chance, twice=twice)

    def _equivariance(self, geometry: Geometry, image: Tensor, maps: Tensor, changed: Tensor) -> Tensor:
        """Mean squared difference of the changed image's maps and the changed maps: two of (B, h, w) -> scalar."""
        canvas, size = (image.shape[-2], image.shape[-1]), (changed.shape[-2], changed.shape[-1])
        target = geometry.on_maps(maps.float(), canvas, size)
        return F.mse_loss(changed.float(), target.detach() if self.config.stop_gradient else target)

    def _contrast(self, maps: Tensor) -> Tensor:
        """CE: every image's sounding cells against other clips' sounds and its own background: (B, B, h, w)."""
        config = self.config
        thresholds = (config.positive_threshold, config.negative_threshold)
        return tri_map_contrast(maps, TriMap(*thresholds, config.mask_temperature, config.temperature))
