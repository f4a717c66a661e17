"""`python -m training ...` and `torchrun -m training run x.yaml`."""

from training.cli import main

main()
