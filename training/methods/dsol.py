r"""DSOL, first stage: discriminative sounding objects localization (Hu et al., NeurIPS 2020, arXiv:2010.05466).

Mathematics. With unit features v'(x) of an image's cells and a' of a sound, two layers above the trunks, and a scale w
that is learned and begins at 5, image and sound of one clip belong together when their best cell does:

    l(x) = sigma(w <v'(x), a'>)        L_loc = ( BCE(max_x l, 1) of matching + BCE(max_x l, 0) of mismatched ) / 2

Between these, objects are named. Of every training clip, with the trunk's features V(x) (before the two layers),

    m(x) = [l(x) > 0.05], grown by the four neighbours of its cells        o = mean_x m(x) V(x)

and k-means of the o of unit length gives each clip a class y*, the dictionary d_k being the mean o of class k. Two
fresh linear layers, on the mean of V over cells and on the trunk's sound, then learn the classes with the trunks:

    L_cls = CE(image, y*) + CE(sound, y*)

The stages alternate, an epoch of one kind at a time: one of L_loc at the beginning, then again and again one of L_loc
and `passes` of L_cls, the clusters made anew before the first of these. An epoch of the paper is such a round: its 15
are 57 epochs of a run with 3 passes, and `optim.epochs: 37` is its epoch 10, the one handed on. Prediction: the map l.

Deviations and choices where paper and released code differ:
- clips with one source are assumed (MUSIC's solos). On others (VGGSound, Flickr) the benchmarking paper trained it all
  the same and does not say with how many classes; `clusters: 100` there.
- mismatches: `one` other clip of the batch for each image, in place of one further image for each sound: the same pairs
  with half of the work. Batch-norm statistics differ by that.
- one Adam moves everything, the fresh layers at `head_rate` times the rate (1e-3 / 1e-4); the code has a second one,
  made anew with the fresh layers, where here the moments of their predecessors stay.
- sound: the code's 1 s of 64 mel bands gives 13 x 4 cells; here what the shards hold. Of four frames of that second the
  code draws one; here it is the stored one.
- cells at the border of a map do not grow, as in the code.
- the code's variant for AudioSet (products without unit length, a bias) is `avol` with a ReLU more.
- k-means is made from k-means++ with a seed of the epoch; the code's is FAISS's or scikit-learn's.
- confidence: the largest cell of l.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from training.config import Encoders, Section
from training.methods.contract import Batch, TrainingClips
from training.methods.correspondence import CorrespondenceMethod
from training.parts.clustering import PseudoLabels, check_clusters, cluster_means, kmeans
from training.similarity import paired_maps, unit

HEAD_DEVIATION = 0.01


class Config(Section):
    """Options of DSOL's first stage; the defaults are those of the released code for MUSIC."""

    dimension: int = Field(128, gt=0, description="of the common space")
    scale: float = Field(5.0, gt=0, description="first value of w")
    clusters: int = Field(11, gt=1, description="classes of objects: MUSIC's 11 instruments; 20 over-clusters")
    mask_threshold: float = Field(0.05, gt=0, lt=1, description="of l, above which a cell is of the object")
    passes: int = Field(3, ge=0, description="epochs of classes for each of localization; 0: localization only")
    head_rate: float = Field(10.0, gt=0, description="learning rate of the class layers / of the rest")
    mismatches: Literal["one", "all"] = Field("one", description="other clips of the batch that an image is shown with")


