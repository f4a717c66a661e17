"""SSLalignment's evaluator: top half with a strict threshold, and the same ranking cut at the truth's area."""

from dataclasses import replace

from training.evaluation.protocol import adaptive
from training.evaluation.protocols.ezvsl import EZVSL

KAIST = replace(EZVSL, name="kaist", comparator=">", source="SSLalignment e7ae3c5 test.py validate")
PROTOCOLS = (KAIST, adaptive(KAIST, "adaptive"))
