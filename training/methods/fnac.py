r"""FNAC: source localization by false negative aware contrastive learning (Sun et al., CVPR 2023, arXiv:2303.11302).

Mathematics. V_n(x), a_m unit features of images and audio, c_nm(x) their cosine, T the temperature, rho the softmax
over each row of a (B, B) matrix. The contrast is EZ-VSL's:

    z_nm = max_x c_nm(x) / T          L0 = -mean_n log softmax_m(z)_nn - mean_m log softmax_n(z)_mm

Adjacencies within a modality say which negatives are false, and pull the contrast's soft assignment to themselves:

    S^A = <a_n, a_m> / T      S^V = <v_n, v_m> / T, v the mean of V over cells
    F   = <f_n, f_m> / T,     f_n = mean_x m_n(x) V_n(x),  m_n(x) = [minmax_x(c_nn / T)(x) > 0.6]   (foreground)
    FNS-1 = mean |rho(S^A) - rho(z)|     TNS = mean |rho(S^A) - rho(F)|     FNS-2 = mean |rho(S^V) - rho(z)|
    loss = L0 + 100 FNS-1 + 100 TNS + 100 FNS-2;  L0 alone during the first epochs

(FNS: false negatives suppression, TNS: true negatives enhancement; means over all B x B entries.)

Encoders: ResNet-18 (images: ImageNet weights, stride 32, dropout 0.9 on the last map; sounds: from scratch, global
max pool), then a 1 x 1 convolution and a linear layer to `dimension`. Prediction: the cosine map c_nn.

Deviations and choices where paper and released code differ:
- the terms' means run over B x B entries while a softmax row sums to 1, so a term's pull scales like 1 / B: the weights
  of 100 belong to batches of 256, for other batches give 100 B / 256. The dropout of 0.9 belongs to 512 channels.
- warmup_epochs: 5 is the scripts', the argument's default in the code is 3. Without a loop that announces its epochs
  (`before_epoch`) the whole loss counts from the start.
- stripes: the code hides up to 9 rows and 9 columns of each training sound, but draws the rows' start from the number
  of columns and the reverse (many fall outside), and fills with 0, a very loud log power. `data.audio_policy:
  stripes_released` repeats that, `stripes_corrected` draws along the right axis and fills with silence. Scaled as in
  the code (/ 12) a 0 is as far above most sounds as these lie apart; on quiet recordings scaled by their own deviation
  it is ten times as far, and the contrast then stays at 2 ln B: use `stripes_corrected` there.
- sound: as EZ-VSL, the files' own rate in windows of 512 samples every 238; here what the shards hold.
- f and v are not scaled to unit length again, and f divides by all cells, not by the foreground's: both as in the code.
- nothing is detached: the adjacencies move towards the assignment, too. The foreground mask has no gradient.
- the released code reports the checkpoint that was best on the test set; here the last epoch is the result. It prints
  each test under two ways of enlarging maps (protocols `ezvsl`, `fnac_bicubic`) and does not say which the paper shows.
- map scale: the code's is divided by the temperature, here it is a cosine; no released rule changes by that.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

import torch
from pydantic import Field
from torch import Tensor

from training.config import Encoders, Section
from training.losses import symmetric_info_nce
from training.methods.contract import Batch, TrainingClips
from training.methods.projected import ProjectedMethod
from training.similarity import cosine_maps, cosines, max_response, own_maps


class Config(Section):
    """Options of FNAC; the defaults are those of the released scripts."""

    temperature: float = Field(0.03, gt=0)
    dimension: int = Field(512, gt=0, description="of the common space")
    image_dropout: float = Field(0.9, ge=0, lt=1, description="of the image features before the head")
    audio_dropout: float = Field(0.0, ge=0, lt=1, description="of the sound features before the head")
    foreground_threshold: float = Field(0.6, ge=0, le=1, description="of the min-max map")
    audio_suppression: float = Field(100.0, ge=0, description="weight of FNS-1")
    enhancement: float = Field(100.0, ge=0, description="weight of TNS")
    visual_suppression: float = Field(100.0, ge=0, description="weight of FNS-2")
    warmup_epochs: int = Field(5, ge=0, description="first epochs trained by the contrast alone")


def adjacency_distance(adjacency: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference of the row softmaxes of two logit matrices: (B, B) twice -> scalar."""
    return (adjacency.float().softmax(dim=1) - other.float().softmax(dim=1)).abs().mean()


def foreground_features(visual: Tensor, own_logits: Tensor, threshold: float) -> Tensor:
    """Features summed over the cells above `threshold` of the min-max map, over all cells' number: -> (B, D).

    visual (B, D, h, w), own_logits (B, h, w): the map as the code has it, divided by the temperature.
    """
    low, high = own_logits.amin(dim=(1, 2), keepdim=True), own_logits.amax(dim=(1, 2), keepdim=True)
    foreground = (own_logits - low) / (high - low + 1e-5) > threshold
    return (visual * foreground.unsqueeze(1)).mean(dim=(2, 3))


class Method(ProjectedMethod):
    """EZ-VSL's contrast, softened where sounds or images of a batch are alike."""

    config: Config
    least_clips = 2

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders, config.dimension, config.image_dropout, config.audio_dropout)
        self.warming_up = False

    def before_epoch(self, epoch: int, clips: TrainingClips) -> None:
        """Leave the adjacencies out of the loss while the features they compare still mean nothing."""
        self.warming_up = epoch < self.config.warmup_epochs

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        terms = self._terms(self.visual(batch["image"]), self.auditory(batch["audio"]))
        weights = {
            "contrast": 1.0,
            "audio_suppression": config.audio_suppression,
            "enhancement": config.enhancement,
            "visual_suppression": config.visual_suppression,
        }
        counted = ("contrast",) if self.warming_up else terms
        return {"total": torch.stack([weights[name] * terms[name] for name in counted]).sum(), **terms}

    def _terms(self, visual: Tensor, auditory: Tensor) -> dict[str, Tensor]:
        """The contrast and the three distances of unit features (B, D, h, w), (B, D)."""
        temperature = self.config.temperature
        maps = cosine_maps(visual, auditory) / temperature
        logits, own = max_response(maps), own_maps(maps)
        foreground = foreground_features(visual, own, self.config.foreground_threshold)
        among_auditory, among_images, among_foregrounds = (
            cosines(features, features) / temperature for features in (auditory, visual.mean(dim=(2, 3)), foreground)
        )
        return {
            "contrast": symmetric_info_nce(logits),
            "audio_suppression": adjacency_distance(among_auditory, logits),
            "enhancement": adjacency_distance(among_auditory, among_foregrounds),
            "visual_suppression": adjacency_distance(among_images, logits),
        }
