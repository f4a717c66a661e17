r"""DSOL, second stage: which of several objects sound (Hu et al., NeurIPS 2020, arXiv:2010.05466).

Mathematics. Images are collages of four clips of different classes, sounds the mixture of two of them. The stage
begins with the weights of the first one (`dsol`) and its dictionary d_k, and keeps a second, frozen copy of the sound
trunk and of the layer that tells its classes. With V(x) the trunk's features of a cell and l(x) the first stage's map,

    q_k(x) = alpha <d_k, V(x)> + beta        s_k(x) = q_k(x) l(x)
    p_vis = softmax_k( mean_x s_k )          p_aud = softmax_k( frozen classes of the mixture )
    L_cat = KL(p_aud || p_vis) / K
    L_loc = ( BCE(max_x l, 1) of matching + mean over four quarters of BCE(max l, 0) of mismatched ) / 2
    loss = L_cat + weight L_loc

so that an object's map survives where it agrees with the sound, and what is seen to sound is what the first stage
hears. alpha and beta are learned. Prediction: the map l; `class_maps` gives softmax_k(3 s_k), one map for each class.
Of a mixture every class that sounds is a source (`source_maps`).

`training run dsol_mixtures.yaml init_from=runs/dsol`, on shards of collages (`pipeline collage`).

Deviations and choices where paper and released code differ:
- s_k is the product, as in the code; its alternative, a minimum, is switched off there.
- the four quarters' costs are averaged, as in the code.
- KL is divided by K as in the code, whose reduction is the mean over all entries; the weight of 0.5 belongs to that.
- first values of alpha and beta are not stated: 1 over the number of channels, and 0.
- the dictionary is that of the first stage's last round, in place of its epoch 10.
- mismatches: `one` other collage of the batch for each, in place of one further image for each sound.
- evaluation by class maps (class-aware cIoU, NSA): under the protocols of MUSIC these are the maps that are scored.
  Which class is which instrument the code finds by labels of its training clips, trying permutations; here by what the
  frozen copy hears in the sounds of `--references`: one class for each instrument by the best assignment, each further
  class to the instrument that is most heard as it.
- a class counts as sounding where its map rises above 0.2, which is what the code takes for noise when it measures
  silence; so does the one that the frozen copy hears most, else a mixture might have no source at all.
- confidence: the largest cell of l.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from manifests.errors import InputError
from training.config import Encoders, Section
from training.encoders.resnet import freeze
from training.encoders.weights import build_audio_trunk
from training.methods.contract import Batch, SourceMaps, TrainingClips
from training.methods.correspondence import CorrespondenceMethod
from training.parts.pair_losses import draw_mismatches, masked_mean
from training.similarity import cosine_maps, einsum, max_response, paired_maps

SHARPNESS = 3.0  # of class maps, as evaluated
SOUNDS_ABOVE = 0.2  # of class maps


class Config(Section):
    """Options of DSOL's second stage; those of the network must be the first stage's."""

    dimension: int = Field(128, gt=0, description="of the common space")
    scale: float = Field(5.0, gt=0, description="first value of w; the first stage's replaces it")
    clusters: int = Field(11, gt=1, description="classes of objects, as in the first stage")
    localization_weight: float = Field(0.5, ge=0, description="of L_loc")
    mismatches: Literal["one", "all"] = Field("one", description="other clips of the batch that an image is shown with")


class Method(CorrespondenceMethod):
    """What is seen to sound is what is heard."""

    config: Config
    only_for_trunks = frozenset({"image"})  # two trunks hear a sound
    dictionary: Tensor
    begun: Tensor

    def __init__(self, config: Config, encoders: Encoders) -> None:
        first = {"scale": config.scale, "bias": None}
        super().__init__(config, encoders, config.dimension, cosine=True, rectified=True, **first)
        channels = self.image_trunk.dimension
        self.heard_trunk = build_audio_trunk(encoders.audio)
        self.audio_classes = nn.Linear(self.audio_trunk.dimension, config.clusters)
        for part in (self.heard_trunk, self.audio_classes):
            freeze(part)
        self.strength = nn.Parameter(torch.tensor(1 / channels))
        self.offset = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("dictionary", torch.zeros(config.clusters, channels))
        self.register_buffer("begun", torch.tensor(False))

    def check_clips(self, clips: TrainingClips) -> None:
        """InputError without a first stage; which clips that has named does not matter, classes are in its weights."""
        if not self.dictionary.any():
            raise InputError(
                "dsol_mixtures goes on from a run of dsol that has named its objects (passes of 1 or more, three "
                "epochs or more); say which with init_from."
            )

    def before_epoch(self, epoch: int, clips: TrainingClips) -> None:
        """Before the first one keep a copy of what the first stage hears."""
        if not self.begun:
            self.heard_trunk.load_state_dict(self.audio_trunk.state_dict())
            self.begun.fill_(True)

    def sounding(self, features: Tensor, maps: Tensor) -> Tensor:
        """s_k of the trunk's cells (B, C, h, w) and maps l (B, h, w): (B, K, h, w), float32."""
        agreement = einsum("kc,nchw->nkhw", self.dictionary, features)
        return (self.strength.float() * agreement + self.offset.float()) * maps.unsqueeze(1)

    def class_maps(self, image: Tensor, audio: Tensor) -> Tensor:
        """One map for each class, (B, K, h, w); they sum to 1 in every cell."""
        features = self.image_trunk(image)
        products = paired_maps(self.projected_image(features), self.auditory(audio))
        return (SHARPNESS * self.sounding(features, torch.sigmoid(self.logits(products)))).softmax(dim=1)

    def source_maps(self, batch: Batch, sources: int) -> SourceMaps:
        """One for each class; how many are there, maps and sound say."""
        audio = batch["audio"]
        maps, heard = self.class_maps(batch["image"], audio), self.heard_classes(audio)
        there = (max_response(maps) > SOUNDS_ABOVE) | (heard == heard.amax(dim=1, keepdim=True))
        return SourceMaps(maps, heard * there)

    def heard_classes(self, audio: Tensor) -> Tensor:
        """p_aud: (B, 1, F, T) -> (B, K)."""
        return self.audio_classes(self.heard_trunk(audio)).float().softmax(dim=1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        features, auditory = self.image_trunk(batch["image"]), self.auditory(batch["audio"])
        logits = self.logits(cosine_maps(self.projected_image(features), auditory))
        own = torch.sigmoid(logits.diagonal().permute(2, 0, 1))
        with torch.no_grad():
            heard = self.heard_classes(batch["audio"])
        seen = self.sounding(features, own).mean(dim=(2, 3)).log_softmax(dim=1)
        terms = {
            "categories": F.kl_div(seen, heard, reduction="none").mean(),
            "localization": quartered_loss(logits, draw_mismatches(batch["source"], self.config.mismatches)),
        }
        return {"total": terms["categories"] + self.config.localization_weight * terms["localization"], **terms}


def quartered_loss(logits: Tensor, mismatched: Tensor) -> Tensor:
    """L_loc of logits of every image with every sound (B, B, h, w); logits of 0 give ln 2."""
    quarters = F.adaptive_max_pool2d(logits, 2)  # of a wrong sound no quarter of the collage may agree
    wrong = masked_mean(F.softplus(quarters).mean(dim=(2, 3)), mismatched)
    return (F.softplus(-max_response(logits).diagonal()).mean() + wrong) / 2
