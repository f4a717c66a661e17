"""Failures of the machine, told from those of a clip: they end the run, which can be continued, and reject nothing."""

import errno
from pathlib import Path

from manifests.errors import WorkFailed

FAILURES = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE),  # nothing is left
    *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),  # the file server is gone
}


class MachineFailed(OSError, WorkFailed):
    """Storage, disk or a program of this machine fails: no clip's fault, and a sentence where nobody knows more."""


def is_machines_fault(error: OSError) -> bool:
    """Whether an error is one of the machine or of its storage (FAILURES) rather than of the one file that was read."""
    return isinstance(error, MachineFailed) or error.errno in FAILURES


def check_still_there(path: Path) -> None:
    """MachineFailed when a listed file's whole folder is gone or empty: a disk that is no longer mounted."""
    if not path.parent.is_dir() or next(path.parent.iterdir(), None) is None:
        raise MachineFailed(
            f"{path} was there when the sources were listed, and now its folder is missing or empty; is its disk "
            "mounted on every worker?"
        )
