r"""SSPL: self-supervised predictive learning without negatives (Song et al., CVPR 2022, arXiv:2203.13412).

Mathematics. F(x) is the feature of an image at cell x, g the vector of its sound. The sound attends, the attended
features are summed (the features as they are, not of unit length), and two views of one image must agree:

    s(x) = cos(F(x), g)     w(x) = (s(x) - min s) / (max s - min s)     f = sum_x w(x) F(x)
    z = projector(f)        p = predictor(z)
    loss = -( cos(p_1, stop(z_2)) + cos(p_2, stop(z_1)) ) / 2                       (SimSiam, arXiv:2011.10566)

With `predictive_coding` (the paper's PCM) F is not the trunk's map but that map revised in `cycles` + 1 sweeps until it
explains the sound (training/encoders/predictive_coding.py).

Encoders: VGG-16 up to conv5_3 before its ReLU (ImageNet) and VGGish (AudioSet), both frozen: `layout: vgg16` and
`layout: vggish` with `frozen: true`. Only an MLP on the sound, the PCM and the SimSiam head learn. VGGish gives one
vector per 0.96 s; vectors before and after the MLP are averaged over these patches. With residual trunks
(`layout: resnet`) the same method runs on any size. Prediction: s of one view.

Deviations and choices where paper and released code differ:
- sound: VGGish wants log-mel bands of 16 kHz sound; from the shards' spectrogram they are derived, without the bands
  above 5512 Hz (training/encoders/vggish.py). The code also stretches each waveform by its own extremes first, which
  a spectrogram cannot undo.
- views: the code draws resize, crop and flip twice; the first view is the loader's, the second one is cut from the
  loader's square by `image_policy`, so that it lies within the first. The sound is the same for both.
- frames of training and of VGG-SS are stored as squares (`data.squash`); test frames of Flickr are cropped as LVS's
  (`evaluation.view: centre_crop`).
- batch norm is synchronised over the code's two processes of 128 clips: `optim.replicas: 1` of 256. Replicas would have
  statistics of their own; without negatives nothing else depends on them.
- learning rates differ by part; `parameter_groups` says how, relative to `optim.learning_rate`. AdamW in the code.
- the code keeps the checkpoint that was best on the test set, and its README warns that late ones are worse; here the
  last epoch is the result.
- the published numbers use a fixed threshold of 0.5 on the min-max map, the field's others the upper half.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from training.config import Encoders, ImagePolicyName, Section
from training.encoders.predictive_coding import PredictiveCoding
from training.encoders.vggish import Vggish
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction
from training.similarity import einsum, max_response, paired_maps, unit

SMALLEST_RANGE = 1e-10


class Config(Section):
    """Options of SSPL; the defaults are the released code's."""

    predictive_coding: bool = Field(True, description="the PCM; false is the paper's SSPL (w/o PCM)")
    image_policy: ImagePolicyName = Field("crop_flip", description="how the second view is made")
    cycles: int = Field(4, ge=0, description="sweeps of the PCM after the first; the paper counts 5")
    audio_hidden: int = Field(512, gt=0, description="of the MLP on the sound")
    projection: int = Field(2048, gt=0, description="of SimSiam's projector")
    bottleneck: int = Field(512, gt=0, description="of SimSiam's predictor")
    head_rate: float = Field(
        2.5, gt=0, description="learning rate of the SimSiam head / of the rest: 5e-5 / 2e-5; w/o PCM 2e-3 / 5e-4"
    )


class Method(BaseMethod):
    """Two views of an image, pooled by the attention of its sound, predict each other."""

    config: Config
    least_clips = 2
    only_for_trunks = frozenset({"image"})
    needs = frozenset({"augmented"})

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        self.augmented_policies = (config.image_policy, "none")
        channels, audio_channels = self.image_trunk.dimension, self.audio_trunk.dimension
        self.audio_mlp = nn.Sequential(
            nn.Linear(audio_channels, config.audio_hidden), nn.ReLU(), nn.Linear(config.audio_hidden, channels)
        )
        if config.predictive_coding:
            self.coding = PredictiveCoding(channels, audio_channels, config.cycles)
        self.projector = _projector(channels, config.projection)
        self.predictor = _predictor(config.projection, config.bottleneck)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Trained parameters with `rate`, a factor on the run's learning rate, and `weight_decay` where it is none."""
        head = [*self.projector.parameters(), *self.predictor.parameters()]
        rates = self.coding.rates() if self.config.predictive_coding else []
        apart = {id(parameter) for parameter in (*head, *rates)}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in apart]
        groups = [{"params": rest, "rate": 1.0}, {"params": head, "rate": self.config.head_rate}]
        return [*groups, {"params": rates, "rate": 1.0, "weight_decay": 0.0}] if rates else groups

    def listened(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, F, T) -> unit vectors of the trunk (B, A), which the PCM explains, and g (B, C)."""
        trunk = self.audio_trunk
        heard = trunk.per_patch(audio) if isinstance(trunk, Vggish) else trunk(audio).unsqueeze(1)
        return unit(heard.mean(dim=1)), unit(self.audio_mlp(heard).mean(dim=1))

    def revised(self, image: Tensor, heard: Tensor) -> Tensor:
        """(B, 3, S, S) and the trunk's sound (B, A) -> F (B, C, h, w), signed, not normalised."""
        features = self.image_trunk(image)
        return self.coding(features, heard) if self.config.predictive_coding else features

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        heard, auditory = self.listened(audio)
        visual = self.revised(image, heard)
        maps = paired_maps(unit(visual), auditory)
        return Prediction(maps, max_response(maps), unit(visual.mean(dim=(2, 3))), auditory)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        heard, auditory = self.listened(batch["audio"])
        views = [self.revised(image, heard) for image in (batch["image"], batch["augmented"]["image"])]
        projected = [self.projector(attended(visual, auditory)) for visual in views]
        predicted = [self.predictor(z) for z in projected]
        forth, back = agreement(predicted[0], projected[1]), agreement(predicted[1], projected[0])
        return {"total": -(forth + back) / 2}


def agreement(predicted: Tensor, projected: Tensor) -> Tensor:
    """Mean cosine of predictions with their targets, which are held still: two of (B, D) -> scalar, float32."""
    return torch.cosine_similarity(predicted.float(), projected.detach().float(), dim=1).mean()


def attended(visual: Tensor, auditory: Tensor) -> Tensor:
    """f: features summed under the min-max normalised cosine map: (B, C, h, w), unit (B, C) -> (B, C)."""
    maps = paired_maps(unit(visual), auditory).float()
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    weights = (maps - low) / (high - low + SMALLEST_RANGE)
    return einsum("nchw,nhw->nc", visual, weights)


def _projector(channels: int, width: int) -> nn.Sequential:
    """Three layers without bias, batch norm after each, the last without scale and shift."""
    return nn.Sequential(
        nn.Linear(channels, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, width, bias=False),
        nn.BatchNorm1d(width, affine=False),
    )


def _predictor(width: int, bottleneck: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, bottleneck, bias=False), nn.BatchNorm1d(bottleneck), nn.ReLU(), nn.Linear(bottleneck, width)
    )
