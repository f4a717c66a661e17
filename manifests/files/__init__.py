"""Files: those of others, read within bounds or refused in words; and ours, which readers meet whole or not at all."""
