"""How torch's threads on a CPU wait for one another; said before torch is loaded, which reads it once."""

import os

# A thread that spins takes the core that the other one needs wherever anything else runs; one that sleeps at once is
# slow to wake (benchmarks/training/threads.py). The second is for GNU's threads, which torch has on Linux.
POLICY = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}


def threads_soon_sleep() -> None:
    """Let threads spin 10,000 times and then sleep, unless the environment says how they wait."""
    if not POLICY.keys() & os.environ.keys():
        os.environ |= POLICY
