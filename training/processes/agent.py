"""torchrun's agent, which starts the processes of a host and watches them, with rules that torchrun does not have.

It starts nothing again after bad input, gives processes longer to save, lets a host come back, and ends where the
host at which launchers meet is lost. It notes how processes have ended, before it has ended the others and after.
"""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError

from manifests.commands.endings import BAD_INPUT, ENDING_SIGNALS, GOES_ON
from manifests.errors import WorkFailed
from training.processes.liveness import answered

SECONDS_TO_SAVE = 110  # between a signal and SIGKILL: less than the 120 that the specs of manifests/cluster grant
MEETING = "The launcher at which the hosts of the run met"


@dataclass
class Ends:
    """Exit codes of a start's processes on this host, by rank: of those that ended by themselves, and of all."""

    own: dict[int, int] | None = None
    all: dict[int, int] = field(default_factory=dict)


class Agent(LocalElasticAgent):
    """To be put in the place of torchrun's own."""

    ends: ClassVar[Ends] = Ends()  # of the last start, for the launcher, of which a process has one

    def __init__(self, spec: WorkerSpec, *arguments: Any, **options: Any) -> None:
        super().__init__(spec, *arguments, **options)
        handler: Any = spec.rdzv_handler
        handler.num_nodes_waiting = met(handler.num_nodes_waiting)

    def _rendezvous(self, worker_group: WorkerGroup) -> None:
        # torch says where the processes' store is when launchers first meet, and never to one that comes later
        handler: Any = worker_group.spec.rdzv_handler
        handler._bootstrap_store_info = None
        super()._rendezvous(worker_group)

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        found = super()._start_workers(worker_group)
        context: Any = self._pcontext
        ranks = {worker.local_rank: worker.global_rank for worker in worker_group.workers}
        Agent.ends = ends = Ends()
        close = context.close

        def codes() -> dict[int, int]:
            polled = {ranks[local]: handler.proc.poll() for local, handler in context.subprocess_handlers.items()}
            return {rank: code for rank, code in polled.items() if code is not None}

        def noting(*how: Any, **named: Any) -> None:
            ends.own = codes() if ends.own is None else ends.own
            try:
                with _obeyed_later():
                    close(*how, **named)
            finally:
                ends.all = codes()

        context.close = noting
        return found

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result = super()._monitor_workers(worker_group)
        if with_bad_input(result.failures) is not None:
            self._remaining_restarts = 0
        return result

    def _shutdown(self, death_sig: signal.Signals = signal.SIGTERM) -> None:
        if self._pcontext is not None:
            self._pcontext.close(death_sig, SECONDS_TO_SAVE)
        super()._shutdown(death_sig)


@contextmanager
def _obeyed_later() -> Iterator[None]:
    """Processes that are ending are waited for, whatever signals come meanwhile, but for a second Ctrl-C."""
    came: list[int] = []
    numbers = [number for number in ENDING_SIGNALS if number != signal.SIGINT]
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def with_bad_input(failures: Mapping[int, ProcessFailure]) -> int | None:
    """A process that refused its input, if there is one: what the others say, then or before, came of it."""
    return next((rank for rank, failure in failures.items() if failure.exitcode == BAD_INPUT), None)


def met(ask: Callable[[], int]) -> Callable[[], int]:
    """What an agent asks again and again of the store in which launchers have met. WorkFailed where it is gone."""
    ask_in_time = answered(ask, MEETING)

    def asked() -> int:
        try:
            return ask_in_time()
        except RendezvousError as error:
            raise WorkFailed(f"{MEETING} has ended or cannot be reached. {GOES_ON}") from error

    return asked
