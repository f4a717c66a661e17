"""Failures of the machine, told from those of a clip: they end the run, which can be continued, and reject nothing."""

import errno

EXHAUSTED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}


class MachineFailed(OSError):
    """Storage, disk or a program of this machine fails: no clip's fault."""


def is_machines_fault(error: OSError) -> bool:
    """Whether an error says that the machine failed, or has nothing left (EXHAUSTED), rather than what was read."""
    return isinstance(error, MachineFailed) or error.errno in EXHAUSTED
