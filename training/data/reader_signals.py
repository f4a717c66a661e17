"""Reader processes and the signals that are meant for the run.

Slurm signals every process of a job. A reader that dies of it would end the run before it has saved, so a reader obeys
SIGTERM only from its parent: torch ends readers so.
"""

import os
import signal
import threading


def obey_parent_alone(_worker: int) -> None:
    """Give this reader process its manners; a DataLoader's `worker_init_fn`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_parent, args=(os.getppid(),), daemon=True).start()


def _wait_for_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
