r"""EZ-VSL: localizing visual sounds the easy way (Mo and Morgado, ECCV 2022, arXiv:2203.09324).

Mathematics. With unit visual features V_n(x) of image n at cell x, unit audio vector a_m, and their cosine
c_nm(x) = <V_n(x), a_m>, an image is a bag of cells of which at least one agrees with the sound:

    z_nm = max_x c_nm(x) / temperature
    loss = -mean_n log softmax_m(z)_nn  -  mean_m log softmax_n(z)_mm

Encoders: ResNet-18 (images: ImageNet weights, stride 32; sounds: from scratch, global max pool), then a 1 x 1
convolution and a linear layer to `dimension`. Prediction: the cosine map c_nn. Object-guided localization, the
other half of the paper, needs no training and serves every method: `training/object_prior.py`.

`positives` adds conceptual positives: a nearest neighbour's image and/or sound (from `index build-knn`) takes the
place of the clip's own in a further term of the same loss; the total is the mean over the terms. This is the
semantic extension in the spirit of Senocak et al. (ICASSP 2022; ICCV 2023), with EZ-VSL's response and loss.

Deviations and choices where paper and released code differ:
- temperature: 0.03 is the code's; the paper prints none. Map output here is the cosine, the code's is cosine /
  temperature: every released rule (top half, fixed range) is unchanged by that scale.
- matching: `max` is both paper's and code's. The paper's ablation prose calls its first alternative the similarity to
  the average-pooled image, its table header the average of the similarity map; `mean` is the latter. `pooled` takes
  the maximum over cells of each channel of the unit features and scales it to unit length again (code not released).
- exclude: every other clip is a negative, as in paper and code; with `positives` a clip near enough to be one may be
  taken out of the negatives.
- sound: 11025 Hz in windows of 50 ms every 25 ms in the paper, whatever rate the files have in windows of 512 samples
  every 238 in the code; here what the shards hold. No augmentation of sounds in either.
- object prior: alpha is 0.4 in all tables; 0.5 was better on VGG-SS. The class posterior is not in the code.
- the released code reports the checkpoint that was best on the test set; here the last epoch is the result.
- negatives are those of one replica (`optim.replicas`), as in the code: 128 clips over 2 GPUs give 63.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from training.config import Encoders, Section
from training.losses import symmetric_info_nce
from training.methods.contract import Batch, Exclusion, excluded
from training.methods.projected import ProjectedMethod
from training.similarity import cosine_maps, max_response, mean_response, pooled_response


class Config(Section):
    """Options of EZ-VSL; the defaults are the paper's, the temperature the code's."""

    temperature: float = Field(0.03, gt=0)
    dimension: int = Field(512, gt=0, description="of the common space")
    matching: Literal["max", "mean", "pooled"] = "max"
    positives: tuple[Literal["own", "image", "audio", "both"], ...] = Field(
        ("own",), min_length=1, description="own pair; neighbour's image; neighbour's sound; both neighbours'"
    )
    exclude: tuple[Exclusion, ...] = Field(
        (), description="no negatives: clips near in appearance, near in sound, from the same source video"
    )


class Method(ProjectedMethod):
    """Multiple-instance contrastive learning between cells of an image and a sound."""

    config: Config
    least_clips = 2

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders, config.dimension)
        near = {name for name in ("image", "audio") if {name, "both"} & set(config.positives)}
        fetched = {"neighbours"} if len(near) > 1 else {f"near_{name}" for name in near}
        self.needs = frozenset(fetched | ({"exclusions"} if config.exclude else set()))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        visual = {"own": self.visual(batch["image"])}
        auditory = {"own": self.auditory(batch["audio"])}
        if self.needs & {"neighbours", "near_image"}:
            visual["near"] = self.visual(batch["neighbours"]["image"])
        if self.needs & {"neighbours", "near_audio"}:
            auditory["near"] = self.auditory(batch["neighbours"]["audio"])
        pairs = {"own": ("own", "own"), "image": ("near", "own"), "audio": ("own", "near"), "both": ("near", "near")}
        near = excluded(batch, self.config.exclude)
        terms = {
            name: symmetric_info_nce(self._responses(visual[pairs[name][0]], auditory[pairs[name][1]]), near)
            for name in self.config.positives
        }
        return {"total": torch.stack(list(terms.values())).mean(), **terms}

    def _responses(self, visual: Tensor, auditory: Tensor) -> Tensor:
        """Logits of every image with every sound: (B, D, h, w), (B, D) -> (B, B)."""
        if self.config.matching == "pooled":
            return pooled_response(visual, auditory) / self.config.temperature
        pool = max_response if self.config.matching == "max" else mean_response
        return pool(cosine_maps(visual, auditory)) / self.config.temperature
