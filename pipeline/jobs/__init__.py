"""Who does the work of an ingest: the plan, the workers, one shard, the decoder's own process, and what is counted."""
