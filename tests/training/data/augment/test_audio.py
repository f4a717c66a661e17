"""Batched augmentation of spectrograms against torchaudio, and against closed forms."""

import pytest
import torch
import torchaudio

from training.data.augment import (
    AUDIO_POLICIES,
    audio_view,
)
from training.data.augment.audio import draw_masks, mask_axis, time_shift

SILENCE = -16.0  # of a made-up front end


def audio(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 12, 30, generator=torch.Generator().manual_seed(0)).half()


def test_time_shift_is_a_roll_of_each_audio() -> None:
    spectrogram, shifts = audio(), torch.tensor([0, 1, 7, 29, 15])
    shifted = time_shift(spectrogram, shifts)
    for number, shift in enumerate(shifts.tolist()):
        assert torch.equal(shifted[number], spectrogram[number].roll(-shift, dims=1))


def test_masks_equal_torchaudio_s() -> None:
    spectrogram = audio().float()
    for seed in range(5):
        torch.manual_seed(seed)
        expected = torchaudio.functional.mask_along_axis_iid(spectrogram.unsqueeze(1), 9, -3.0, axis=3)
        torch.manual_seed(seed)
        masked = mask_axis(spectrogram, 2, draw_masks(5, 9, 30), -3.0)
        assert torch.equal(masked, expected.squeeze(1))


@pytest.mark.parametrize("policy", sorted(AUDIO_POLICIES))
def test_audio_policies_keep_shape_and_type_and_follow_the_seed(policy: str) -> None:
    spectrogram = torch.randn(8, 257, 300, generator=torch.Generator().manual_seed(0)).half()
    views = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        views.append(audio_view(spectrogram, policy, SILENCE))
    assert views[0].shape == spectrogram.shape
    assert views[0].dtype == torch.float16
    assert torch.equal(views[0], views[1])
    assert torch.equal(views[0], views[2]) == (policy == "none")


def test_masks_of_ssl_tie_cover_four_of_five_sounds_with_silence() -> None:
    torch.manual_seed(0)
    masked = audio_view(torch.zeros(250, 257, 300).half(), "masks", SILENCE).float()
    assert set(masked.unique().tolist()) == {0.0, float(torch.tensor(SILENCE).half())}
    covered = masked != 0
    assert float(covered.any(dim=2).any(dim=1).float().mean()) == pytest.approx(0.8, abs=0.09)
    time, frequency = covered.all(dim=1).sum(dim=1), covered.all(dim=2).sum(dim=1)
    assert 65 <= int(time.max()) <= 300 * 180 / 670
    assert 25 <= int(frequency.max()) <= 35


def stripes(policy: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """400 flat sounds of 40 rows and 90 columns under a policy; which rows and which columns of each are hidden."""
    torch.manual_seed(0)
    masked = audio_view(torch.ones(400, 40, 90), policy, SILENCE)
    hidden = masked != 1
    return masked, hidden.all(dim=2), hidden.all(dim=1)


def test_corrected_stripes_lie_along_their_own_axis_and_are_silent() -> None:
    masked, rows, columns = stripes("stripes_corrected")
    hidden = masked != 1
    assert masked[hidden].unique().tolist() == pytest.approx([SILENCE])
    assert torch.equal(hidden, rows.unsqueeze(2) | columns.unsqueeze(1))
    assert rows.sum(dim=1).unique().tolist() == columns.sum(dim=1).unique().tolist() == list(range(10))
    assert rows.any(dim=0).all()
    assert columns.any(dim=0).all()


def test_released_stripes_are_loud_and_start_along_the_other_axis() -> None:
    masked, rows, columns = stripes("stripes_released")
    assert masked[masked != 1].unique().tolist() == [0.0]
    assert float(rows.any(dim=1).float().mean()) == pytest.approx(0.9 * 40 / 90, abs=0.07)  # the others fall outside
    assert float(columns.any(dim=1).float().mean()) == pytest.approx(0.9, abs=0.05)
    assert not columns[:, 40 + 9 :].any()  # the last columns are never reached
