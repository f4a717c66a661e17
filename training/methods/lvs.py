r"""LVS: localizing visual sounds the hard way (Chen et al., CVPR 2021, arXiv:2104.02691).

Mathematics. c_nm(x) is the cosine of image n at cell x with sound m, sigma the logistic function, and
R(c, w) = sum_x w(x) c(x) / sum_x w(x). Two thresholds cut an image into sounding, silent and undecided (tri-map):

    p_nm(x) = sigma((c_nm(x) - epsilon_p) / tau)      q_n(x) = 1 - sigma((c_nn(x) - epsilon_n) / tau)

`formula: as_code`   logits of n: R(c_nm, p_nm) for every sound m, and R(c_nn, q_n), the image's own background
                     (the hard negative); softmax at temperature 0.07 with m = n as target.
`formula: as_paper`  P_n = R(c_nn, p_nn);  N_n = R(c_nn, q_n) + sum_{m != n} mean_x c_nm(x);
                     loss = -mean_n log( e^P_n / (e^P_n + e^N_n) ), without a temperature.

Encoders: two ResNet-18 from scratch, images at stride 16 (`encoders.image.last_stride: 1`, 14 x 14 maps), sounds
ended by a global max pool; no heads, so all features are post-ReLU and every cosine lies in [0, 1]. Masks are
differentiated through. Prediction: the cosine map c_nn.

Deviations and choices where paper and released code differ:
- formula: the default is the code's; the two differ in temperature (0.07, none), in the pooling of other clips'
  maps (over their own soft mask, plain mean) and in structure (B + 1 logits, all negatives in one exponent).
- the code lists the positive once more among the negatives and mutes it there by the factor -99. Here it stands once
  in the softmax, as if muted by -inf. The two agree for positive responses, which is all this method can have (cosines
  of post-ReLU features); with signed features a negative own response times -99 would become a huge logit.
- 1 - sigma is computed as sigma of the negated argument: the code's difference rounds to 0 when all own cosines
  exceed about 0.9, and its background response to 0 / 0.
- weights: the code asks for ImageNet weights, disables the lines that would load them and re-initialises everything;
  Senocak et al. say not pretrained, EZ-VSL says pretrained. Packaged configs train from scratch.
- optimiser, batch size and epochs are not released; the packaged configs take those SSL-TIE carries (same lineage).
- sound: 10 s in the last released code, 20 s in its first version, 3 s in the paper; here what the shards hold. Shards
  ingested with `--front-end log-power-16000-512-238-10s-v1` hold the released 10 s, as its weights need.
- test frames: short side to 224 and the square in the middle (`evaluation.view: centre_crop`), as in the code. The code
  lays boxes of the whole frame over it; here they are cropped, too.
- negatives are the sounds of one replica; nothing is contrasted over images.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

from typing import Literal

from pydantic import Field
from torch import Tensor

from training.config import Encoders, Section
from training.losses import contrast, without_diagonal
from training.methods.contract import Batch
from training.methods.headless import HeadlessMethod
from training.similarity import (
    cosine_maps,
    mean_response,
    own_maps,
    soft_masked_response,
    tri_map_responses,
    unit,
)

TEMPERATURES = {"as_code": 0.07, "as_paper": 1.0}


class Config(Section):
    """Options of LVS; the defaults are those of the released code."""

    formula: Literal["as_code", "as_paper"] = "as_code"
    positive_threshold: float = Field(0.65, gt=-1, lt=1, description="epsilon_p: above it a cell counts as sounding")
    negative_threshold: float = Field(0.40, gt=-1, lt=1, description="epsilon_n: below it a cell counts as background")
    tri_map: bool = Field(True, description="false: one threshold, epsilon_p, for both masks")
    mask_temperature: float = Field(0.03, gt=0, description="tau: softness of the masks")
    temperature: float | None = Field(
        None, gt=0, description="of the softmax; default: the formula's own, 0.07 in the code and none in the paper"
    )


class Method(HeadlessMethod):
    """Contrastive learning with the image's own background as hard negative."""

    config: Config

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.temperature = config.temperature or TEMPERATURES[config.formula]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        maps = cosine_maps(unit(self.visual(batch["image"])), self.auditory(batch["audio"]))
        config = self.config
        silent_below = config.negative_threshold if config.tri_map else config.positive_threshold
        foreground, background = tri_map_responses(
            own_maps(maps), config.positive_threshold, silent_below, config.mask_temperature
        )
        negatives = self._negatives_of_code if config.formula == "as_code" else self._negatives_of_paper
        logits = (foreground, *negatives(maps, background))
        return {"total": contrast(*(group / self.temperature for group in logits))}

    def _negatives_of_code(self, maps: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
        """One logit per other sound, pooled over the pair's own mask, and one for the background."""
        responses = soft_masked_response(maps, self.config.positive_threshold, self.config.mask_temperature)
        return without_diagonal(responses), background

    def _negatives_of_paper(self, maps: Tensor, background: Tensor) -> tuple[Tensor]:
        """All negatives in one exponent: the background plus the summed means of the other sounds' maps."""
        means = mean_response(maps.float())
        others = means.sum(dim=1) - means.diagonal()
        return (background + others.unsqueeze(1),)
