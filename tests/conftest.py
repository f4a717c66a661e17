"""Settings of every test process."""

import os

# several test processes share the cores: one thread each, set before numpy or torch start their pools
os.environ.setdefault("OMP_NUM_THREADS", "1")
