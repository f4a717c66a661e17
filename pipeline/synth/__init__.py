"""The drawn corpus: clips of 24 sound classes with known truth, written in the formats of the real data sets."""
