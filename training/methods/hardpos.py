r"""HardPos: sound localization from semantically similar samples (Senocak et al., ICASSP 2022).

doi:10.1109/ICASSP43922.2022.9747867; no code was released.

Mathematics. For clip i, j is one of the K clips nearest to it in sound, k one of the K nearest in appearance.
alpha_ab(x) is the cosine of sound a with image b at cell x, and R(alpha) its mean over its own soft mask
sigma((alpha - epsilon) / tau). Own and neighbouring pairs are positives together, one strong one suffices:

    Pos_i = exp R(alpha_ii) + exp R(alpha_ji) + exp R(alpha_ik) + exp R(alpha_jk)
    Neg_i = sum over l in N_i of exp R(alpha_il)
    loss  = -mean_i log( Pos_i / (Pos_i + Neg_i) ),   all responses divided by the temperature

N_i: the other images of the batch that are neither among i's neighbours in appearance nor in sound.

Encoders: as vanilla LVS, two ResNet-18 from scratch, images at stride 16 (`encoders.image.last_stride: 1`), sounds
ended by a global max pool, no heads. Prediction: the cosine map alpha_ii.

Neighbours are mined once by a trained `lvs_vanilla` (`training embed RUN`, then `index build-knn --k 1000`). The
paper's K is the length of those lists: 1000 of 144k clips (it tries 300 to 3000). The random-positive control is the
same method on lists of randomly chosen clips (`index random-knn`); those leave the negatives, too, as N_i is defined.

Deviations and choices where the paper leaves them open:
- negatives: the paper prints mean_x alpha_il(x) (`negatives: mean`), the mean over all cells against positives over the
  best ones. A peaked map then gains without listening: whichever the sound, its R is far above its mean. On synthetic
  clips such maps collect 98 to 100 % of what the loss can gain, and a trained model answers its own sound (R 0.867) as
  it does a foreign one (0.866). The default `masked` pools negatives over their own soft mask, as LVS's code and
  vanilla LVS do, so that only agreement counts; `hardpos_as_printed` keeps the print.
- temperature: the paper prints none (`temperature: null`); cosines in [0, 1] then leave the loss hardly any range, so
  the default is the 0.07 of LVS's code, which the method extends.
- combine: `sum_inside_log` is the printed loss; `sum_of_logs`, in which every positive has to win, is the rule of the
  alignment paper (ICCV 2023, the same group), for comparing the two on equal terms.
- j and k are drawn anew for every clip and epoch, uniformly and independently; the paper does not say how often.
- neighbours never hold the clip itself nor clips of its source video; such clips would be near ones, so here they are
  taken out of the negatives, too.
- an anchor all of whose negatives are neighbours costs nothing in that step.
- masks of neighbouring pairs are those of the current weights, and all masks are differentiated through.
- sound: the text says magnitude, the family's code makes log power; here what the shards hold (log power).
- optimiser, batch size and epochs are not printed.
- confidence: the method has none; the maximum cosine is used (the protocol may choose another).
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from training.config import Section
from training.losses import contrast, excluding, without_diagonal
from training.methods.contract import Batch
from training.methods.headless import HeadlessMethod
from training.similarity import cosine_maps, mean_response, paired_maps, soft_masked_response, unit

EARLIER = {"negatives": "mean"}  # of runs from before there was the option


class Config(Section):
    """Options of HardPos; the defaults are the paper's, the temperature that of LVS's code."""

    threshold: float = Field(0.65, gt=-1, lt=1, description="epsilon: cosine above which a cell counts as sounding")
    mask_temperature: float = Field(0.03, gt=0, description="tau: softness of the mask")
    temperature: float | None = Field(0.07, gt=0, description="of the softmax; null: none, as printed")
    negatives: Literal["masked", "mean"] = Field(
        "masked", description="pooling of negative maps: over their own soft mask, or over all cells as printed"
    )
    combine: Literal["sum_inside_log", "sum_of_logs"] = Field(
        "sum_inside_log", description="how the four positives join; sum_of_logs: each has to win by itself"
    )


class Method(HeadlessMethod):
    """Contrastive learning in which neighbours are positives and never negatives."""

    config: Config
    least_clips = 2
    needs = frozenset({"neighbours", "exclusions"})

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        near = batch["neighbours"]
        visual, near_visual = unit(self.visual(batch["image"])), unit(self.visual(near["image"]))
        auditory, near_auditory = self.auditory(batch["audio"]), self.auditory(near["audio"])
        pairs = ((visual, auditory), (visual, near_auditory), (near_visual, auditory), (near_visual, near_auditory))
        positives = torch.stack([self._masked(paired_maps(*pair)) for pair in pairs], dim=1)
        negatives = excluding(
            self._negatives(visual, auditory), torch.stack(list(batch["exclusions"].values())).any(dim=0)
        )
        temperature = self.config.temperature or 1.0
        return {"total": contrast(positives / temperature, negatives / temperature, combine=self.config.combine)}

    def _masked(self, maps: Tensor) -> Tensor:
        return soft_masked_response(maps, self.config.threshold, self.config.mask_temperature)

    def _negatives(self, visual: Tensor, auditory: Tensor) -> Tensor:
        """Response of each sound to every other clip's image: (B, B), rows are sounds."""
        pooled = mean_response if self.config.negatives == "mean" else self._masked
        return without_diagonal(pooled(cosine_maps(visual, auditory).float()).T)
