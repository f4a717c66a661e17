r"""Vanilla LVS: LVS without its hard negatives (baseline of Senocak et al., ICASSP 2022).

Described in doi:10.1109/ICASSP43922.2022.9747867 (HardPos); LVS itself is arXiv:2104.02691.

Mathematics. c_nm(x) is the cosine of image n at cell x with sound m, sigma the logistic function. Every pair is
summarised over its own soft mask, and images are contrasted with sounds:

    p_nm(x) = sigma((c_nm(x) - epsilon) / tau)        s_nm = sum_x p_nm(x) c_nm(x) / sum_x p_nm(x)
    loss    = -mean_n log softmax_m(s / temperature)_nn

Encoders: two ResNet-18 from scratch, images at stride 16 (`encoders.image.last_stride: 1`, 14 x 14 maps), sounds
ended by a global max pool; no heads, so all features are post-ReLU and every cosine lies in [0, 1]. Prediction: the
cosine map c_nn. The embeddings are what HardPos mines its neighbours with: the sound's vector, and the image's
features averaged over cells.

Deviations and choices where paper and released code differ:
- No code of this baseline is public. It is LVS's released code with its `Neg` switch off (no own-image background
  among the negatives); switching only the tri-map off would leave a background negative.
- temperature: 0.07 is LVS's code; no paper prints one.
- the released code lists the positive once more among the negatives and mutes it by -99; here it is in the softmax
  once, which is the same number whenever the positive response is positive.
- negatives are the sounds of one replica; nothing is contrasted over images.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

from pydantic import Field
from torch import Tensor

from training.config import Section
from training.losses import info_nce
from training.methods.contract import Batch
from training.methods.headless import HeadlessMethod
from training.similarity import cosine_maps, soft_masked_response, unit


class Config(Section):
    """Options of vanilla LVS; the defaults are those of LVS's released code."""

    threshold: float = Field(0.65, gt=-1, lt=1, description="epsilon: cosine above which a cell counts as sounding")
    mask_temperature: float = Field(0.03, gt=0, description="tau: softness of the mask")
    temperature: float = Field(0.07, gt=0, description="of the softmax")


class Method(HeadlessMethod):
    """Contrastive learning between the sounding part of an image and sounds."""

    config: Config
    least_clips = 2

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        maps = cosine_maps(unit(self.visual(batch["image"])), self.auditory(batch["audio"]))
        responses = soft_masked_response(maps, self.config.threshold, self.config.mask_temperature)
        return {"total": info_nce(responses / self.config.temperature)}
