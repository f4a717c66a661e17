r"""FNAC: source localization by false negative aware contrastive learning (Sun et al., CVPR 2023, arXiv:2303.11302).

Mathematics. V_n(x), a_m unit features of pictures and sounds, c_nm(x) their cosine, T the temperature, rho the softmax
over each row of a (B, B) matrix. The contrast is EZ-VSL's:

    z_nm = max_x c_nm(x) / T          L0 = -mean_n log softmax_m(z)_nn - mean_m log softmax_n(z)_mm

Adjacencies within a modality say which negatives are false, and pull the contrast's soft assignment to themselves:

    S^A = <a_n, a_m> / T      S^V = <v_n, v_m> / T, v the mean of V over cells
    F   = <f_n, f_m> / T,     f_n = mean_x m_n(x) V_n(x),  m_n(x) = [minmax_x(c_nn / T)(x) > 0.6]   (foreground)
    FNS-1 = mean |rho(S^A) - rho(z)|     TNS = mean |rho(S^A) - rho(F)|     FNS-2 = mean |rho(S^V) - rho(z)|
    loss = L0 + 100 FNS-1 + 100 TNS + 100 FNS-2;  L0 alone during the first epochs

(FNS: false negatives suppression, TNS: true negatives enhancement; means over all B x B entries.)

Encoders: ResNet-18 (pictures: ImageNet weights, stride 32, dropout 0.9 on the last map; sounds: from scratch, global
max pool), then a 1 x 1 convolution and a linear layer to `dimension`. Prediction: the cosine map c_nn.

Deviations and choices where paper and released code differ:
- the terms' means run over B x B entries while a softmax row sums to 1, so a term's pull scales like 1 / B: the weights
  of 100 belong to batches of 256.
- warmup_epochs: 5 is the scripts', the argument's default in the code is 3. Without a loop that announces its epochs
  (`before_epoch`) the whole loss counts from the start.
- audio_masks: the code hides up to 9 rows and 9 columns of each training sound, but draws the rows' start from the
  number of columns and the reverse (many fall outside), and fills with 0, a very loud log power. `released` repeats
  that, `corrected` draws along the right axis and fills with silence.
- f and v are not scaled to unit length again, and f divides by all cells, not by the foreground's: both as in the code.
- nothing is detached: the adjacencies move towards the assignment, too. The foreground mask has no gradient.
- the released code reports the checkpoint that was best on the test set; here the last epoch is the result.
- map scale: the code's is divided by the temperature, here it is a cosine; no released rule changes by that.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

from math import log
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.augment.sounds import mask_axis
from training.config import Encoders, Section
from training.encoders.dropout import Dropout
from training.encoders.resnet import initialise
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.losses import symmetric_info_nce
from training.methods.contract import BaseMethod, Batch, Prediction
from training.similarity import cosine_maps, max_response, paired_maps, unit

SILENCE = log(1e-7) / 12  # digital silence as a model sees it
FILLS = {"released": 0.0, "corrected": SILENCE}


class Config(Section):
    """Options of FNAC; the defaults are those of the released scripts."""

    temperature: float = Field(0.03, gt=0)
    dimension: int = Field(512, gt=0, description="of the common space")
    image_dropout: float = Field(0.9, ge=0, lt=1, description="of the picture features before the head")
    audio_dropout: float = Field(0.0, ge=0, lt=1, description="of the sound features before the head")
    foreground_threshold: float = Field(0.6, ge=0, le=1, description="of the min-max map")
    audio_suppression: float = Field(100.0, ge=0, description="weight of FNS-1")
    enhancement: float = Field(100.0, ge=0, description="weight of TNS")
    visual_suppression: float = Field(100.0, ge=0, description="weight of FNS-2")
    warmup_epochs: int = Field(5, ge=0, description="first epochs trained by the contrast alone")
    audio_masks: Literal["released", "corrected", "none"] = "released"
    mask_width: int = Field(10, gt=0, description="rows and columns hidden are fewer than this")


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


def mask_sounds(audio: Tensor, width: int, kind: Literal["released", "corrected"]) -> Tensor:
    """Hide a stripe of rows and one of columns of each sound: (B, 1, F, T) -> same; stripes may leave the picture."""
    size, _, rows, columns = audio.shape
    row_starts, column_starts = (columns, rows) if kind == "released" else (rows, columns)
    masked = mask_axis(audio.squeeze(1), 1, _stripes(size, row_starts, width), FILLS[kind])
    return mask_axis(masked, 2, _stripes(size, column_starts, width), FILLS[kind]).unsqueeze(1)


def _stripes(size: int, starts: int, width: int) -> Tensor:
    """Spans (2, B): starts in [0, starts), lengths in [0, width), whole numbers as Python's randrange draws them."""
    first = torch.randint(starts, (size,))
    return torch.stack([first, first + torch.randint(width, (size,))])


class Method(BaseMethod):
    """EZ-VSL's contrast, softened where sounds or pictures of a batch are alike."""

    config: Config

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        self.image_dropout, self.audio_dropout = Dropout(config.image_dropout), Dropout(config.audio_dropout)
        self.image_head = nn.Conv2d(self.image_trunk.dimension, config.dimension, 1)
        self.audio_head = nn.Linear(self.audio_trunk.dimension, config.dimension)
        initialise(self.image_head)
        initialise(self.audio_head)
        self.warming_up = False

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> unit features (B, D, h, w)."""
        return unit(self.image_head(self.image_dropout(self.image_trunk(image))))

    def auditory(self, audio: Tensor) -> Tensor:
        """(B, 1, F, T) -> unit vectors (B, D)."""
        return unit(self.audio_head(self.audio_dropout(self.audio_trunk(audio))))

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        visual, sound = self.visual(image), self.auditory(audio)
        maps = paired_maps(visual, sound)
        return Prediction(maps, max_response(maps), unit(visual.mean(dim=(2, 3))), sound)

    def before_epoch(self, epoch: int) -> None:
        """Leave the adjacencies out of the loss while the features they compare still mean nothing."""
        self.warming_up = epoch < self.config.warmup_epochs

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        config, audio = self.config, batch["audio"]
        if config.audio_masks != "none":
            audio = mask_sounds(audio, config.mask_width, config.audio_masks)
        terms = self._terms(self.visual(batch["image"]), self.auditory(audio))
        weights = {
            "contrast": 1.0,
            "audio_suppression": config.audio_suppression,
            "enhancement": config.enhancement,
            "visual_suppression": config.visual_suppression,
        }
        counted = ("contrast",) if self.warming_up else terms
        return {"total": torch.stack([weights[name] * terms[name] for name in counted]).sum(), **terms}

    def _terms(self, visual: Tensor, sound: Tensor) -> dict[str, Tensor]:
        """The contrast and the three distances of unit features (B, D, h, w), (B, D)."""
        temperature = self.config.temperature
        maps = cosine_maps(visual, sound) / temperature
        logits, own = max_response(maps), maps.diagonal().permute(2, 0, 1)
        foreground = foreground_features(visual, own, self.config.foreground_threshold)
        among_sounds, among_pictures, among_foregrounds = (
            features @ features.T / temperature for features in (sound, visual.mean(dim=(2, 3)), foreground)
        )
        return {
            "contrast": symmetric_info_nce(logits),
            "audio_suppression": adjacency_distance(among_sounds, logits),
            "enhancement": adjacency_distance(among_sounds, among_foregrounds),
            "visual_suppression": adjacency_distance(among_pictures, logits),
        }