class Method(CorrespondenceMethod):
    """Where it sounds and what it is, in turns."""

    config: Config
    dictionary: Tensor

    def __init__(self, config: Config, encoders: Encoders) -> None:
        first = {"scale": config.scale, "bias": None}
        super().__init__(config, encoders, config.dimension, cosine=True, rectified=True, **first)
        self.classifying = False
        if config.passes:
            self.image_classes = nn.Linear(self.image_trunk.dimension, config.clusters)
            self.audio_classes = nn.Linear(self.audio_trunk.dimension, config.clusters)
            self.pseudo_labels = PseudoLabels()
            self.register_buffer("dictionary", torch.zeros(config.clusters, self.image_trunk.dimension))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The class layers move faster than the rest."""
        heads = [*self.image_classes.parameters(), *self.audio_classes.parameters()] if self.config.passes else []
        apart = {id(parameter) for parameter in heads}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in apart]
        return [{"params": rest, "rate": 1.0}, {"params": heads, "rate": self.config.head_rate}]

    def check_clips(self, clips: TrainingClips) -> None:
        """InputError where they are fewer than the classes that they are parted into."""
        if self.config.passes:
            check_clusters("method.clusters", self.config.clusters, len(clips.rows), "training clips")

    def before_epoch(self, epoch: int, clips: TrainingClips) -> None:
        """Decide what the epoch learns; name the objects where a series of epochs of classes begins."""
        turn = (epoch - 1) % (1 + self.config.passes) if epoch else 0
        self.classifying = turn > 0
        if epoch == 0 and self.config.passes:  # what weights of another run bring is of its clips
            self.pseudo_labels.forget()
            self.dictionary.zero_()
        if turn == 1 and not self._has_named(epoch, clips):
            self._name_objects(epoch, clips)

    def _has_named(self, epoch: int, clips: TrainingClips) -> bool:
        """Whether a run that is resumed has named its objects already."""
        return int(self.pseudo_labels.epoch) == epoch and self.pseudo_labels.are_of(clips.rows, clips.sha256)

    def _name_objects(self, epoch: int, clips: TrainingClips) -> None:
        objects = clips.each(lambda batch: self.object_features(batch["image"], batch["audio"]))
        labels = kmeans(unit(objects), self.config.clusters, seed=epoch)
        self.pseudo_labels.renew(epoch, clips.rows, clips.sha256, labels)
        self.dictionary.copy_(cluster_means(objects, labels, self.config.clusters))
        fresh = torch.Generator().manual_seed(epoch)  # the same in every process
        for head in (self.image_classes, self.audio_classes):
            head.weight.data.copy_(HEAD_DEVIATION * torch.randn(head.weight.shape, generator=fresh))
            head.bias.data.zero_()

    def object_features(self, image: Tensor, audio: Tensor) -> Tensor:
        """o: the trunk's features of the cells that sound, a mean over all cells: -> (B, C), not normalised."""
        features = self.image_trunk(image)
        products = paired_maps(self.projected_image(features), self.auditory(audio))
        mask = grown(torch.sigmoid(self.logits(products)) > self.config.mask_threshold)
        return (features * mask.unsqueeze(1)).mean(dim=(2, 3))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        seen, heard = self.image_trunk(batch["image"]), self.audio_trunk(batch["audio"])
        visual, auditory = self.projected_image(seen), self.projected_audio(heard)
        terms = {"localization": self.correspondence_loss(visual, auditory, batch, self.config.mismatches)}
        if not self.config.passes:
            return {"total": terms["localization"]}
        labels = self.pseudo_labels.of(batch["row"])
        terms["classes"] = _cross_entropy(self.image_classes, seen.mean(dim=(2, 3)), labels)
        terms["classes"] = terms["classes"] + _cross_entropy(self.audio_classes, heard, labels)
        # both are computed, so that every process expects the same gradients in every epoch
        weights = {"localization": float(not self.classifying), "classes": float(self.classifying)}
        return {"total": torch.stack([weights[name] * term for name, term in terms.items()]).sum(), **terms}


def grown(mask: Tensor) -> Tensor:
    """Each cell of a mask that is not at the border takes its four neighbours in: (B, h, w) bool -> the same."""
    inner = F.pad(mask[:, 1:-1, 1:-1], (1, 1, 1, 1))
    sides = [inner.roll(step, dims=axis) for axis in (1, 2) for step in (-1, 1)]
    return torch.stack([mask, *sides]).any(dim=0)


def _cross_entropy(layer: nn.Linear, features: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(layer(features).float(), labels)
