r"""AVObject: self-supervised learning of audio-visual objects from video (Afouras et al., ECCV 2020, arXiv:2008.04237).

Mathematics. Of n consecutive images each step t sees five, and the sound of the same time: v_t(p) are unit features of
an image's cells, a_t unit vectors of the sound, both by two layers above a trunk. With a scale s that is learned, a
clip agrees with a sound shifted by delta images as far as its best cells do:

    l_t(p, delta) = s <v_t(p), a_{t + delta}>        S_i(delta) = mean_t max_p l_t(p, delta)

and the own sound in time has to win against the own sound out of time and against those of other clips:

    loss = -mean_i log softmax( [ S_i(0), S_i(delta) for delta != 0, S_ij for j != i ] )_1

n images give n - 4 steps, as do the 4 n columns of sound that the released code has beside them. Prediction: l of the
clip's own image, at the shift of the largest S (`synchronise`), and averaged over five steps and three cells side by
side (`smoothing`), as in the released inference; smaller bursts are averaged over what there is. Confidence: the
largest l.

Objects. Of a mixture an image's sources are the best peaks of this map (`source_maps`), `n_peaks` at most: cells
without a higher one among their eight neighbours, further than `apart` from every better peak (100 pixels, city-block,
of images of 540 rows). Peaks are ranked, not matched with sounds: l is of the whole mixture, all that are there count
the same, and the first ones of two images under one sound share no more than their rank.

Where its assumption holds, that what sounds moves with the sound, it finds the source (`benchmarks/synchrony`): made
videos of two faces of one kind that both talk, of which one is heard; images, rate and shifts as released, 480 clips,
240 steps of 16, trunks from scratch, three seeds. By one image nobody can tell who is heard:

                                highest cell on who is heard   cIoU@0.5, `adaptive`
    AVObject                         82.7 % (81.2 .. 83.8)      33.5 (23.1 .. 52.5)
    without shifts                   97.9 % (97.5 .. 98.8)      51.9 (23.8 .. 66.2)
    EZ-VSL, which sees one image     24.4 % ( 0.0 .. 51.9)       0.4 ( 0.0 ..  1.2)
    object prior of ImageNet                                     8.8
    centred disc                                                 0.0

Sounds of other clips are out of time with an image as well, and all these voices are of one kind, so here they alone
teach more in as many steps: a shift by one image (`nearest: 1`, the code's) leaves most of what is heard in a step.

Deviations, and choices where the sources leave things open (released were inference and architecture, no training):
- the objective: recalled from the paper, of true alignment against shifted sounds of the clip and sounds of others. The
  30 shifts, -15 to 15 images, are a constant of the code. How many other clips: all of the batch, of other videos.
- how it was trained on VGGSound, for the numbers that other papers print, is not documented.
- trunks: a stack of its own in the code, of which the first convolution spans five images; here the run's ResNet or
  EfficientNet-Lite0 with its first convolution so widened. Sound: a stack of its own over 4 columns an image; here the
  run's trunk on the columns of the same five images, each step by itself, which is a convolution without a border in
  time. `sound_seconds` gives a step more to hear: YAMNet and VGGish, which have learned, know nothing below 0.96 s.
- images: 25 a second (`pipeline ingest --burst 9`). `rate` is what the shards hold; fewer a second are less precise in
  time, and shifts reach no further than the 3 s of sound.
- objects: the code stops at peaks, whose features its further heads take. What of the map is an object's is this
  project's choice: l + |s|, which is never below 0, in the cells that are nearer to its peak than to any other that was
  kept (as near: the higher one's), and 0 elsewhere. Peaks are of cells; the code enlarges the map to pixels before.
- `traced` averages the maps of all steps, smoothed as above, along the path of every cell of the clip's own image; the
  code does so always, of every pixel, by PWC-Net and from the first image of a longer video. Here it is Farneback's
  flow (OpenCV, on the CPU) between images as the model sees them. Off unless asked for: around one
  annotated image of nine it does little but smooth, and the numbers above are without.
- left out: the heads for separation and for who speaks.
- averaging logits ranks cells as averaging their log-softmax over cells does, and keeps the scale for confidence.
- an image and a sound alone are an image that stands still.
"""

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from training.config import Encoders, Section
from training.encoders.burst import SPAN, build_burst_trunk
from training.encoders.weights import build_audio_trunk
from training.methods.contract import BaseMethod, Batch, Prediction, SourceMaps
from training.parts.pair_losses import draw_mismatches
from training.parts.peaks import NONE, parts, peaks
from training.parts.several_images import of_each, refuse_without_middle, standing_still
from training.parts.spans import SECONDS, refuse_beyond, spans
from training.parts.trajectories import along, check_tracing, movements
from training.similarity import einsum, max_response, unit

