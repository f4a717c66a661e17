"""The code of EZ-VSL, SLAVC and FNAC with three seconds at 16 kHz, 257 x 200: for their released checkpoints."""

from pipeline.media.log_power import LogPower

FRONT_END = LogPower(name="log-power-16000-512-238-v1", sample_rate=16000, hop=238, frames=200, centred=False)
