"""Reader processes and the signals that are meant for the run.

Slurm and torchrun signal every process of a job. A reader that dies of it would end the run before it has saved, so a
reader obeys SIGTERM only from its parent (torch ends readers so), and is deaf to the others that ask a run to stop.
A parent that was killed ends none: each reader looks whether it is still there, also while it waits for a storage.
"""

import os
import signal
import threading

LOOK = 1.0  # seconds


def obey_parent_alone(_worker: int) -> None:
    """Give this reader process its manners; a DataLoader's `worker_init_fn`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for number in (signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, args=(os.getppid(),), daemon=True).start()


def _wait_for_parent(parent: int) -> None:
    while os.getppid() == parent:
        asked = signal.sigtimedwait({signal.SIGTERM}, LOOK)
        if asked is not None and asked.si_pid == parent:
            break
    os._exit(0)
