"""How a run is asked to stop: by a signal, as Slurm, Kubernetes, torchrun and a terminal send it.

A signal ends the step that is being computed, no earlier. The request travels beside the losses, which all processes
of a run average anyway: so all of them learn of it at the same step, whichever was signalled, and none waits for it.

Between two steps a run waits for clips, which a storage may not give for minutes, and validates: there a signal ends
what is `breakable`, as the step before is whole.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from torch import Tensor

from manifests.commands.endings import ENDING_SIGNALS
from manifests.errors import Interrupted
from training.loop.readings import BEHIND
from training.processes.liveness import is_saving

ASKED = "asked_to_stop"  # its name beside the losses
PATIENCE = 5.0  # seconds that one of several processes waits for clips, with which all of them stop at the same step


class Broken(Interrupted):
    """What is breakable was asked to end. Whoever called it saves what is done, and says so."""


class StopRequest:
    """Whether this process, or any of the run, was asked to stop."""

    def __init__(self) -> None:
        self.name = ""  # of the signal this process got
        self.training = False  # only then is there anything to save
        self._until: int | None = None
        self._patience: float | None = None  # of what is breakable and runs now

    @contextmanager
    def breakable(self, patience: float = 0.0) -> Iterator[None]:
        """A block that a signal ends with Broken, so many seconds after it came: or at once, where it came before."""
        self._patience = patience
        try:
            self._break()
            yield
        finally:
            self._patience = None
            if self.name and patience:
                signal.setitimer(signal.ITIMER_REAL, 0)

    def _break(self) -> None:
        """Broken, or a timer for it, where a signal has come and what runs is breakable."""
        if not self.name or self._patience is None:
            return
        if self._patience:
            signal.setitimer(signal.ITIMER_REAL, self._patience)
        else:
            raise Broken

    def lost_patience(self, _number: int, _frame: FrameType | None) -> None:
        """The timer's handler."""
        if self._patience is not None:
            raise Broken

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """A signal's handler."""
        self.name = signal.Signals(number).name
        is_saving()
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)  # a second Ctrl-C waits for nothing
        if not self.training:
            raise Interrupted(f"{self.name} came before the first step, so there was nothing to save.")
        self._break()

    def as_loss(self, device: torch.device) -> Tensor:
        """1 when this process was asked, else 0: a number to be averaged with the losses. (), on the device."""
        return torch.full((), float(bool(self.name)), device=device)

    def told(self, share: float, step: int, on_gpu: bool) -> None:
        """Note the share of processes that had been asked at a step, which is read some steps later on a GPU."""
        if share > 0 and self._until is None:
            self._until = step + (BEHIND if on_gpu else 0)

    def is_due(self, step: int) -> bool:
        """Whether the run ends after this step: the same one in every process."""
        return self._until is not None and step >= self._until

    @property
    def reason(self) -> str:
        return self.name or "a signal to another of its processes"


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Have signals ask for a stop, where they are not ignored already (`nohup` ignores SIGHUP)."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (*ENDING_SIGNALS, signal.SIGALRM)}
    for number in ENDING_SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, request.receive)
    signal.signal(signal.SIGALRM, request.lost_patience)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
