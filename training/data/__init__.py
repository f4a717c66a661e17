"""Shards to batches: which clips, in which order, read by whom; their views, positives and controls."""
