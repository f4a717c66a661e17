"""The two ways a command can fail, and therefore its exit code.

Both messages are one paragraph for a person: what was read, what was wrong with it, what to do next. Anything else
that escapes a command is a defect of this project and keeps its traceback.
"""


class InputError(Exception):
    """What the user gave (a path, an option, a file's content) cannot be used. Exit code 2."""


class WorkFailed(Exception):
    """The input was fine but the work could not be finished: disk full, every clip rejected. Exit code 1."""
