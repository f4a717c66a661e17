r"""SLAVC: a closer look at weakly-supervised audio-visual source localization (Mo and Morgado, NeurIPS 2022).

arXiv:2209.09634; `MoVSL` in the released code.

Mathematics. Two pairs of heads give two cosines, c1 (which sound is it: recognition) and c2 (where is it:
localization). Of image n, sound m and cell x:

    p1(m | n, x) = softmax_m( c1_nm(x) / temperature )      p2(x | n, m) = softmax_x( c2_nm(x) / temperature )
    Q_nm = sum_x p1(m | n, x) p2(x | n, m)                  CE(Q) = -mean_n log( Q_nn / sum_m Q_nm )
    loss = CE(Q of student images, teacher sounds) + CE(Q of teacher images, student sounds)

The teacher is a momentum copy of both trunks and all four heads. The student's image features pass a dropout of
0.9 before both heads (one mask for the two); the teacher's an independent one.

Encoders: ResNet-18 (images: ImageNet weights, stride 32; sounds: from scratch, global max pool), then two 1 x 1
convolutions and two linear layers to `dimension`. Prediction: the map (c1 + c2) / 2. The embeddings are both
streams side by side, so that their cosine is that of the map.

Deviations and choices where paper and released code differ:
- audio_to_image: in the released code the second term, too, is normalised over sounds for a fixed image, nothing is
  ever normalised over images (`audio`, the default). `image` reads the paper's symmetry literally: p1 and the
  final normalisation of the second term run over images for a fixed sound.
- log Q is computed as a log-sum-exp of log p1 + log p2 in float32; the code multiplies probabilities, which underflow.
- the teacher moves after the optimiser step; the code moves it at the start of the next forward pass. Every target
  is the same: the first of those moves copies equal weights, and each later one comes after exactly one step.
- batch norm's running statistics are the teacher's own (parameters alone follow), as in the code; there it stays in
  training mode during training, so does it here.
- momentum: 0.999 is the script's, the argument's default in the code is 0.9.
- evaluate_teacher: false as in the released test script; its training command selects with the teacher.
- map scale: the code divides the map by the temperature and its protocol undoes it; here it is a cosine.
- object prior: alpha is 0.9, where EZ-VSL has 0.4, and the prior's range is taken to be [0, 2.5] (`slavc_*` protocols).
- sound: as EZ-VSL, the files' own rate in windows of 512 samples every 238; here what the shards hold.
- the code's optional supervised branch (boxes of Flickr clips) is left out: as released it gives no gradient.
- negatives are those of one replica. The last epoch is the result, as in the paper.
- confidence: here the maximum; the released protocol takes the mean of the top quarter, the follow-up text the maximum.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.dropout import Dropout
from training.encoders.resnet import initialise
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.losses import info_nce
from training.methods.contract import BaseMethod, Batch, Prediction
from training.similarity import cosine_maps, max_response, paired_maps, unit
from training.teacher import Teacher


class Config(Section):
    """Options of SLAVC; the defaults are those of the released script."""

    temperature: float = Field(0.03, gt=0)
    dimension: int = Field(512, gt=0, description="of each of the two common spaces")
    momentum: float = Field(0.999, ge=0, le=1, description="of the teacher")
    image_dropout: float = Field(0.9, ge=0, lt=1, description="of the image features before the heads")
    audio_dropout: float = Field(0.0, ge=0, lt=1, description="of the sound features before the heads")
    audio_to_image: Literal["audio", "image"] = Field("audio", description="what the second term is normalised over")
    evaluate_teacher: bool = Field(False, description="predict with the teacher instead of the student")


class TwoStreams(nn.Module):
    """Both trunks and the two pairs of heads: what a student and its teacher each have one of."""

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__()
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        self.image_dropout, self.audio_dropout = Dropout(config.image_dropout), Dropout(config.audio_dropout)
        self.image_heads = nn.ModuleList(nn.Conv2d(self.image_trunk.dimension, config.dimension, 1) for _ in range(2))
        self.audio_heads = nn.ModuleList(nn.Linear(self.audio_trunk.dimension, config.dimension) for _ in range(2))
        initialise(self.image_heads)
        initialise(self.audio_heads)

    def forward(self, image: Tensor, audio: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Recognition and localization features: unit [(B, D, h, w)] * 2 and unit [(B, D)] * 2."""
        features, auditory = self.image_dropout(self.image_trunk(image)), self.audio_dropout(self.audio_trunk(audio))
        return [unit(head(features)) for head in self.image_heads], [unit(head(auditory)) for head in self.audio_heads]


def log_agreement(recognition: Tensor, localization: Tensor, over: Literal["audio", "image"]) -> Tensor:
    """log Q of every pair from two logit maps (N, M, h, w) -> (N, M) float32; p1 is normalised over `over`."""
    log_which = torch.log_softmax(recognition.float(), dim=1 if over == "audio" else 0)
    log_where = torch.log_softmax(localization.float().flatten(2), dim=2)
    return torch.logsumexp(log_which.flatten(2) + log_where, dim=2)


class Method(BaseMethod):
    """Recognition and localization streams taught by their own slow copy."""

    config: Config
    least_clips = 2

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.student = TwoStreams(config, encoders)
        self.teacher = Teacher(self.student, config.momentum)

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, auditory = (self.teacher if self.config.evaluate_teacher else self.student)(image, audio)
        maps = torch.stack([paired_maps(v, a) for v, a in zip(visual, auditory, strict=True)]).mean(dim=0)
        image_embedding = unit(torch.cat(visual, dim=1).mean(dim=(2, 3)))
        return Prediction(maps, max_response(maps), image_embedding, unit(torch.cat(auditory, dim=1)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        visual, auditory = self.student(batch["image"], batch["audio"])
        target_visual, target_auditory = self.teacher(batch["image"], batch["audio"])
        image_to_audio = info_nce(self._log_agreement(visual, target_auditory, "audio"))
        log_q = self._log_agreement(target_visual, auditory, self.config.audio_to_image)
        audio_to_image = info_nce(log_q if self.config.audio_to_image == "audio" else log_q.T)
        return {
            "total": image_to_audio + audio_to_image,
            "image_to_audio": image_to_audio,
            "audio_to_image": audio_to_image,
        }

    def after_step(self, step: int) -> None:
        """Let the teacher follow the student: the momentum update of the released forward pass, one line later."""
        self.teacher.follow(self.student)

    def _log_agreement(self, visual: list[Tensor], auditory: list[Tensor], over: Literal["audio", "image"]) -> Tensor:
        recognition, localization = (
            cosine_maps(v, a) / self.config.temperature for v, a in zip(visual, auditory, strict=True)
        )
        return log_agreement(recognition, localization, over)
