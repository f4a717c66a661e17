"""Clips for other programs: as Parquet for `datasets`, as shards for Megatron-Energon."""
