"""What a run's YAML may say, beneath the records of `training.config`: files, numbers, limits, mistakes in words."""
