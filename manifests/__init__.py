"""The ground everything stands on: what a corpus is, how its files are named, how its annotations are written.

Corpora and split lists are data (YAML beside this file); the readers of every annotation format and the algebra of
splits (overlap, coverage, leakage) are code. Nothing here knows about media, shards, neighbours or models.
"""
