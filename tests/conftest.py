"""Settings of every test process, and what takes long to start and harms no test that shares it."""

import gc
import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

# several test processes share the cores: one thread each, set before numpy or torch start their pools
os.environ.setdefault("OMP_NUM_THREADS", "1")

# SIGHUP is ignored under nohup and SIGINT in the background of a script. Processes that tests start would inherit that;
# a handler that does nothing they do not.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(number, lambda *_: None)

settings.register_profile("beside others", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("beside others")

gc.disable()  # while libraries are imported and tests collected, nothing becomes garbage


def pytest_collection_finish() -> None:
    """What is there now stays: the collector need not look through all of torch again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """Where an S3 server answers; each test makes a bucket of its own."""
    from s3_server import s3_server

    with s3_server() as address:
        yield address
