"""How large each part of the GPU check is: as on a GPU, or small enough to try the script on two cores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Clips of the corpus, what is trained how long, how many vectors are searched."""

    clips: int
    image_size: int
    blocks: tuple[int, ...]
    batch: int
    compared_batch: int
    compared_steps: int  # whose losses are held against the CPU's
    curve_steps: int  # of float32 and bfloat16
    warm_up: int  # steps before a clock starts
    timed_steps: int
    vectors: int
    k: int
    workers: int


FULL = Sizes(16_384, 224, (2, 2, 2, 2), 128, 32, 8, 60, 10, 48, 50_000, 1000, 14)
DRY = Sizes(24, 32, (1, 1), 4, 4, 3, 6, 1, 2, 500, 10, 1)
