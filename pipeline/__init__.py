"""Stage 1, media to shards: walk a corpus, decode every clip once, write deterministic WebDataset shards.

Data flows manifests <- pipeline <- index <- training; nothing here imports torch or webdataset.
"""
