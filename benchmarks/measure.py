"""What the benchmark scripts share: CPU time that includes children, contenders in turns, what a figure depends on.

    from benchmarks.measure import cpu_seconds, in_turns, record, write

Ratios of CPU time within one interleaved run are what survives a busy machine; `record` says how busy it was.
"""

import json
import os
import platform
import random
import resource
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[1]
Case = TypeVar("Case")


def cpu_seconds() -> float:
    """User and system seconds so far of this process, all its threads, and the children it has waited for.

    A child that still runs counts for nothing: end it and wait before reading.
    """
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def cpu_time(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = cpu_seconds()
    work()
    return cpu_seconds() - start


def in_turns(
    contenders: Mapping[str, Callable[[Case], object]],
    cases: Iterable[Case],
    repeats: int,
    measured: Callable[[Callable[[], object]], float] = cpu_time,
    in_stream: bool = False,
) -> dict[str, list[list[float]]]:
    """`result[name][i]`: what `measured` gave for contender `name` on case i, `repeats` times.

    Every case goes through all contenders, in random order, before the next case; one round before warms up.
    in_stream: each turn begins with another case, unmeasured: what is asked is the cost of a case among many, not that
    of waking up after another contender's processes have had the caches.
    """
    cases, draw = list(cases), random.Random(0)
    taken: dict[str, list[list[float]]] = {name: [[] for _ in cases] for name in contenders}
    for turn in range(repeats + 1):
        for number, case in enumerate(cases if turn else cases[:1]):
            for name in draw.sample(list(contenders), len(contenders)):
                if in_stream:
                    contenders[name](cases[number - 1])
                seconds = measured(lambda name=name, case=case: contenders[name](case))
                if turn:
                    taken[name][number].append(seconds)
    return taken


def record(script: str, packages: Iterable[str], machine: str = "shared") -> dict[str, object]:
    """Command, hardware and versions, the head of every figure file. machine: "shared" with other work, or "quiet"."""
    module = script.removesuffix(".py").replace("/", ".")
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "machine": machine,
        "hardware": hardware(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
    }


def hardware() -> dict[str, object]:
    """Processor, usable cores, memory, and how busy the machine is."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in facts if line.startswith("model name")), platform.machine())
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "load_average": round(os.getloadavg()[0], 1),
    }


def write(path: Path, report: Mapping[str, object]) -> None:
    """The figure file."""
    path.write_text(json.dumps(report, indent=2) + "\n")
