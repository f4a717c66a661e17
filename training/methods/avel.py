r"""AVEL: audio-visual event localization in unconstrained videos (Tian et al., ECCV 2018, arXiv:1803.08842).

Mathematics. A network learns the class of what happens, and looks where the sound tells it to. With the cells V(x) of
an image, the vector a of its sound, and projections v(x) = [U V(x)]_+ and g = [U' a]_+,

    z(x) = w . tanh( W_v v(x) + W_a g )        alpha = softmax_x z        V' = sum_x alpha(x) V(x)
    p = softmax( C_2 [C_1 [V', a]]_+ )         loss = -log p_label

Several segments of a clip, each an image and the sound around it (`segments: N`), have an attention each. An LSTM in
both directions reads the V' of all of them, another one the a; what the two give at a segment, rectified, goes into C_1
in place of V' and a; p is the softmax of the largest logits over segments, the paper's form for labels of whole videos.

No term asks where it sounds: the attention alpha is learned since a class is easier to name from the right cells.
A second small network, trained beside it on what the trunks give (without moving them), compares images and sounds
(the paper's cross-modal matching): two layers each to 64 values, and Hadsell's loss with a margin of 2 on their
distance. It gives the embeddings. Prediction: the map alpha; confidence: the largest class probability. Of several
segments the middle one, which has the clip's own image, has the map and is matched.

Deviations, and choices where paper and released code differ:
- segments: ten of 1 s in the paper, which need 10 s. Clips hold 3 s of sound: `segments: 3` are three of
  `sound_seconds: 1.0`, `rate` a second (`pipeline ingest --burst 3 --burst-rate 1`); more of them overlap. Of each an
  image is seen, where the paper takes the mean of 16; an image alone stands still. `segments: 1` (default) is the
  clip's own image with all of its sound; over one step an LSTM is a gated layer, and it is left out.
- attention: the paper adds W_a g to every cell, in each of the hidden units (`units`, the default). Released code adds
  it along the other axis: one number for each cell, the same in all hidden units (`cells`). There a sound cannot say
  what to look for, only where; and the number of cells is fixed by `cells`, 49 of a 7 x 7 map.
- objective: the code takes the multi-label soft-margin loss of the softmax's probabilities, once for each class
  (`soft_margin`), which is at best 0.69 and hardly slopes. `cross_entropy` (the default) is a softmax's usual loss.
- hidden units of the attention: 49 in the code, which is also its number of cells; `hidden` here.
- encoders: VGG-19 (pool5, the mean of 16 frames a second) and VGGish there, frozen; here the run's, which are trained
  unless the config freezes them.
- labels: 28 classes of events and background; here the shards' own (`classes`), or groups of them.
- matching: the code trains it by itself, on attended images of a trained network; here beside it, on images pooled
  evenly, since a search cannot know the sound. Its weight is 1, and it moves nothing but itself.
- numbers for VGG-SS (29.1 / 34.8) are of a later paper, which does not say how it trained; others give the same two
  numbers to CoarseToFine.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from manifests.errors import InputError
from training.config import Encoders, Section
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction
from training.parts.pair_losses import contrastive_loss, draw_mismatches
from training.parts.several_images import (
    images_of,
    middle_of,
    of_each,
    refuse_sounds_too_far,
    refuse_without_middle,
    standing_still,
    times_of,
)
from training.parts.spans import spans
from training.similarity import distances, einsum, unit

LEAK = 0.3  # of the matching network's ReLU
MEMORY = 128  # hidden units of an LSTM, in each direction


class Config(Section):
    """Options of AVEL; the defaults are those of paper and released code."""

    classes: int = Field(28, gt=1, description="at least as many as the training clips have")
    dimension: int = Field(512, gt=0, description="of what the attention compares")
    hidden: int = Field(49, gt=0, description="units of the attention")
    attention: Literal["units", "cells"] = Field("units", description="what a sound adds to: see the page")
    cells: int = Field(49, gt=0, description="cells of a map, for attention: cells")
    fused: int = Field(64, gt=0, description="of the layer before the classes")
    objective: Literal["cross_entropy", "soft_margin"] = "cross_entropy"
    margin: float = Field(2.0, gt=0, description="distance of image and sound that do not match")
    segments: int = Field(1, ge=1, description="N, an odd number; LSTMs pass from one to the next, both ways")
    rate: float = Field(1.0, gt=0, description="of these, so many a second")
    sound_seconds: float = Field(1.0, gt=0, description="sound of each of several segments")

    @model_validator(mode="after")
    def _the_sound_reaches_so_far(self) -> "Config":
        refuse_without_middle("segments", self.segments)
        refuse_sounds_too_far("segments", self.segments, self.rate, self.sound_seconds)
        return self


class Method(BaseMethod):
    """Where to look so as to name what sounds."""

    config: Config
    least_clips = 2
    needs = frozenset({"labels"})

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.classes = config.classes
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        seen, heard, added = self.image_trunk.dimension, self.audio_trunk.dimension, _added(config)
        self.image_query, self.audio_query = nn.Linear(seen, config.dimension), nn.Linear(heard, config.dimension)
        self.image_units = nn.Linear(config.dimension, config.hidden)
        self.audio_units = nn.Linear(config.dimension, added, bias=False)
        self.response = nn.Linear(config.hidden, 1, bias=False)
        joined = seen + heard if config.segments == 1 else 4 * MEMORY
        self.event = nn.Sequential(nn.Linear(joined, config.fused), nn.ReLU(), nn.Linear(config.fused, config.classes))
        self.image_matching, self.audio_matching = _matching(seen), _matching(heard)
        if config.segments > 1:
            self.needs, self.only_for_trunks = self.needs | {"burst"}, frozenset()
            self.burst = (config.segments, config.rate)
            self.image_memory, self.audio_memory = (
                nn.LSTM(width, MEMORY, batch_first=True, bidirectional=True) for width in (seen, heard)
            )

    def seen(self, batch: Batch) -> Tensor:
        """V of every segment: (B, N, C, h, w)."""
        return of_each(self.image_trunk, images_of(batch, self.config.segments))

    def heard(self, audio: Tensor, segments: int) -> Tensor:
        """a of so many segments of sounds (B, 1, F, T): (B, N, A)."""
        if self.config.segments == 1:
            return self.audio_trunk(audio).unsqueeze(1)
        times = times_of(segments, self.config.rate)
        return of_each(self.audio_trunk, spans(audio, times, self.config.sound_seconds))

    def attention(self, features: Tensor, sound: Tensor) -> Tensor:
        """alpha of cells (..., C, h, w) and sounds (..., A): (..., h, w), float32, of sum 1.

        InputError where the map has not the number of cells that `attention: cells` was made for.
        """
        units = self.image_units(torch.relu(self.image_query(features.flatten(-2).transpose(-1, -2))))
        added = self.audio_units(torch.relu(self.audio_query(sound)))
        if self.config.attention == "cells":
            self._check_cells(units.shape[-2])
        toward = added.unsqueeze(-2) if self.config.attention == "units" else added.unsqueeze(-1)
        responses = self.response(torch.tanh(units + toward)).squeeze(-1).float()
        return responses.softmax(dim=-1).unflatten(-1, features.shape[-2:])

    def _check_cells(self, found: int) -> None:
        if found != self.config.cells:
            raise InputError(
                f"maps have {found} cells, and avel with attention cells was made for {self.config.cells}: set "
                f"method.cells={found}, or method.attention=units, which takes images of any size."
            )

    def logits(self, features: Tensor, sound: Tensor, maps: Tensor) -> Tensor:
        """Of a clip's classes, by its segments: (B, N, C, h, w), (B, N, A), (B, N, h, w) -> (B, K), float32."""
        attended = einsum("nchw,nhw->nc", features.flatten(0, 1), maps.flatten(0, 1))
        attended, heard = attended.unflatten(0, maps.shape[:2]), sound.float()
        if self.config.segments > 1:
            attended, heard = torch.relu(self.image_memory(attended)[0]), torch.relu(self.audio_memory(heard)[0])
        return self.event(torch.cat([attended, heard], dim=2)).float().amax(dim=1)

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        """Of an image that stands still where there should be several."""
        return self._predicted(standing_still(self.image_trunk(image), self.config.segments), audio)

    def predict(self, batch: Batch) -> Prediction:
        return self._predicted(self.seen(batch), batch["audio"])

    def _predicted(self, features: Tensor, audio: Tensor) -> Prediction:
        sound = self.heard(audio, features.shape[1])
        maps = self.attention(features, sound)
        certainty = self.logits(features, sound, maps).softmax(dim=1).amax(dim=1)
        seen, heard = self.matched(features, sound)
        return Prediction(middle_of(maps), certainty, unit(seen), unit(heard))

    def class_responses(self, batch: Batch) -> Tensor:
        """The map, shared out to the classes by their probabilities: (B, K, h, w)."""
        features = self.seen(batch)
        sound = self.heard(batch["audio"], features.shape[1])
        maps = self.attention(features, sound)
        return self.logits(features, sound, maps).softmax(dim=1)[..., None, None] * middle_of(maps).unsqueeze(1)

    def matched(self, features: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """The middle segment of (B, N, C, h, w) and (B, N, A) as the matching network has it, (B, 64) each, float32.

        No gradient leaves it.
        """
        seen, heard = middle_of(features).detach().mean(dim=(2, 3)), middle_of(sound).detach()
        return self.image_matching(seen).float(), self.audio_matching(heard).float()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        features = self.seen(batch)
        sound = self.heard(batch["audio"], features.shape[1])
        logits = self.logits(features, sound, self.attention(features, sound))
        squared = distances(*self.matched(features, sound)).square()
        terms = {
            "event": event_loss(logits, batch["label"], self.config.objective),
            "matching": contrastive_loss(squared, draw_mismatches(batch["source"], "one"), self.config.margin),
        }
        return {"total": terms["event"] + terms["matching"], **terms}


def event_loss(logits: Tensor, labels: Tensor, objective: Literal["cross_entropy", "soft_margin"]) -> Tensor:
    """Of logits (B, K) and labels (B,): -> scalar. No opinion costs ln K, or ln 2 and a little."""
    if objective == "cross_entropy":
        return F.cross_entropy(logits, labels)
    return F.multilabel_soft_margin_loss(logits.softmax(dim=1), F.one_hot(labels, logits.shape[1]).float())


def _added(config: Config) -> int:
    return config.hidden if config.attention == "units" else config.cells


def _matching(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 128), nn.LeakyReLU(LEAK), nn.Linear(128, 64))
