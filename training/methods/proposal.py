r"""Proposal: a proposal-based paradigm for videos (Xuan et al., CVPR 2022; extended in doi:10.1109/TPAMI.2024.3363508).

Mathematics. Three streams end in one space of unit vectors: the sound f_s, the frame f_att and its region proposals
f_k. The sound attends to the frame, w over its cells, which is the location map m (brought to the image's size):

    w = attention(V, s)        f_att = norm FC( sum_x w(x) V(x) )        g = (m - min m) / (max m - min m)

g says which regions respond (the global response map). The K regions with the most of it are kept, described by a
pyramid of maxima of V over the region, and weighed by the sound:

    d_k = [ cos(f_s, f_k) ]_+        alpha_k = d_k / sum_j d_j        f_v = norm sum_k alpha_k f_k
    L_tri = 2 sigma( |f_v - f_s| - |f_v - f_s'| )^2        L_euc = |f_v - f_att|^2        loss = L_tri + lambda L_euc

with f_s' the sound of another video; no labels. g passes no gradient. The answer is a box, the region of the largest
d_k, and d_on = max d_k is the confidence; for two sources the best one and the best that does not overlap it.
Prediction: the boxes, and as a by-product the map w. On screen or off: `training evaluate RUN --protocol onscreen`
(m_on, d_on > 0.2, either).

Deviations, and choices where the paper leaves things open (no code is public):
- selection: a region's confidence is printed as the sum of g over its pixels. g is not negative, so a region that holds
  another always has more: the whole frame ranks first, and the K kept are the K largest around the peak. It works on
  Flickr, whose boxes are huge. `sum_centred` (default) sums g minus its mean, which is 0 for the whole frame; `sum` is
  the printed one, `mean` the sum over the area, `all` keeps every region (the ablation without selection, which leaves
  L_euc out as well: `euclidean_weight: 0`). Measured on three beds (benchmarks/README.md): with `sum` its boxes are
  better on each, with `sum_centred` its map is on two.
- regions: Selective Search, as in the paper, which does not say in what setting: OpenCV's fast one, on the stored
  image (`pipeline ingest --proposals`). EdgeBoxes, the alternative that it names, needs a model of edges that no
  package holds; boxes of any program are taken from a file (`pipeline annotate --proposals FILE`).
- regions over 0.9 or under 0.01 of the image, narrower than 16 of 224 pixels, or nearly the same as a better one are
  not ranked (training/data/regions.py). A view's crop and flip move them; those under 30 % visible are dropped.
- attention: the axis of its softmax phi is not stated. `locations` (default): over cells for the frame, over channels
  for the sound, so that w is a distribution over cells; `channels`: over channels for both, which makes w almost even;
  `cosine`: softmax over cells of the rectified cosine. All are scaled to sum 1.
- g divides by max m in print, which ranks regions as the division by the range does.
- alpha: the ratio as printed, or `softmax`; where all d are 0, every region counts the same, else nothing would ever
  learn.
- answer: `similarity` takes the region of the largest d, as printed. But all regions that hold a part of the object
  come to nearly the same d: their maxima are the object's, and the loss sees the K only as one sum (of 20 regions, 7
  were within 0.02 of the best on made clips). `agreement` (default) takes the largest product of d and the centred sum
  of g over the region: of those that fit equally the one that the frame stream outlines.
- heads: their form is not stated. Without anything between their layers all outputs begin near one vector, the biases'
  own; then all d are near 1 or all are 0, L_euc pulls the streams together before L_tri has parted them, and how
  many epochs that lasts is the seed's luck. `normalised_heads` (default) has batch norm between the layers.
- unit vectors in both losses; else L_euc, a sum over all dimensions, shrinks everything to 0.
- L_euc pulls both ways, the only way to train the attention; `stop_gradient` holds f_v still.
- their description: maxima over levels of 1, 2 and 4 cells a side of bilinear samples, in place of SPP on VGG-16 with
  a dilated fifth stage (28 x 28 cells). Trunks are the run's; with stage 4 at stride 16, maps have 14 x 14 cells.
- sound: VGGish on 0.96 s there; `encoders.audio.layout: vggish`, or the run's trunk on what the shards hold.
- LSTM: the paper passes the frames of a video, and their sounds, through one LSTM each before they meet. `frames: N`
  does, with N images of the clip, `rate` a second (`pipeline ingest --burst N --burst-rate RATE`), the sound of
  `sound_seconds` around each, and the same LSTM for every cell of an image. Proposals are stored for the clip's own
  image, the middle one; only its losses are taken, and what comes after it is not seen. `frames: 1` (default) has no
  LSTM, which over one step is a gated layer: Flickr and the lists of 144k pairs have one image. N is not stated.
- Adam's rate is its default 1e-3 in the paper; here trunks may move slower than heads (`head_rate`).
- mismatches: `one` other clip of the batch, as in the paper, or `all`.
- non-overlapping: greedy by what `answer` ranks by, so with `agreement` by the product of d and the centred sum; the
  second box is the best with no pixel in common, else the one that overlaps least. `overlap` allows as much IoU, as the
  suppression of neighbours does with 0.3.
- the ranges of scores: d_on is a rectified cosine. Embeddings for retrieval are of the frame pooled evenly, since f_v
  and f_att have heard the sound already; `onscreen` takes |f_v - f_s|.
"""

