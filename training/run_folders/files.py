"""What lies in a run's folder, by name."""

CONFIG = "config.yaml"  # as resolved
COMMAND = "command.txt"  # the line it was started by
ENVIRONMENT = "environment.json"  # versions and hardware
FACTS = "data.json"  # what it was trained on
LOG = "metrics.jsonl"
EVENTS = "events"  # the log again, for TensorBoard
CHECKPOINTS = "checkpoints"
WEIGHTS, BEST_WEIGHTS = "weights.safetensors", "weights.best.safetensors"
EVALUATION = "evaluation"  # results; those of the best weights in a folder of it
DONE = "DONE"  # written last
LOCK = "lock"  # there as long as somebody trains
