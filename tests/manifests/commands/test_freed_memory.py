"""Memory that was freed is used again, and not mapped and zeroed once more."""

import os
import subprocess
import sys

import pytest

from manifests.commands.freed_memory import ASKED

TWICE = """
import resource
import numpy as np
from manifests.commands.freed_memory import keep_freed_memory
keep_freed_memory()
np.ones(8 << 20)  # 64 MB, given back at once
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(8 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
HUGE_PAGES = 32  # at the least so many pages, if the kernel gives them by 2 MB


def faults(**given: str) -> int:
    """Pages that the kernel had to give for a block of the size of one that was just freed."""
    environment = {name: value for name, value in os.environ.items() if name not in ASKED} | given
    words = [sys.executable, "-c", TWICE]
    return int(subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_a_block_takes_the_place_of_one_that_was_freed() -> None:
    assert faults() < HUGE_PAGES // 2


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_the_environment_says_counts() -> None:
    assert faults(MALLOC_MMAP_THRESHOLD_="131072") >= HUGE_PAGES
