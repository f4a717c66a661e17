"""Shards as they are on disk: records, the manifest that says where each lies, companions; a writer and a store."""
