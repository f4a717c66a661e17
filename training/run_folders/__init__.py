"""A run's folder, which `training.runs` owns: what it is called, which run it holds, made where, and what it logged."""
