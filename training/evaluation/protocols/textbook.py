"""This project's own: what the released evaluators mean, with ties broken so that exactly the asked pixels count."""

from training.evaluation.protocol import MapProtocol

TEXTBOOK = MapProtocol(
    "textbook", "this project: exactly half of the pixels, stable ties, confidence is the maximum",
    align_corners=False, exact=True, confidence="maximum",
)  # fmt: skip
PROTOCOLS = (
    MapProtocol(
        "adaptive_exact", "this project: exactly as many pixels as the truth, stable ties", align_corners=False,
        rule="adaptive", exact=True,
    ),
    TEXTBOOK,
)  # fmt: skip
