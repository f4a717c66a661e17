"""SSLalignment's LVS-style loader, 257 x 299: for its released checkpoints."""

from pipeline.media.log_power import LogPower

FRONT_END = LogPower(name="log-power-16000-512-159-v1", sample_rate=16000, hop=159, frames=299, centred=False)
