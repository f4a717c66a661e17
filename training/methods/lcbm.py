r"""LCBM-style: less can be more, sound source localization with a classification model (Senocak et al., WACV 2022).

doi:10.1109/WACV51458.2022.00065. Neither code nor the full text was at hand: this is a stand-in built on what the
abstract and later papers say, and its numbers are not those of the paper's method.

Known of it: a network learns the classes of clips from images and sounds together, with no term that localizes; the map
is a plain attention between the features it has learned.

Mathematics. With cells V(x) of an image, the vector a of its sound, and one layer for each modality, v(x) = [P V(x)]_+,
h = [Q a]_+, and K classes with a layer W for the image, the sound and both,

    loss = CE( W v ) + CE( W h ) + CE( W (v + h) / 2 )        v: the mean of v(x) over cells
    map(x) = v(x) . h / |h|

Prediction: the map; confidence: its largest cell. Embeddings: v and h.

Deviations, all of them choices, since the source leaves it open:
- backbones, depth and width of the layers, clip length, fusion and optimiser are unknown.
- one layer W for both modalities (`shared`). With a layer for each, and one for both side by side, nothing makes image
  and sound features comparable, and the map is a cosine between strangers; `shared: false` is that.
- frames: the paper takes videos. `frames: N` tells the classes of what is seen from the mean of v over N images of the
  clip, `rate` a second (`pipeline ingest --burst N --burst-rate RATE`); the map is that of the clip's own image, the
  middle one. `frames: 1` (default) has that image alone. The paper also ranks images by how informative they are; how,
  neither its abstract nor later papers say, so every image counts the same.
- semi-supervised training with the model's own boxes is left out: which boxes, and how they train, is not known either.
- map: classes are told from the mean of v(x), so that a cell that says nothing of them becomes short, whichever way it
  points. The product keeps that; `response: cosine`, the default of the first version, discards it (40 and 64 against
  33 and 42 on real images and sounds, benchmarks/README.md). It listens less for it: lengths are the image's alone.
- labels: VGGSound's classes there; the shards' own here (`classes`), or groups of them.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction
from training.parts.several_images import images_of, middle_of, of_each, refuse_without_middle
from training.similarity import max_response, paired_maps, unit

EARLIER = {"response": "cosine"}  # of runs from before there was the option


class Config(Section):
    """Options of the stand-in."""

    classes: int = Field(309, gt=1, description="at least as many as the training clips have")
    dimension: int = Field(512, gt=0, description="of the features before the classes")
    shared: bool = Field(True, description="one class layer for image, sound and both; see the page")
    response: Literal["product", "cosine"] = Field("product", description="of a cell to a sound; see the page")
    frames: int = Field(1, ge=1, description="N, images of the clip, an odd number; classes are told from their mean")
    rate: float = Field(1.0, gt=0, description="of these, so many a second")

    @model_validator(mode="after")
    def _one_is_the_middle(self) -> "Config":
        refuse_without_middle("frames", self.frames)
        return self


class Method(BaseMethod):
    """Name what sounds; look where image and sound were named alike."""

    config: Config
    needs = frozenset({"labels"})

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.classes = config.classes
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        self.image_head = nn.Conv2d(self.image_trunk.dimension, config.dimension, 1)
        self.audio_head = nn.Linear(self.audio_trunk.dimension, config.dimension)
        self.image_classes = nn.Linear(config.dimension, config.classes)
        if not config.shared:
            self.audio_classes = nn.Linear(config.dimension, config.classes)
            self.both_classes = nn.Linear(2 * config.dimension, config.classes)
        if config.frames > 1:
            self.needs, self.only_for_trunks = self.needs | {"burst"}, frozenset({"audio"})
            self.burst = (config.frames, config.rate)

    def visual(self, image: Tensor) -> Tensor:
        """v: (B, 3, S, S) -> (B, D, h, w), not negative and not normalised."""
        return torch.relu(self.image_head(self.image_trunk(image)))

    def auditory(self, audio: Tensor) -> Tensor:
        """h: (B, 1, F, T) -> (B, D), likewise."""
        return torch.relu(self.audio_head(self.audio_trunk(audio)))

    def logits(self, seen: Tensor, heard: Tensor) -> dict[str, Tensor]:
        """Of the classes, by what they are told from: two of (B, D) -> (B, K) each, float32."""
        if self.config.shared:
            given = {"image": seen, "audio": heard, "both": (seen + heard) / 2}
            return {name: self.image_classes(each).float() for name, each in given.items()}
        both = self.both_classes(torch.cat([seen, heard], dim=1))
        return {
            "image": self.image_classes(seen).float(),
            "audio": self.audio_classes(heard).float(),
            "both": both.float(),
        }

    def seen(self, visual: Tensor) -> Tensor:
        """What the classes are told from, of the cells of several images (B, N, D, h, w): (B, D)."""
        return visual.mean(dim=(3, 4)).mean(dim=1)

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        """Of one image, which several that stand still are as well."""
        return self._predicted(self.visual(image).unsqueeze(1), audio)

    def predict(self, batch: Batch) -> Prediction:
        return self._predicted(of_each(self.visual, images_of(batch, self.config.frames)), batch["audio"])

    def _predicted(self, visual: Tensor, audio: Tensor) -> Prediction:
        own, auditory = middle_of(visual), unit(self.auditory(audio))
        maps = paired_maps(unit(own) if self.config.response == "cosine" else own, auditory)
        return Prediction(maps, max_response(maps), unit(self.seen(visual)), auditory)

    def class_responses(self, batch: Batch) -> Tensor:
        """How sure every cell of the own image is of a class, times how sure the sound is of it: (B, K, h, w)."""
        own = middle_of(images_of(batch, self.config.frames))
        cells, heard = self.visual(own).movedim(1, 3), self.auditory(batch["audio"])
        seen = self.image_classes(cells).float().softmax(dim=3).movedim(3, 1)
        return seen * self.logits(heard, heard)["audio"].softmax(dim=1)[..., None, None]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        visual = of_each(self.visual, images_of(batch, self.config.frames))
        logits = self.logits(self.seen(visual), self.auditory(batch["audio"]))
        terms = {name: F.cross_entropy(each, batch["label"]) for name, each in logits.items()}
        return {"total": torch.stack(list(terms.values())).sum(), **terms}
