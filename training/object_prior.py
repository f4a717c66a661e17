r"""Object-guided localization (EZ-VSL, section 3.3): where an image has an object, whatever the sound.

Two priors from an image classifier that is never trained here, for any method and as a floor of its own:
- `activation` (the paper's L1): mean over channels of |features| of the last stage. The paper says L1 norm, the
  released code takes the mean; they differ by a constant factor. Features are post-ReLU: of EfficientNet-Lite0 those
  its classifier judges by.
- `class_posterior` (paper only, not in the released code): the classifier applied at every cell, softmax, highest
  class probability.
The fusion alpha * audio_visual + (1 - alpha) * prior and its normalisation belong to the protocol.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from index.encoders.efficientnet_lite import Classifier, read_classifier
from index.encoders.imagenet import IMAGENET
from index.encoders.pretrained import read_weight_file
from manifests.errors import InputError
from manifests.files.checksums import file_sha256
from manifests.files.given import understood
from training.config import Encoder
from training.config import ObjectPrior as Wanted
from training.encoders.resnet import ImageTrunk, freeze
from training.encoders.weights import load_into, read_weights
from training.evaluation.postprocess import COMBINED
from training.evaluation.stored import PRIOR, prior_of

Kind = Literal["activation", "class_posterior"]
LITE = "efficientnet_lite0"
OTHERWISE = "set evaluation.object_prior.weights to a file of `training pretrain`, or evaluation.object_prior to null"


def prior_facts(wanted: Wanted | None) -> dict[str, dict[str, str]]:
    """What a result made with an object prior depends on, as one of its lists; nothing without a prior.

    InputError when its weights cannot be read.
    """
    if wanted is None:
        return {}
    facts = {
        "name": Path(wanted.weights).name,
        "layout": wanted.layout,
        "kind": wanted.kind,
        "alpha": f"{wanted.alpha}",
    }
    if wanted.weights != IMAGENET:
        with understood(wanted.weights, remedy=f"Copy the run again from where it was made, or {OTHERWISE}."):
            facts["sha256"] = file_sha256(Path(wanted.weights))
    return {PRIOR: facts}


def has_prior(facts: Mapping[str, Any], wanted: Wanted | None) -> bool:
    """Whether a result was made with this object prior, whatever its file is called.

    One of an earlier version does not name its prior: it counts only where neither it nor the run has any.
    """
    made = prior_of(facts)
    return made == prior_of({"lists": prior_facts(wanted)}) and (bool(made) or COMBINED not in facts["scores"])


class ObjectPrior(nn.Module):
    """A frozen classifier's opinion of where objects are: (B, 3, S, S) normalised -> (B, h, w), not negative."""

    def __init__(self, weights: str, encoder: Encoder, kind: Kind) -> None:
        super().__init__()
        self.kind = kind
        made = _lite if encoder.layout == LITE else _resnet
        self.features, self.classifier = made(weights, encoder, kind)
        freeze(self)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        features = self.features(image)
        if self.kind == "activation":
            return features.abs().mean(dim=1)
        return self.classifier(features).softmax(dim=1).amax(dim=1)


def _resnet(weights: str, encoder: Encoder, kind: Kind) -> tuple[nn.Module, nn.Module]:
    """A trunk, and its classifier at every cell where the kind needs one."""
    state = read_weights(weights, encoder.blocks, OTHERWISE)
    trunk = ImageTrunk(encoder)
    load_into(trunk, state, weights)
    return trunk, _cellwise(state, weights) if kind == "class_posterior" else nn.Identity()


def _lite(weights: str, encoder: Encoder, kind: Kind) -> tuple[nn.Module, nn.Module]:
    """EfficientNet-Lite0 up to what its classifier judges by, which is not negative, and that classifier."""
    state = read_classifier(weights)
    network = Classifier()
    network.load_state_dict(state)
    return JudgedCells(network), _cellwise(state, weights)


class JudgedCells(nn.Module):
    """(B, 3, H, W) normalised -> (B, 1280, H / 32, W / 32) in [0, 6]."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.judged_by(self.network(image))


def _cellwise(state: dict[str, Tensor], weights: str) -> nn.Conv2d:
    """The classifier's linear layer as a 1 x 1 convolution."""
    if "fc.weight" not in state:
        raise InputError(f"weights {weights} have no classifier (fc.weight); the class posterior needs one.")
    classes, dimension = state["fc.weight"].shape
    classifier = nn.Conv2d(dimension, classes, 1)
    classifier.load_state_dict({"weight": state["fc.weight"][:, :, None, None], "bias": state["fc.bias"]})
    return classifier


def architecture_of(prior: Wanted) -> Encoder:
    """The trunk of the prior's weights: what a file says it holds, ResNet-18 for ImageNet's and for silent files."""
    named = prior.layout == LITE or prior.weights == IMAGENET
    stated = {} if named else read_weight_file(Path(prior.weights), OTHERWISE)[1]
    shape = {name: stated[name] for name in ("blocks", "width") if name in stated}
    return Encoder.model_validate({"layout": prior.layout, **shape})