from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.regions import PYRAMID_CELLS, pyramid
from training.encoders.weights import build_audio_trunk, build_image_trunk
from training.methods.contract import BaseMethod, Batch, Prediction
from training.parts.pair_losses import distance_ratio_loss, draw_mismatches
from training.parts.regions import apart, responses, standard_range
from training.parts.several_images import (
    of_each,
    refuse_sounds_too_far,
    refuse_without_middle,
    standing_still,
    times_of,
)
from training.parts.spans import spans
from training.similarity import distances, einsum, unit

SMALLEST_SUM = 1e-6
SIDE = 224  # pixels that g is enlarged to, whatever the images have, so that a kept feature may stand for an image
EARLIER = {"normalised_heads": False, "answer": "similarity"}  # of runs from before these were options


class Config(Section):
    """Options of the proposal-based method; the defaults are the paper's where it states them."""

    dimension: int = Field(512, gt=0, description="of the common space, and of the heads' hidden layers")
    proposals: int = Field(20, gt=0, description="K, regions that are kept")
    selection: Literal["sum_centred", "sum", "mean", "all"] = Field("sum_centred", description="how regions are ranked")
    attention: Literal["locations", "channels", "cosine"] = "locations"
    weighting: Literal["ratio", "softmax"] = Field("ratio", description="alpha of the rectified cosines")
    euclidean_weight: float = Field(0.5, ge=0, description="lambda")
    stop_gradient: bool = Field(False, description="L_euc moves the frame stream only")
    normalised_heads: bool = Field(True, description="batch norm between the two layers of a head")
    answer: Literal["agreement", "similarity"] = Field("agreement", description="which region is the answer")
    sources: Literal[1, 2] = Field(1, description="boxes that are given")
    overlap: float = Field(0.0, ge=0, lt=1, description="IoU that the second box may have with the first")
    frames: int = Field(1, ge=1, description="N, images of the clip, an odd number; LSTMs pass from one to the next")
    rate: float = Field(1.0, gt=0, description="of these, so many a second")
    sound_seconds: float = Field(0.96, gt=0, description="sound of each of several images")
    head_rate: float = Field(10.0, gt=0, description="learning rate of what stands above the trunks / of the trunks")
    mismatches: Literal["one", "all"] = Field("one", description="other clips of the batch that an image is shown with")

    @model_validator(mode="after")
    def _the_sound_reaches_so_far(self) -> "Config":
        refuse_without_middle("frames", self.frames)
        refuse_sounds_too_far("frames", self.frames, self.rate, self.sound_seconds)
        return self


class _Streams(NamedTuple):
    """What is seen and heard of B clips, before attention."""

    features: Tensor  # (B, C, h, w) of the clips' own images
    cells: Tensor  # (B, h w, C) of these, perhaps after the images before
    sound: Tensor  # (B, A)


