"""What methods that take several images of a clip have in common: the middle one, and the sound around each."""

import pytest
import torch

from training.parts.several_images import (
    images_of,
    middle_of,
    of_each,
    refuse_sounds_too_far,
    refuse_without_middle,
    standing_still,
    times_of,
)
from training.parts.spans import span, spans


def test_the_clip_s_own_image_is_the_middle_one() -> None:
    burst = torch.arange(2.0 * 5).view(2, 5, 1, 1, 1).expand(-1, -1, 3, 4, 4)
    batch = {"image": burst[:, 2], "burst": burst}
    assert torch.equal(middle_of(images_of(batch, 5)), batch["image"])
    assert torch.equal(images_of(batch, 1), batch["image"][:, None])
    still = standing_still(batch["image"], 3)
    assert all(torch.equal(still[:, number], batch["image"]) for number in range(3))
    assert torch.equal(of_each(lambda images: images.mean(dim=(1, 2, 3)), burst), burst[:, :, 0, 0, 0])


def test_the_sound_around_each_image_is_that_of_its_time() -> None:
    assert times_of(5, 4.0) == [-0.5, -0.25, 0.0, 0.25, 0.5]
    assert times_of(1, 25.0) == [0.0]
    audio = torch.randn(2, 1, 5, 300)
    found = spans(audio, times_of(3, 1.0), 1.0)
    assert torch.equal(found, torch.stack([audio[..., first : first + 100] for first in (0, 100, 200)], dim=1))
    assert torch.equal(found[:, 0], span(audio, -1.0, 1.0))


def test_images_without_a_middle_and_sounds_that_no_clip_holds_are_refused() -> None:
    refuse_without_middle("segments", 3)
    refuse_sounds_too_far("segments", 3, 1.0, 1.0)
    refuse_sounds_too_far("segments", 1, 1.0, 9.0)  # one hears what there is
    with pytest.raises(ValueError, match="segments is 4; an odd number has a middle one"):
        refuse_without_middle("segments", 4)
    with pytest.raises(ValueError, match=r"segments, rate .* up to 2.50 s .* lower segments or raise rate"):
        refuse_sounds_too_far("segments", 5, 1.0, 1.0)
