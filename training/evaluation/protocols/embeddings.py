"""What is measured on embeddings instead of maps: retrieval both ways, and on screen or off."""

from training.evaluation.tasks.onscreen import OnscreenProtocol
from training.evaluation.tasks.retrieval import RetrievalProtocol

PROTOCOLS = (
    RetrievalProtocol("retrieval", "cosine of the method's image and audio embeddings"),
    RetrievalProtocol("retrieval_max", "largest cosine over positions, max_over_positions", over_positions=True),
    OnscreenProtocol("onscreen", "does the sound belong to the image at all; three rules"),
    OnscreenProtocol(
        "onscreen_validated", "the same rules, m_on's threshold from other clips", "the pairs of a validation set"
    ),
)