class Method(BaseMethod):
    """A sound chooses among the regions that respond."""

    config: Config
    least_clips = 2
    needs = frozenset({"proposals"})
    gives_boxes = True

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        self.image_trunk = build_image_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        seen, heard, wide = self.image_trunk.dimension, self.audio_trunk.dimension, config.dimension
        self.image_attention, self.audio_attention = (nn.Linear(width, wide, bias=False) for width in (seen, heard))
        standard = config.normalised_heads
        self.frame_head, self.audio_head = _head(seen, wide, standard), _head(heard, wide, standard)
        self.region_head = _head(PYRAMID_CELLS * self.image_trunk.dimension, wide, standard)
        if config.frames > 1:
            self.needs, self.only_for_trunks = self.needs | {"burst"}, frozenset()
            self.burst = (config.frames, config.rate)
            self.image_memory, self.audio_memory = (nn.LSTM(width, width, batch_first=True) for width in (seen, heard))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What stands above the trunks may move faster."""
        return self.others_at(self.config.head_rate, self.image_trunk, self.audio_trunk)

    def visual(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> cells (B, C, h, w), before any head."""
        return self.image_trunk(image)

    def _streams(self, batch: Batch) -> _Streams:
        if self.config.frames == 1:
            features = self.visual(batch["image"])
            return _Streams(features, _listed(features), self.audio_trunk(batch["audio"]))
        middle = self.config.frames // 2
        seen = of_each(self.visual, batch["burst"][:, : middle + 1])  # an LSTM knows nothing of what comes later
        after = self.image_memory(seen.flatten(3).permute(0, 3, 1, 2).flatten(0, 1))[0][:, -1]
        times = times_of(self.config.frames, self.config.rate)[: middle + 1]
        heard = of_each(self.audio_trunk, spans(batch["audio"], times, self.config.sound_seconds))
        return _Streams(seen[:, -1], after.unflatten(0, (len(seen), -1)), self.audio_memory(heard)[0][:, -1])

    def attention(self, cells: Tensor, sound: Tensor) -> Tensor:
        """w of cells (B, P, C) and sounds (B, A): (B, P), float32, of sum 1."""
        seen, heard = self.image_attention(cells).float(), self.audio_attention(sound).float()
        if self.config.attention == "cosine":
            return torch.cosine_similarity(seen, heard.unsqueeze(1), dim=2).clamp(min=0).softmax(dim=1)
        seen = seen.softmax(dim=1 if self.config.attention == "locations" else 2)
        weights = (seen * heard.softmax(dim=1).unsqueeze(1)).sum(dim=2)
        return weights / weights.sum(dim=1, keepdim=True)

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        """Without proposals: the location map alone, and the frame's cosine with the sound for a score.

        Where there should be several images, the one stands still.
        """
        still = standing_still(image, self.config.frames)
        return self._located(self._streams({"image": image, "audio": audio, "burst": still}))

    def _located(self, streams: _Streams) -> Prediction:
        features, cells, sound = streams
        weights = self.attention(cells, sound)
        heard, attended = unit(self.audio_head(sound)).float(), self._attended(cells, weights)
        even = self._attended(cells, torch.full_like(weights, 1 / weights.shape[1]))
        maps = weights.unflatten(1, features.shape[2:])
        return Prediction(maps, (attended * heard).sum(dim=1), even, heard)

    def predict(self, batch: Batch) -> Prediction:
        """Boxes beside the map: the region that the sound fits best, and the best beside it for two sources."""
        streams = self._streams(batch)
        prediction, features = self._located(streams), streams.features
        boxes, valid = self.selected(batch["proposals"], prediction.map)
        regions = self.described(features, boxes)
        fits, weights = self.weighed(regions, prediction.audio_embedding, valid)
        pooled = unit((weights.unsqueeze(2) * regions).sum(dim=1))
        ranks = self.ranked(fits, boxes, prediction.map)
        chosen = apart(boxes, fits.masked_fill(~valid, torch.nan), self.config.sources, ranks, self.config.overlap)
        score = fits.amax(dim=1)
        distance = (pooled - prediction.audio_embedding).norm(dim=1)
        return prediction._replace(score=score, boxes=chosen, distance=distance)

    def ranked(self, fits: Tensor, boxes: Tensor, maps: Tensor) -> Tensor:
        """What regions (B, K, 4) that fit so, (B, K), are chosen by, under maps (B, h, w): (B, K)."""
        if self.config.answer == "similarity":
            return fits
        return fits * (responses(standard_range(maps, SIDE), boxes, "sum_centred").clamp(min=0) + SMALLEST_SUM)

    def _attended(self, cells: Tensor, weights: Tensor) -> Tensor:
        return unit(self.frame_head(einsum("npc,np->nc", cells, weights)))

    def selected(self, proposals: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """The K regions that respond most, (B, K, 4), and which of them are there, (B, K): (B, P, 4), (B, h, w)."""
        if not proposals.shape[1]:  # a batch without any
            proposals = nn.functional.pad(proposals, (0, 0, 0, 1))
        present = (proposals[..., 2:] > proposals[..., :2]).all(dim=2)
        if self.config.selection == "all":
            return proposals, present
        ranked = responses(standard_range(maps.detach(), SIDE), proposals, self.config.selection)
        ranked = ranked.masked_fill(~present, -torch.inf)
        best = ranked.topk(min(self.config.proposals, ranked.shape[1]), dim=1).indices
        return proposals.gather(1, best.unsqueeze(2).expand(-1, -1, 4)), present.gather(1, best)

    def described(self, features: Tensor, boxes: Tensor) -> Tensor:
        """f_k: regions (B, K, 4) of cells (B, C, h, w) -> unit vectors (B, K, D)."""
        found = self.region_head(pyramid(features, boxes))
        return nn.functional.normalize(found.float(), dim=2)

    def weighed(self, regions: Tensor, heard: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """d_k and alpha_k (B, K) of unit vectors (B, K, D), (B, D); regions that are not there weigh nothing."""
        fits = einsum("nkd,nd->nk", regions, heard).clamp(min=0) * valid
        if self.config.weighting == "softmax":
            weights = fits.masked_fill(~valid, -torch.inf).softmax(dim=1).nan_to_num(0.0)
            return fits, weights
        total = fits.sum(dim=1, keepdim=True)
        even = valid / valid.sum(dim=1, keepdim=True).clamp(min=1)
        return fits, torch.where(total > 0, fits / (total + SMALLEST_SUM), even)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        features, cells, sound = self._streams(batch)
        weights = self.attention(cells, sound)
        heard, attended = unit(self.audio_head(sound)).float(), self._attended(cells, weights).float()
        maps = weights.unflatten(1, features.shape[2:])
        boxes, valid = self.selected(batch["proposals"], maps)
        regions = self.described(features, boxes)
        _, alpha = self.weighed(regions, heard, valid)
        pooled = unit((alpha.unsqueeze(2) * regions).sum(dim=1))
        mismatched = draw_mismatches(batch["source"], self.config.mismatches)
        seen = pooled.detach() if self.config.stop_gradient else pooled
        terms = {
            "ratio": distance_ratio_loss(distances(pooled, heard), mismatched),
            "euclidean": (seen - attended).square().sum(dim=1).mean(),
        }
        return {"total": terms["ratio"] + self.config.euclidean_weight * terms["euclidean"], **terms}


def _listed(features: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, P, C)."""
    return features.flatten(2).transpose(1, 2)


class _Standardised(nn.BatchNorm1d):
    """Batch norm of vectors (..., D), whatever their number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.reshape(-1, input.shape[-1])).view_as(input)


def _head(width: int, dimension: int, standard: bool) -> nn.Sequential:
    between = [_Standardised(dimension)] if standard else []
    return nn.Sequential(nn.Linear(width, dimension), *between, nn.ReLU(), nn.Linear(dimension, dimension))
