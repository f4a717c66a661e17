"""The released LVS code with ten seconds at 16 kHz, 257 x 671 (its paper says three): for its released checkpoints.

Its loader takes the first ten seconds of a file; these are the ten around the moment, the same for VGGSound's clips.
"""

from pipeline.media.log_power import LogPower

FRONT_END = LogPower(
    name="log-power-16000-512-238-10s-v1", sample_rate=16000, hop=238, frames=671, centred=False, seconds=10.0
)
