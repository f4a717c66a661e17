"""The default: the papers' 11025 Hz, window of 46 ms and 257 x 300, which no released code makes."""

from pipeline.media.log_power import LogPower

FRONT_END = LogPower(name="log-power-11025-512-110-v1", sample_rate=11025, hop=110, frames=300, centred=True)
