"""YAMNet's own: 16 kHz, 64 mel bands of 25 ms windows every 10 ms, ln(magnitude + 0.001), 64 x 298."""

from pipeline.media.log_mel import LogMel

FRONT_END = LogMel(name="log-mel-16000-400-160-v1", sample_rate=16000, hop=160, offset=1e-3)
