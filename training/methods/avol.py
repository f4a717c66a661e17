r"""AVOL-Net: objects that sound (Arandjelovic and Zisserman, ECCV 2018, arXiv:1712.06651).

Mathematics. With v(x) the feature of an image at cell x and a the vector of a sound, two layers each above their
trunks, and a scale w and a bias b that are learned:

    l(x) = sigma(w <v(x), a> + b)        y = max_x l(x)
    loss = ( BCE(y, 1) of matching pairs + BCE(y, 0) of mismatched pairs ) / 2

A matching pair is an image with its own sound; a mismatched one has the sound of another video. Nothing else is known:
that an object sounds has to be found out by which cell explains the sound. Prediction: the map l.

Encoders: in the paper two plain networks of four blocks from scratch, images at stride 16, sounds ended by a global max
pool; then 128 dimensions.

Deviations and choices where sources differ (the authors released no code; the layers follow third parties'):
- trunks: ResNet-18 with stage 4 at stride 16 (`encoders.image.last_stride: 1`) in place of the plain networks.
- no ReLU between the image's two 1 x 1 convolutions and no unit length, as in third parties' code and the paper's
  figure.
- first values of w and b are not stated: 1 / sqrt(128) and -0.5 here, so that products of 128 dimensions begin small.
- mismatches: `one` other clip of the batch for each image, as many as matching pairs, as in the paper; `all` takes
  every clip of another video, which is a different and often stronger method.
- sound: 1 s around the frame in the paper, here what the shards hold. The paper warns that sounds always cut at a frame
  betray themselves to the network by traces of the codec; mismatched sounds here are cut in the same way.
- learning rate: a factor of 0.94 every 16 epochs is `optim.decay_at: [0.8]` of 20. The paper's batch of 2,048
  pairs over 16 GPUs fits no single one.
- AVE-Net, the sibling for retrieval (distances of unit vectors of whole images), is not part of this file.
- several sources: there is one map, whatever the number of sources.
- confidence: y, the largest cell of the map, as the paper decides by.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor

from training.config import Encoders, Section
from training.methods.contract import Batch
from training.methods.correspondence import CorrespondenceMethod


class Config(Section):
    """Options of AVOL-Net; the dimension is the paper's."""

    dimension: int = Field(128, gt=0, description="of the common space")
    scale: float = Field(128**-0.5, gt=0, description="first value of w")
    bias: float = Field(-0.5, description="first value of b")
    mismatches: Literal["one", "all"] = Field("one", description="other clips of the batch that an image is shown with")


class Method(CorrespondenceMethod):
    """Do image and sound belong together, decided by the best cell."""

    config: Config

    def __init__(self, config: Config, encoders: Encoders) -> None:
        first = {"scale": config.scale, "bias": config.bias}
        super().__init__(config, encoders, config.dimension, cosine=False, rectified=False, **first)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        visual, auditory = self.visual(batch["image"]), self.auditory(batch["audio"])
        return {"total": self.correspondence_loss(visual, auditory, batch, self.config.mismatches)}
