"""The ways a command can end early, and therefore its exit code.

All messages are one paragraph for a person: what was read, what was wrong with it, what to do next. Anything else
that escapes a command is a defect of this project and keeps its traceback.
"""


class InputError(Exception):
    """What the user gave (a path, an option, a file's content) cannot be used. Exit code 2."""


class WorkFailed(Exception):
    """The input was fine but the work could not be finished: disk full, every clip rejected. Exit code 1."""


class Interrupted(BaseException):  # no error: what takes care of any error lets it pass
    """The work was asked to stop and has saved what it had: the same command goes on from there. Exit code 75.

    That is EX_TEMPFAIL of sysexits.h, "try again later": no shell, Python or signal gives it by itself.
    """


class Saved(Interrupted):
    """So has a run, whose code says that it is saved: once it is, no further signal changes that."""
