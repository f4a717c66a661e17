"""A localizer whose answers are known: what is bright sounds while it is loud."""

import pytest
from bright_localizer import BrightAndLoud, stand_in

from training import Localizer


@pytest.fixture(scope="module")
def model() -> Localizer:
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, BrightAndLoud())
        return Localizer.load("runs/bright/0123abcd-s0", device="cpu")
