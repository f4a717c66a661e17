r"""Object-guided localization (EZ-VSL, section 3.3): where an image has an object, whatever the sound.

Two priors from an image classifier that is never trained here, for any method and as a floor of its own:
- `activation` (the paper's L1): mean over channels of |features| of the last stage. The paper says L1 norm, the
  released code takes the mean; they differ by a constant factor. Features are post-ReLU.
- `class_posterior` (paper only, not in the released code): the classifier applied at every cell, softmax, highest
  class probability.
The fusion alpha * audio_visual + (1 - alpha) * prior and its normalisation belong to the protocol.
"""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from manifests.errors import InputError
from training.config import Encoder
from training.encoders.resnet import ImageTrunk, freeze
from training.encoders.weights import load_into, read_weight_file, read_weights

Kind = Literal["activation", "class_posterior"]
OTHERWISE = "set evaluation.object_prior.weights to a file of `training pretrain`, or evaluation.object_prior to null"


class ObjectPrior(nn.Module):
    """A frozen classifier's opinion of where objects are: (B, 3, S, S) normalised -> (B, h, w), not negative."""

    def __init__(self, weights: str, encoder: Encoder, kind: Kind) -> None:
        super().__init__()
        state = read_weights(weights, encoder.blocks, OTHERWISE)
        self.kind = kind
        self.trunk = ImageTrunk(encoder)
        load_into(self.trunk, state, weights)
        if kind == "class_posterior":
            self.classifier = _cellwise_classifier(state, weights)
        freeze(self)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        features = self.trunk(image)
        if self.kind == "activation":
            return features.abs().mean(dim=1)
        return self.classifier(features).softmax(dim=1).amax(dim=1)


def _cellwise_classifier(state: dict[str, Tensor], weights: str) -> nn.Conv2d:
    """The classifier's linear layer as a 1 x 1 convolution."""
    if "fc.weight" not in state:
        raise InputError(f"weights {weights} have no classifier (fc.weight); the class posterior needs one.")
    classes, dimension = state["fc.weight"].shape
    classifier = nn.Conv2d(dimension, classes, 1)
    classifier.load_state_dict({"weight": state["fc.weight"][:, :, None, None], "bias": state["fc.bias"]})
    return classifier


def architecture_of(weights: str) -> Encoder:
    """The trunk a weight file says it holds; ResNet-18 for ImageNet's and for files that do not say."""
    stated = {} if weights == "imagenet" else read_weight_file(Path(weights))[1]
    return Encoder.model_validate({name: stated[name] for name in ("blocks", "width") if name in stated})