SMOOTHED_STEPS, SMOOTHED_CELLS = 5, 3


class Config(Section):
    """Options of AVObject; the defaults are those of the released code."""

    images: int = Field(9, ge=SPAN, description="consecutive images, an odd number; the middle one is the clip's")
    rate: float = Field(25.0, gt=0, description="of these, so many a second: `pipeline ingest --burst-rate`")
    shifts: int = Field(15, ge=0, description="images that sounds are shifted by at most, either way")
    nearest: int = Field(1, ge=1, description="smallest shift that counts as out of time")
    others: bool = Field(True, description="sounds of other clips are negatives, too")
    sound_seconds: float | None = Field(
        None, gt=0, le=SECONDS, description="sound that a step hears; null: that of its five images"
    )
    dimension: int = Field(1024, gt=0, description="of the common space")
    scale: float = Field(1.0, gt=0, description="first value of s")
    synchronise: bool = Field(True, description="predict at the shift that agrees best")
    smoothing: bool = Field(True, description="average the map over steps and cells")
    traced: bool = Field(False, description="average the map along optical flow, over all steps; needs OpenCV")
    n_peaks: int = Field(4, ge=1, description="objects that a map is taken apart into, at most")
    apart: float = Field(0.185, ge=0, description="peaks of objects lie further apart, in heights of the image")

    @model_validator(mode="after")
    def _the_sound_reaches_so_far(self) -> "Config":
        refuse_without_middle("images", self.images)
        reach = ((self.images - SPAN) / 2 + self.shifts) / self.rate + self.heard_seconds / 2
        refuse_beyond(reach, "images, shifts, rate and sound_seconds", "lower images, shifts or sound_seconds")
        if not self.others and self.nearest > self.shifts:
            raise ValueError("nothing is left to tell the own sound from: allow shifts, or others")
        return self

    @property
    def heard_seconds(self) -> float:
        """Seconds of sound around the middle of a step."""
        return SPAN / self.rate if self.sound_seconds is None else self.sound_seconds


