"""Training: what feeds it, its steps, checkpoints, log, and how it stops and goes on."""
