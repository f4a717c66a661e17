"""The specs of manifests/cluster say what users type, and are what the schemas of their kinds allow."""

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_specs import CLUSTER, COMPOSE, KUBERNETES, SLURM, everything, read, typed
from places import ROOT
from typed_commands import calls, check_call

from training.processes.agent import SECONDS_TO_SAVE

SPECS = [*KUBERNETES, COMPOSE]
GRACE = "terminationGracePeriodSeconds"
QUEUE = "kueue.x-k8s.io/queue-name"
KNOWN_WORDS = {"python", "dask", "tensorboard", "pipeline", "index", "training", "cd"}
VALIDATORS = "the validators are not installed: `make validators` installs them"
RELEASE = "1.34"  # of Kubernetes


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_command_of_a_spec_is_one_that_users_type(path: Path) -> None:
    lines = list(typed(read(path)))
    assert lines or path.stem == "storage"
    for words in lines:
        assert words[0] in KNOWN_WORDS
        found = list(calls(words))
        assert found or words[0] in ("dask", "tensorboard")
        for name, arguments in found:
            check_call(name, arguments, complete=True)


@pytest.mark.parametrize("path", SLURM, ids=lambda path: path.name)
def test_slurm_scripts_are_bash_and_call_commands_that_exist(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text().replace("\\\n", " ").replace('"$@"', "")
    for line in text.splitlines():
        for name, arguments in calls(shlex.split(line.split(" || ")[0], comments=True)) if "trap" not in line else ():
            check_call(name, [word for word in arguments if word not in ("&", "-m")], complete=False)


def test_every_way_through_all_stages_ends_with_a_page(tmp_path: Path) -> None:
    """The Job of Kubernetes after its evaluation, the jobs that `submit` sends to a stand-in of sbatch, and compose."""
    pod = read(CLUSTER / "kubernetes" / "evaluate.yaml")["spec"]["template"]["spec"]
    assert [each["command"][1] for each in (*pod["initContainers"], *pod["containers"])] == ["evaluate", "report"]
    (tmp_path / "sbatch").write_text('#!/bin/bash\nprintf "%q " "$@" >> sent\necho >> sent\nwc -l < sent\n')
    (tmp_path / "sbatch").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", CLUSTER / "slurm" / "submit"], cwd=tmp_path, env=environment, check=True)
    sent = [shlex.split(line) for line in (tmp_path / "sent").read_text().splitlines()]
    assert [each[each.index("--dependency") + 1] for each in sent[1:]] == [f"afterok:{job}" for job in range(1, 5)]
    assert any(word.endswith("evaluate.sbatch") for word in sent[3])
    report = shlex.split(sent[4][sent[4].index("--wrap") + 1])
    assert report == read(COMPOSE)["services"]["report"]["command"] == pod["containers"][0]["command"]


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_all_that_runs_waits_in_a_queue_of_kueue(path: Path) -> None:
    """A Job, JobSet or TrainJob by its own label, the pods of Dask by theirs."""
    document = read(path)
    labelled = [each for each in everything(document) if QUEUE in each.get("labels", {})]
    pods = {"DaskJob": 3, "DaskCluster": 2, "PersistentVolumeClaim": 0}
    assert len(labelled) == pods.get(document["kind"], 1)


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_pods_say_what_they_need_and_where_their_data_lies(path: Path) -> None:
    for mapping in everything(read(path)):
        if "image" in mapping and "name" in mapping:  # a container
            assert mapping["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert mapping["resources"]["limits"]["memory"]


@pytest.mark.parametrize("path", [*SPECS, *SLURM], ids=lambda path: path.name)
def test_no_secret_is_written_into_a_spec(path: Path) -> None:
    assert not any(word in path.read_text() for word in ("SECRET", "ACCESS_KEY", "PASSWORD", "TOKEN"))


def test_nothing_listens_beyond_its_box() -> None:
    """Ports of compose are the loopback's; services are inside a cluster; no dashboard is started, and one web server
    beyond the loopback, which the operator of a DaskCluster asks."""
    ports = [port for service in read(COMPOSE)["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    for path in KUBERNETES:
        assert {each["type"] for each in everything(read(path)) if "selector" in each} <= {"ClusterIP"}
    dask = [words for path in KUBERNETES for words in typed(read(path)) if "dask" in words]
    assert all("--no-dashboard" in words for words in [*dask, *slurm_lines()])
    addresses = [words[words.index("--dashboard-address") + 1] for words in [*dask, *slurm_lines()]]
    assert sorted(addresses, reverse=True) == [":8787", *["127.0.0.1:0"] * (len(addresses) - 1)]


def test_training_on_gpus_is_in_bfloat16_and_has_a_process_for_each() -> None:
    lines = [words for path in SPECS for words in typed(read(path)) if "run" in words]
    (sent,) = [line for line in lines_of(CLUSTER / "slurm" / "submit") if "train.sbatch" in line]
    assert len(lines) == 3
    for words in [*lines, shlex.split(sent.rstrip(")"))]:
        assert "optim.precision=bfloat16" in words
    train = read(COMPOSE)["services"]["train"]
    (reserved,) = train["deploy"]["resources"]["reservations"]["devices"]
    words = train["command"]
    assert words[words.index("--nproc-per-node") + 1] == reserved["count"]


def test_what_is_told_to_stop_has_longer_to_save_than_its_launcher_gives_it() -> None:
    pods = [each for path in KUBERNETES for each in everything(read(path)) if GRACE in each]
    assert len(pods) == 2
    assert all(each[GRACE] > SECONDS_TO_SAVE for each in pods)
    assert read(COMPOSE)["x-stage"]["stop_grace_period"] == "2m"
    assert SECONDS_TO_SAVE < 120


def lines_of(path: Path) -> list[str]:
    return path.read_text().replace("\\\n", " ").splitlines()


def slurm_lines() -> Iterator[list[str]]:
    for path in SLURM:
        yield from (shlex.split(line, comments=True) for line in lines_of(path) if "dask" in line)


# --- against the published schemas -----------------------------------------------------------------------------------


def core_errors(document: dict[str, Any]) -> list[str]:
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, RELEASE, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [str(error)]
    return []


def dask_errors(document: dict[str, Any]) -> list[str]:
    from jsonschema import Draft202012Validator

    (folder,) = importlib.util.find_spec("dask_kubernetes").submodule_search_locations
    name = f"{document['kind'].lower()}.yaml"
    (definition,) = Path(folder).rglob(f"crds/{name}")
    (version,) = yaml.safe_load(definition.read_text())["spec"]["versions"]
    assert document["apiVersion"] == f"kubernetes.dask.org/{version['name']}"
    schema = closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return [error.message for error in Draft202012Validator(schema).iter_errors(document["spec"])]


def closed(schema: Any) -> Any:
    """A schema that knows every name: the API server drops others in silence."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    free = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not free:
        found["additionalProperties"] = False
    return found


def kubeflow_errors(document: dict[str, Any]) -> list[str]:
    from kubeflow_trainer_api import models

    kinds = {"JobSet": models.JobsetV1alpha2JobSet, "TrainJob": models.TrainerV1alpha1TrainJob}
    try:
        understood = kinds[document["kind"]].from_dict(document).to_dict()
    except ValueError as error:
        return [str(error)]
    return [] if understood == document else [f"understood as {understood}"]


VERSIONS = {
    "batch/v1": core_errors,
    "v1": core_errors,
    "kubernetes.dask.org/v1": dask_errors,
    "jobset.x-k8s.io/v1alpha2": kubeflow_errors,
    "trainer.kubeflow.org/v1alpha1": kubeflow_errors,
}


@pytest.fixture(scope="module")
def validators() -> None:
    for module in ("kubernetes_validate", "dask_kubernetes", "kubeflow_trainer_api", "check_jsonschema"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(VALIDATORS)


@pytest.mark.slow
@pytest.mark.usefixtures("validators")
@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_kubernetes_specs_are_what_the_schemas_allow(path: Path) -> None:
    document = read(path)
    assert VERSIONS[document["apiVersion"]](document) == []


@pytest.mark.slow
@pytest.mark.usefixtures("validators")
@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_a_misspelled_name_is_found(path: Path) -> None:
    document = read(path)
    spec = document["spec"].get("cluster", document)["spec"]
    name, value = next((name, value) for name, value in spec.items() if isinstance(value, dict | list))
    del spec[name]
    spec[name + "s"] = value
    assert VERSIONS[document["apiVersion"]](document)


@pytest.mark.slow
@pytest.mark.usefixtures("validators")
def test_the_compose_file_is_what_its_schema_allows() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    subprocess.run(command, check=True)


@pytest.mark.slow
@pytest.mark.usefixtures("validators")
@pytest.mark.parametrize("path", SLURM, ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_the_slurm_scripts(path: Path) -> None:
    tool = Path(sys.executable).parent / "shellcheck"
    if not tool.is_file():
        pytest.skip(VALIDATORS)
    subprocess.run([tool, "--severity", "style", path], check=True)


def test_the_specs_are_part_of_the_project() -> None:
    assert {path.stem for path in KUBERNETES} == {
        *("storage", "ingest", "dask-cluster", "index", "train-jobset", "train-trainjob", "evaluate")
    }
    assert (ROOT / "Dockerfile").is_file()
