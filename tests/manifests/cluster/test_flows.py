"""The specs at work: compose's services in the order it would start them, and real jobs on a Slurm node."""

import shlex
import socket
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from cluster_specs import CLUSTER, COMPOSE, read, with_defaults
from pages import Desk, lay_out
from slurm import one_node
from waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
CLIPS, K = 1030, "1000"  # more clips than neighbours are asked for
SECONDS = 600.0


def in_order(services: dict) -> list[str]:
    """Those that are started without a profile, each after what it depends on."""
    started = {name: service for name, service in services.items() if not service.get("profiles")}
    return [
        *TopologicalSorter(
            {name: set(service.get("depends_on", {})) for name, service in started.items()}
        ).static_order()
    ]


def test_compose_s_services_go_the_whole_way_and_can_be_repeated(desk: Desk) -> None:
    lay_out(desk.folder, CLIPS)
    services = read(COMPOSE)["services"]
    order = in_order(services)
    assert order == ["ingest", "index", "train", "evaluate", "report"]
    lines = [shlex.join(with_defaults(services[name]["command"])) for name in order]
    for line in lines:
        desk.run(line)
    assert (desk.folder / "report" / "index.html").is_file()
    for line in lines[:3]:
        assert "already" in desk.run(line)


def submitted(desk: Desk, script: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """A job's number."""
    small = ["--nodes", "1", "--cpus-per-task", "1", "--mem", "0", "--output", f"{desk.folder}/{script}.log", *options]
    line = ["sbatch", "--parsable", *small, str(CLUSTER / "slurm" / f"{script}.sbatch"), *arguments]
    said = subprocess.run(line, cwd=desk.folder, env=desk.environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return said.stdout.strip()


def control(desk: Desk, *words: str) -> str:
    return subprocess.run(words, env=desk.environment, capture_output=True, text=True, check=True).stdout


def finish(desk: Desk, job: str, script: str) -> str:
    """What a job has said, once it has ended well."""
    ended = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
    wait_until(
        lambda: any(f"JobState={word}" in control(desk, "scontrol", "show", "job", job) for word in ended), SECONDS
    )
    said = (desk.folder / f"{script}.log").read_text()
    assert "JobState=COMPLETED" in control(desk, "scontrol", "show", "job", job), said
    return said


@pytest.fixture
def cluster(desk: Desk, tmp_path_factory: pytest.TempPathFactory):
    with one_node(tmp_path_factory.mktemp("slurm") / "node") as variables:
        desk.environment |= {"SLURM_CONF": variables["SLURM_CONF"], "PORT": str(free_port()), "PER_NODE": "2"}
        yield desk


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_slurm_jobs_go_the_whole_way(cluster: Desk) -> None:
    """Each job after the one before; training by torchrun in two processes."""
    lay_out(cluster.folder, CLIPS)
    jobs = {
        "ingest": ("vggsound/", "shards/"),
        "index": ("--k", K),
        "train": ("ezvsl_semantic.yaml", "optim.replicas=2"),
    }
    before: tuple[str, ...] = ()
    numbers = {}
    for script, arguments in (jobs | {"evaluate": ("runs/ezvsl_semantic", "--truth", "vggss.json")}).items():
        numbers[script] = submitted(cluster, script, *arguments, options=before)
        before = ("--dependency", f"afterok:{numbers[script]}")
    said = {script: finish(cluster, job, script) for script, job in numbers.items()}
    assert "12 of 12 clips scored" in said["evaluate"]
    assert len(list(cluster.folder.glob("runs/ezvsl_semantic/*/DONE"))) == 1


def test_a_job_that_is_told_to_stop_goes_on_in_the_next(cluster: Desk) -> None:
    """USR1, as Slurm sends it before the time is over: back to the queue, and from the last checkpoint to the end."""
    lay_out(cluster.folder, 300)
    cluster.run("pipeline ingest --src vggsound/ --out shards/")
    settings = ["method.positives=[own]", "optim.replicas=2", "optim.batch_size=32", "optim.epochs=20", "log_every=1"]
    job = submitted(cluster, "train", "ezvsl_semantic.yaml", *settings)
    wait_until(lambda: steps(cluster.folder) > 20, SECONDS)
    control(cluster, "scancel", "--signal", "USR1", "--batch", job)
    wait_until(lambda: "Restarts=1" in control(cluster, "scontrol", "show", "job", job), SECONDS)
    # in the second in which a job ends its node takes it for killed
    control(cluster, "scontrol", "update", f"JobId={job}", "StartTime=now+3")
    said = finish(cluster, job, "train")
    assert "told to stop" in said
    assert "is saved at step" in said
    (run,) = cluster.folder.glob("runs/ezvsl_semantic/*")
    total = (run / "DONE").read_text().split()[0]
    assert steps(cluster.folder) == int(total)


def steps(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.rglob("metrics.jsonl"))
