"""Stage 3, shards and neighbours to localizers, scores and pages: methods, the training loop, evaluation, report."""
