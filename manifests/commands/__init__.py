"""How a command speaks and ends: its exit code, its paragraph of what was wrong, and how it prints others' words."""
