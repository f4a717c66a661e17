"""HTK's mel scale: how high a frequency sounds. Where front ends and descriptors place their bands."""

import numpy as np
from numpy.typing import ArrayLike

SCALE, CORNER = 2595, 700  # mels per tenfold frequency far above the corner, Hz


def mel(hertz: ArrayLike) -> np.ndarray:
    """Frequencies in Hz -> mels, of the same shape."""
    return SCALE * np.log10(1 + np.asarray(hertz) / CORNER)


def hertz_of(mels: ArrayLike) -> np.ndarray:
    """The inverse of `mel`."""
    return CORNER * (10 ** (np.asarray(mels) / SCALE) - 1)
