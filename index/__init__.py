"""Stage 2, shards to neighbours: embeddings of every clip, then exact nearest neighbours of every embedding.

The search process never imports torch: FAISS and torch carry two OpenMP runtimes that do not share a process well.
"""
