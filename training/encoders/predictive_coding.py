"""SSPL's predictive coding module (PCM): a feature map is revised until it explains the sound.

Three levels of representation, the image's own resolution at the top (14 x 14), then half (7 x 7) and a quarter
(3 x 3). Predictions run down to the sound, prediction errors run up; a first sweep is followed by `cycles` more.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manifests.errors import InputError

LEVELS = 3
SMALLEST = 2 ** (LEVELS - 1)  # cells of a side that leave one on the lowest level
FEEDBACK_RATE, ERROR_RATE = 0.5, 1.0  # first values; learned per channel and kept from below 0 by a ReLU


class PredictiveCoding(nn.Module):
    """(B, C, h, w) and unit vectors (B, A) -> (B, C, h, w), signed. h, w >= 4; batch norm needs B > 1 in training.

    Names: `down[i]` predicts level i from level i + 1, `up[i]` brings the error of level i - 1 to level i; `up[0]`
    brings the sound's. The sizes of the released code follow from 14 x 14; others are cropped to fit.
    """

    def __init__(self, channels: int, audio_channels: int, cycles: int) -> None:
        super().__init__()
        self.cycles = cycles
        self.to_audio = nn.Conv2d(channels, audio_channels, 1)
        self.down = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(LEVELS - 1))
        self.up = nn.ModuleList(
            [
                nn.ConvTranspose2d(audio_channels, channels, 1, bias=False),
                nn.ConvTranspose2d(channels, channels, 3, stride=2, bias=False),
                nn.ConvTranspose2d(channels, channels, 3, padding=1, bias=False),
            ]
        )
        self.out = nn.ConvTranspose2d(channels, channels, 1)
        self.feedback_rate = _rates(channels, FEEDBACK_RATE)
        self.error_rate = _rates(channels, ERROR_RATE)
        sweeps = cycles + 1  # every sweep has its own batch norms
        self.feedback_norm = nn.ModuleList(_norms(channels, LEVELS - 1) for _ in range(sweeps))
        self.error_norm = nn.ModuleList(_norms(channels, LEVELS) for _ in range(sweeps))

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """InputError for fewer than 4 cells in height or width."""
        _check_size(*visual.shape[-2:])
        predicted = self._first_predictions(visual)
        state = self._corrected(predicted, predicted, audio, sweep=0)
        for sweep in range(1, self.cycles + 1):
            state, predicted = self._revised(state, predicted, sweep)
            state = self._corrected(state, predicted, audio, sweep)
        return self.out(state[-1])

    def rates(self) -> list[nn.Parameter]:
        """The learned rates, which take no weight decay."""
        return [*self.feedback_rate, *self.error_rate]

    @staticmethod
    def _norm(norms: nn.ModuleList, sweep: int, level: int) -> nn.Module:
        return cast(nn.ModuleList, norms[sweep])[level]

    def _predict(self, level: int, above: Tensor) -> Tensor:
        """What a level should be, given the one above it: half its size."""
        return F.max_pool2d(self.down[level](above), 2)

    def _first_predictions(self, visual: Tensor) -> list[Tensor]:
        """Level by level from the image down."""
        middle = F.gelu(self._norm(self.feedback_norm, 0, 1)(self._predict(1, visual)))
        lowest = F.gelu(self._norm(self.feedback_norm, 0, 0)(self._predict(0, middle)))
        return [lowest, middle, visual]

    def _revised(self, state: list[Tensor], predicted: list[Tensor], sweep: int) -> tuple[list[Tensor], list[Tensor]]:
        """Feedback: every level moves towards what the level above predicts; the top one towards the image."""
        state, predicted = list(state), list(predicted)
        state[-1] = F.gelu(self._mixed(LEVELS - 1, state[-1], predicted[-1]))
        for level in range(LEVELS - 2, -1, -1):
            predicted[level] = self._predict(level, state[level + 1])
            mixed = self._mixed(level, state[level], predicted[level])
            state[level] = F.gelu(self._norm(self.feedback_norm, sweep, level)(mixed))
        return state, predicted

    def _mixed(self, level: int, state: Tensor, predicted: Tensor) -> Tensor:
        rate = F.relu(self.feedback_rate[level])
        return (1 - rate) * state + rate * predicted

    def _corrected(self, state: list[Tensor], predicted: list[Tensor], audio: Tensor, sweep: int) -> list[Tensor]:
        """Feedforward: every level takes in the error of the level below, the lowest one the error about the sound."""
        error = audio - F.gelu(self.to_audio(state[0])).mean(dim=(2, 3))
        error = error[:, :, None, None].expand(-1, -1, *state[0].shape[-2:])
        corrected = []
        for level in range(LEVELS):
            change = F.relu(self.error_rate[level]) * self._raise(level, error, state[level])
            corrected.append(F.gelu(self._norm(self.error_norm, sweep, level)(state[level] + change)))
            error = corrected[level] - predicted[level]
        return corrected

    def _raise(self, level: int, error: Tensor, like: Tensor) -> Tensor:
        """An error brought to the size of the level above it."""
        height, width = like.shape[-2:]
        if level == LEVELS - 1:
            error = F.interpolate(error, size=(height, width), mode="bilinear", align_corners=True)
        return self.up[level](error)[..., :height, :width]


def _check_size(height: int, width: int) -> None:
    if min(height, width) < SMALLEST:
        raise InputError(
            f"predictive coding halves the cells of an image twice, and {height} x {width} of them leave none. Give it "
            f"at least {SMALLEST} x {SMALLEST}: a larger data.image_size, or a smaller encoders.image.last_stride."
        )


def _rates(channels: int, first: float) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(torch.full((1, channels, 1, 1), first)) for _ in range(LEVELS))


def _norms(channels: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(count))