class Method(BaseMethod):
    """Sounds that are out of time, or of others, agree less."""

    config: Config
    needs = frozenset({"burst"})
    only_for_trunks = frozenset()  # several images and parts of sounds go into them

    def __init__(self, config: Config, encoders: Encoders) -> None:
        super().__init__(config, encoders)
        if config.traced:
            check_tracing("method.traced")
        self.burst, self.least_clips = (config.images, config.rate), 2 if config.others else 1
        self.image_trunk = build_burst_trunk(encoders.image)
        self.audio_trunk = build_audio_trunk(encoders.audio)
        seen, heard, wide = self.image_trunk.dimension, self.audio_trunk.dimension, config.dimension
        layers = nn.Conv2d(seen, seen, 1, bias=False), nn.BatchNorm2d(seen), nn.ReLU(), nn.Conv2d(seen, wide, 1)
        self.image_head = nn.Sequential(*layers)
        self.audio_head = nn.Sequential(
            nn.Linear(heard, heard, bias=False), nn.BatchNorm1d(heard), nn.ReLU(), nn.Linear(heard, wide)
        )
        self.scale = nn.Parameter(torch.tensor(config.scale))

    def seen(self, burst: Tensor) -> Tensor:
        """v of consecutive images (B, N, 3, S, S): unit features (B, N - 4, D, h, w)."""
        features = self.image_trunk(burst)
        return unit(self.image_head(features.flatten(0, 1))).float().unflatten(0, features.shape[:2])

    def heard(self, audio: Tensor, steps: int, shifts: int) -> Tensor:
        """a of `steps` steps in the middle of sounds (B, 1, F, T), and of `shifts` more on either side: unit vectors
        (B, steps + 2 shifts, D)."""
        reach = (steps - 1) // 2 + shifts
        times = [step / self.config.rate for step in range(-reach, reach + 1)]
        parts = spans(audio, times, self.config.heard_seconds)
        return of_each(lambda sounds: unit(self.audio_head(self.audio_trunk(sounds))).float(), parts)

    def forward(self, image: Tensor, audio: Tensor) -> Prediction:
        """Of an image that stands still."""
        return self._predicted(standing_still(image, SPAN), audio)

    def predict(self, batch: Batch) -> Prediction:
        return self._predicted(batch["burst"], batch["audio"])

    def source_maps(self, batch: Batch, sources: int) -> SourceMaps:
        """The best `sources` objects of every image, of `n_peaks` at most: peaks by height, not one for each sound."""
        maps = self.predict(batch).map
        cells = peaks(maps, self.config.n_peaks, self.config.apart)
        agreement = (maps + self.scale.float().abs()).clamp(min=0)  # l is at least -|s|: what is elsewhere is 0
        objects, there = parts(agreement, cells), (cells != NONE).float()
        return SourceMaps(objects[:, :sources], there[:, :sources])

    def _predicted(self, burst: Tensor, audio: Tensor) -> Prediction:
        visual, config = self.seen(burst), self.config
        steps, middle = visual.shape[1], visual.shape[1] // 2
        auditory = self.heard(audio, steps, config.shifts if config.synchronise else 0)
        agreement = self.shifted(visual, auditory)
        best = agreement.argmax(dim=1)
        chosen = (best[:, None] + torch.arange(steps, device=best.device))[..., None].expand(-1, -1, auditory.shape[2])
        in_time = auditory.gather(1, chosen)
        logits = self.logits(visual, in_time)
        own = logits[:, middle]
        maps = self._averaged(logits, burst)
        return Prediction(maps, max_response(own), unit(visual[:, middle].mean(dim=(2, 3))), in_time[:, middle])

    def _averaged(self, logits: Tensor, burst: Tensor) -> Tensor:
        """The clip's map of those of its steps, (B, N, h, w), and its images: (B, h, w)."""
        steps, config = logits.shape[1], self.config
        if not config.traced:
            return smoothed(logits, steps // 2) if config.smoothing else logits[:, steps // 2]
        every = torch.stack([smoothed(logits, step) for step in range(steps)], dim=1) if config.smoothing else logits
        return along(every, *movements(burst[:, SPAN // 2 : SPAN // 2 + steps]))

    def logits(self, visual: Tensor, auditory: Tensor) -> Tensor:
        """l of steps (B, N, D, h, w) and as many sounds (B, N, D): (B, N, h, w)."""
        return self.scale.float() * einsum("btdhw,btd->bthw", visual, auditory)

    def shifted(self, visual: Tensor, auditory: Tensor) -> Tensor:
        """S of steps (B, N, D, h, w) at every shift of sounds (B, M, D): (B, M - N + 1)."""
        steps = visual.shape[1]
        every = [auditory[:, first : first + steps] for first in range(auditory.shape[1] - steps + 1)]
        return torch.stack([max_response(self.logits(visual, one)).mean(dim=1) for one in every], dim=1)

    def with_others(self, visual: Tensor, auditory: Tensor) -> Tensor:
        """S of every clip's steps (B, N, D, h, w) with every clip's sound in time (B, N, D): (B, B)."""
        every = [self.scale.float() * einsum("itdhw,td->ithw", visual, sound) for sound in auditory]
        return torch.stack([max_response(logits).mean(dim=1) for logits in every], dim=1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        visual, shifts = self.seen(batch["burst"]), self.config.shifts
        auditory = self.heard(batch["audio"], visual.shape[1], shifts)
        agreement = self.shifted(visual, auditory)
        away = (torch.arange(-shifts, shifts + 1, device=agreement.device)).abs() >= self.config.nearest
        candidates = [agreement[:, shifts : shifts + 1], agreement[:, away]]
        if self.config.others:
            foreign = draw_mismatches(batch["source"], "all")
            in_time = auditory[:, shifts : shifts + visual.shape[1]]
            candidates.append(self.with_others(visual, in_time).masked_fill(~foreign, -torch.inf))
        logits = torch.cat(candidates, dim=1)
        return {"total": F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))}


def smoothed(logits: Tensor, step: int) -> Tensor:
    """Maps of steps (B, N, h, w), averaged over the five around one and three cells side by side: (B, h, w)."""
    around = SMOOTHED_STEPS // 2
    mean = logits[:, max(0, step - around) : step + around + 1].mean(dim=1)
    cells = (1, SMOOTHED_CELLS)
    return F.avg_pool2d(mean, cells, stride=1, padding=(0, SMOOTHED_CELLS // 2), count_include_pad=False)
