r"""Whole image: everything sounds, always. A floor, no citation: it neither looks nor listens.

Mathematics. map(x) = 1. Under a rule that keeps pixels equal to its threshold (>=) the prediction is the whole image:
21.95 cIoU on VGG-SS, the share of clips whose truth fills half of the frame. Under a strict rule (>) a constant map
predicts nothing; for such protocols the floor is the evaluation's own (`training/evaluation/floors.py`).

No encoders and nothing to train. Map of 224 x 224, the size every protocol scores at.

Deviations: none; the score and the embeddings are the same for every pair, so confidence and retrieval are chance.
"""

import torch
from torch import Tensor

from manifests.pixels import SIZE
from training.config import Section
from training.methods.contract import BaseMethod, Prediction


class Config(Section):
    """The whole image has no options."""


class Method(BaseMethod):
    """The same constant for every image."""

    config: Config

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        same = torch.ones(image.shape[0], 1, device=image.device)
        return Prediction(same.view(-1, 1, 1).expand(-1, SIZE, SIZE), same[:, 0], same, same)
