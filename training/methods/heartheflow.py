r"""Hear the Flow: optical flow-based self-supervised visual sound source localization (Fedorishin et al., WACV 2023).

arXiv:2211.03019.

Mathematics. What sounds often moves, so cells that move decide what is added to each cell. With V(x) the features of an
image's cells, F(y) those of the optical flow between it and the next image, and 1 x 1 convolutions W_q and W_k to an
eighth of the C channels and W_v to C,

    alpha(x, y) = softmax_y( <W_q V(x), W_k F(y)> / sqrt(C / 8) )      V'(x) = V(x) + sum_y alpha(x, y) W_v V(y)

and c_nm(x) the cosine of V' of image n at cell x with sound m. The loss is what LVS released; R(c, w) = sum w c / sum w
p = sigma((c - 0.65) / 0.03), q = 1 - sigma((c - 0.40) / 0.03),

    loss = -mean_n log softmax( [ R(c_nn, p_nn), R(c_nm, p_nm) for m != n, R(c_nn, q_n) ] / 0.07 )_1

Encoders: ResNet-18 for all three. The image's has ImageNet's weights and is frozen (`encoders.image.frozen`); the
flow's has the same weights but for its first convolution, and is trained; the sound's begins anew. Prediction: c_nn.

What follows from the formula: flow enters as keys only. Two cells that look the same get the same V', whether they move
or not, so no map can tell a moving object from its standing twin. Flow says which appearance is added to all cells.

Deviations and choices where paper and released code differ:
- flow: Farneback's, as in the code (`pipeline annotate --flow`), but as numbers in sides of the view a second. The code
  writes pixels between two frames to 8-bit JPEG, where motion to the left or upward becomes 0 and less than half a
  pixel vanishes. It takes the very next frame of the file; here the next of `pipeline ingest --burst`, by default 1/25
  s later, and the time between the two is divided out.
- a mirrored view mirrors the flow's sideways part as well; the code leaves it.
- `flow: maxpool` is the code's other kind of keys: the largest motion in each cell, without a trunk.
- the frozen trunk's batch norm keeps its statistics; in the code they go on drifting.
- the own sound's logit stands once in the softmax, as if muted by -inf where the code multiplies it by -99: cosines of
  V' have either sign, and a negative one times -99 would be the largest logit of all.
- the code keeps the checkpoint that was best on the test set; here the last epoch is the result. Its loader does not
  shuffle on one GPU; here clips are shuffled.
- sound: 22.05 kHz in windows of 512 samples every 238; here what the shards hold.
- without flow (an image and a sound alone) nothing moves: all keys are those of a still image.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
- published: Flickr's test set had 178 of 250 clips left, VGG-SS 4,670 of 5,158.
"""

from math import sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.flow import build_flow_trunk, enlarged
from training.methods.contract import Batch, Prediction
from training.methods.headless import HeadlessMethod, TriMap, tri_map_contrast
from training.similarity import cosine_maps, einsum, max_response, paired_maps, unit

REDUCTION = 8  # channels of V to one of queries and keys


class Config(Section):
    """Options of Hear the Flow; the defaults are those of the released code."""

    flow: Literal["cnn", "maxpool"] = Field("cnn", description="keys: of a trunk over flow, or its largest values")
    positive_threshold: float = Field(0.65, gt=-1, lt=1, description="above it a cell counts as sounding")
    negative_threshold: float = Field(0.40, gt=-1, lt=1, description="below it a cell counts as background")
    mask_temperature: float = Field(0.03, gt=0, description="softness of the masks")
    temperature: float = Field(0.07, gt=0, description="of the softmax")


class Method(HeadlessMethod):
    """Cells that move decide what is added to each cell."""

    config: Config
    needs = frozenset({"flow"})
    only_for_trunks = frozenset({"audio"})  # flow is brought to the image's size

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        channels = self.image_trunk.dimension
        self.flow_trunk = build_flow_trunk(encoders.image) if config.flow == "cnn" else None
        if self.flow_trunk is None:  # the largest motion of a cell needs no image
            self.only_for_trunks = self.only_for_trunks | {"image"}
        self.query = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.key = nn.Conv2d(2 if self.flow_trunk is None else self.flow_trunk.dimension, channels // REDUCTION, 1)
        self.value = nn.Conv2d(channels, channels, 1)

    def visual(self, image: Tensor) -> Tensor:
        """V' of images that stand still, of which their maps are made: unit features (B, C, h, w), signed."""
        return self.attended(image, _standing_still(image))

    def attended(self, image: Tensor, flow: Tensor) -> Tensor:
        """V' of images (B, 3, S, S) that move so, (B, 2, h, w): unit features (B, C, h', w')."""
        features = self.image_trunk(image)
        keys = self.key(self._moving(flow, image, features)).flatten(2)
        queries = self.query(features).flatten(2)
        agreement = einsum("ncx,ncy->nxy", queries, keys) / sqrt(queries.shape[1])
        added = einsum("nxy,ncy->ncx", agreement.softmax(dim=2), self.value(features).flatten(2))
        return unit(features.float() + added.view_as(features))

    def _moving(self, flow: Tensor, image: Tensor, features: Tensor) -> Tensor:
        """F, one vector for each cell of the features."""
        if self.flow_trunk is None:
            return F.adaptive_max_pool2d(flow, features.shape[-2:])
        return self.flow_trunk(enlarged(flow, image))

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        """Of images that stand still."""
        return self._predicted(image, audio, _standing_still(image))

    def predict(self, batch: Batch) -> Prediction:
        return self._predicted(batch["image"], batch["audio"], batch["flow"])

    def _predicted(self, image: Tensor, audio: Tensor, flow: Tensor) -> Prediction:
        visual, auditory = self.attended(image, flow), self.auditory(audio)
        maps = paired_maps(visual, auditory)
        return Prediction(maps, max_response(maps), unit(visual.mean(dim=(2, 3))), auditory)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        maps = cosine_maps(self.attended(batch["image"], batch["flow"]), self.auditory(batch["audio"]))
        thresholds = (config.positive_threshold, config.negative_threshold)
        return {"total": tri_map_contrast(maps, TriMap(*thresholds, config.mask_temperature, config.temperature))}


def _standing_still(image: Tensor) -> Tensor:
    return torch.zeros_like(image[:, :2, :1, :1])
