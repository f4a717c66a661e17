"""A Slurm cluster of one node on the loopback, with a controller and a node daemon of its own."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from waiting import wait_until

CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=5
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={megabytes} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
SECONDS = 60.0


@contextmanager
def one_node(folder: Path) -> Iterator[dict[str, str]]:
    """The variables with which Slurm's commands find the cluster, whose files lie in `folder`. Skips without Slurm."""
    missing = [tool for tool in ("slurmctld", "slurmd", "sbatch", "setpriv") if shutil.which(tool) is None]
    if missing or os.geteuid():
        pytest.skip(f"a Slurm node needs root and {', '.join(missing) or 'nothing else'}: apt-get install slurm-wlm")
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    facts = {"host": socket.gethostname(), "cores": os.cpu_count(), "megabytes": megabytes, "ports": _free_ports()}
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, **facts))
    environment = os.environ | {"SLURM_CONF": str(config)}
    with ExitStack() as stack:
        for daemon in (["slurmctld", "-D", "-c"], ["slurmd", "-D"]):
            log = stack.enter_context(open(folder / f"{daemon[0]}.log", "w"))
            line = ["setpriv", "--pdeathsig", "KILL", *daemon]
            running = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
            stack.callback(running.wait)
            stack.callback(running.terminate)
        try:
            wait_until(lambda: "idle" in _said(["sinfo", "--noheader"], environment), SECONDS)
        except AssertionError:
            pytest.skip(f"Slurm does not start here: {(folder / 'slurmd.log').read_text()[-300:]}")
        yield environment


def _said(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
