"""Failures of the machine, told from those of a clip: they end the run, which can be continued, and reject nothing."""

import errno
from pathlib import Path

from manifests.errors import WorkFailed

FAILURES = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE),  # nothing is left
    *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),  # the file server is gone
}

# said again however often it is asked: nothing is there, it is no file, nobody may, the content asks for nonsense
LASTING = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.EINVAL, errno.EOVERFLOW, errno.EILSEQ, errno.ENOSYS, errno.EOPNOTSUPP),
}


class MachineFailed(OSError, WorkFailed):
    """Storage, disk or a program of this machine fails: no clip's fault, and a sentence where nobody knows more."""


def is_machines_fault(error: OSError) -> bool:
    """Whether an error is one of the machine or of its storage (FAILURES) rather than of the one file that was read."""
    return isinstance(error, MachineFailed) or error.errno in FAILURES


def may_pass(error: OSError) -> bool:
    """Whether the same command may succeed when it is repeated, so that it ends with exit code 1 and not 2: after all
    that is not LASTING, such as what a disk or its server says now and then (EIO, ESTALE), and a full disk.

    Errors without a number are those of libraries over content that they did not expect. A single clip of ingest goes
    by `is_machines_fault` instead: it is left out where its own bytes do not come, which EIO may mean for ever.
    """
    return isinstance(error, MachineFailed) or error.errno not in {None, *LASTING}


def check_still_there(path: Path) -> None:
    """MachineFailed when a listed file's whole folder is gone or empty: a disk that is no longer mounted."""
    if not path.parent.is_dir() or next(path.parent.iterdir(), None) is None:
        raise MachineFailed(
            f"{path} was there when the sources were listed, and now its folder is missing or empty; is its disk "
            "mounted on every worker?"
        )
