"""A run's folder, which `training.runs` makes and opens: its name, which run it holds, made where, what it logged."""
