"""`python -m training.launch ...`: torchrun, which ends as the command that it starts does.

It takes what torchrun takes, and is torchrun. But where processes fail, torchrun prints a summary and a traceback of
itself and exits with 1. Here the first process says why, in its one line, or its launcher does for one that could not;
and the exit code is that of the process that failed first, by itself; of a run that was asked to stop it is that of the
first process, which saves. Bad input is no failure that `--max-restarts` could mend: it
ends the run at once, with its code (`agent`).

SIGUSR1, with which Slurm tells a job that its time is nearly over, is passed on as SIGTERM is, and processes have
longer than torchrun's 30 seconds to save. A run on one host meets on the host's loopback (`one_host`).
"""

import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from manifests.commands.endings import GOES_ON, INTERRUPTED, run_to_its_end
from manifests.errors import InputError, WorkFailed
from manifests.files.given import reason
from manifests.files.temporary import temporary_folder
from training.processes.liveness import OTHER_ENDED

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure


def launch(line: Sequence[str]) -> None:
    """Start processes as torchrun does, and wait for them. SystemExit with the code of the first one that failed.

    InputError for options that make no run, WorkFailed where hosts do not meet or a process was killed.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # a store that is gone would be a page of torch's stack
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher import api
    from torch.distributed.run import parse_args, run

    from training.processes.agent import Agent, Ends, with_bad_input
    from training.processes.one_host import meet_on_loopback

    asked = parse_args(list(line))
    logging.disable(logging.ERROR)  # torchrun's own words for what is said here
    meet_on_loopback(asked)
    _pass_on(asked, signal.SIGUSR1)
    api.LocalElasticAgent, Agent.ends = Agent, Ends()
    try:
        with temporary_folder("launch") as folder:  # torchrun's own would stay
            asked.log_dir = asked.log_dir or str(folder)
            run(asked)
    except ChildFailedError as failed:
        refused = with_bad_input(failed.failures)
        sys.exit(_told(failed.failures, _first(failed.failures, Agent.ends.own) if refused is None else refused))
    except SignalException:  # of this process; the others have ended by it, and the first one has said so
        sys.exit(_stopped(Agent.ends.all))
    except ValueError as error:
        raise InputError(f"torchrun's options make no run: {reason(error)}.") from error
    except (RendezvousError, DistError) as error:
        raise WorkFailed(
            f"The hosts of the run did not meet: {reason(error)}. Start the command on all of them, and see whether "
            "each reaches --rdzv-endpoint."
        ) from error


def _pass_on(asked: Namespace, number: signal.Signals) -> None:
    """Have torchrun pass on a signal to its processes, besides those that it does anyway."""
    names = asked.signals_to_handle.split(",")
    asked.signals_to_handle = ",".join([*names, *({number.name} - set(names))])


def _first(failures: Mapping[int, "ProcessFailure"], own: Collection[int] | None) -> int:
    """The process whose end is the reason: of those that the launcher has not ended, and that did not just lose another
    one, the first. Times are whole seconds."""

    def order(rank: int) -> tuple[bool, bool, bool, int, int]:
        failure = failures[rank]
        lost_another = OTHER_ENDED in (_message(failure) or "")
        told_to_end = failure.exitcode == -signal.SIGTERM
        return bool(own) and rank not in (own or ()), told_to_end, lost_another, failure.timestamp, rank

    return min(failures, key=order)


def _stopped(codes: Mapping[int, int]) -> int:
    """The exit code after a signal: of the first process, or of this host's where that is on another.

    WorkFailed where it did not end in time, and so has not said that it has saved.
    """
    from training.processes.agent import SECONDS_TO_SAVE

    found = [codes[0]] if 0 in codes else list(codes.values())
    if found and INTERRUPTED not in found:
        if -signal.SIGKILL in found:
            raise WorkFailed(
                f"the run was asked to stop, had not ended {SECONDS_TO_SAVE} s later, and was ended by SIGKILL: what "
                f"it has done since it saved is lost. {GOES_ON}"
            )
        if max(found) > 0 or not any(found):
            return max(found)
    return INTERRUPTED


def _told(failures: Mapping[int, "ProcessFailure"], first: int) -> int:
    """The exit code to end with, when all has been said of the processes that failed."""
    failure = failures[first]
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        raise WorkFailed(f"process {first} of the run was ended by {name}. {GOES_ON}")
    said, by_first = _message(failure), _message(failures[0]) if 0 in failures else None
    if first and said is not None and said != by_first:
        print(said, file=sys.stderr, flush=True)
    return failure.exitcode


def _message(failure: "ProcessFailure") -> str | None:
    """What a process has left for its launcher; None where it said all by itself."""
    content = failure.error_file_data.get("message")
    return content.get("message") if isinstance(content, dict) else None


def main() -> None:
    """Entry point of `python -m training.launch`."""
    run_to_its_end(lambda: launch(sys.argv[1:]))


if __name__ == "__main__":
    main()
