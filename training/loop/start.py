"""`training run`: check everything a run stands on before the first step, train, mark it done."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from manifests.clip_lists.written import as_list
from manifests.commands.counting import are, counted
from manifests.errors import InputError
from manifests.files.given import has_file
from manifests.files.locks import held
from manifests.files.outputs import check_no_other_kind
from manifests.files.whole import remove_leftovers, write_text
from manifests.splits import Coverage, IdList, coverage, ids_of
from training.config import RunConfig
from training.distributed import Ranks, ranks
from training.leakage import OVERLAPS, TRAINING_CLIPS, report_overlaps, training_list
from training.loop.best import BestKeeper
from training.loop.inputs import Inputs, open_inputs
from training.loop.out_of_memory import explained
from training.loop.repeated import finished_without_inputs, take_over
from training.loop.stopping import StopRequest, stop_on_signals
from training.loop.trainer import Trainer, check_replicas
from training.processes.liveness import of_launcher
from training.run_folders.files import CHECKPOINTS, DONE, FACTS, LOCK
from training.runs import carry, find_run, prepare, read_facts, renew

BUSY = "Wait for it to end, or end it; the same command then goes on from its last checkpoint."


def start(config: RunConfig, runs: Path, device: str = "auto", overrides: Sequence[str] = ()) -> tuple[Path, bool]:
    """Train the run this config describes, or resume it; returns its folder and whether there was anything to do.

    A new folder's name says what was overridden (`run_folders.names`).

    A finished run is left alone, except that it takes over the config's evaluation settings. What it was made from need
    not be there.
    """
    check_no_other_kind(runs, "training run", "--runs")
    with stop_on_signals() as stop, ranks(device) as process:
        if (done := finished_without_inputs(runs, config)) is not None:
            if process.first:
                print(*take_over(done, config), sep="\n", flush=True)
            return done, False
        check_replicas(config, process.world)
        _one_thread_pool_per_process(process)
        inputs = open_inputs(config, process)
        folder, said = find_run(runs, config, inputs.contents, overrides)
        with _alone(folder, process):
            _same_threads(folder, process)
            finished = has_file(folder / DONE)
            if process.first:
                said += renew(folder, config) if finished else []
                print(*said, sep="\n", end="\n" if said else "", flush=True)
            if not finished:
                _train(config, folder, inputs, process, stop)
    return folder, not finished


@contextmanager
def _alone(folder: Path, process: Ranks) -> Iterator[None]:
    """Hold the run's folder, by the first process for all. InputError says who holds it."""
    refusal = ""
    with ExitStack() as stack:
        if process.first:
            try:
                stack.enter_context(held(folder / LOCK, folder, "run", BUSY))
            except InputError as error:
                refusal = str(error)
        if refusal := process.from_first(refusal):
            raise InputError(refusal)
        yield


def _train(config: RunConfig, folder: Path, inputs: Inputs, process: Ranks, stop: StopRequest) -> None:
    trainer = Trainer(config, folder, inputs.method, inputs.stream, process, inputs.contents, stop)
    if process.first:
        print(*trainer.checkpoints.said, sep="\n", end="\n" if trainer.checkpoints.said else "")
        print(f"device: {process.device}, {torch.get_num_threads()} threads", flush=True)
        _describe(config, folder, inputs)
        if trainer.total_steps and (warm := config.optim.warmup_steps) > trainer.total_steps:
            print(
                f"optim.warmup_steps {warm:,} are more than the {trainer.total_steps:,} steps of this run: its "
                f"learning rate never reaches {config.optim.learning_rate:g}",
                flush=True,
            )
        if inputs.validation is not None:
            store = inputs.stream.store
            trainer.after_epoch = BestKeeper(config, folder, store, inputs.validation, process, trainer.run)
    with explained(config, process, lambda: trainer.resident_bytes):
        trainer.train()
    if process.first:
        write_text(folder / DONE, f"{trainer.done.step} steps, {trainer.done.seconds:.1f} s\n")
    process.barrier()  # what is said of a finished run is read from there, by every process


def _describe(config: RunConfig, folder: Path, inputs: Inputs) -> None:
    """Write into the run's folder what it is, what it trains on, and what that shares with test sets; say the last."""
    store = inputs.stream.store
    trained, lines, overlaps = _overlaps(inputs)
    positives = inputs.stream.positives
    print(*lines, *(positives.doubts() if positives is not None and positives.fetched else ()), sep="\n", flush=True)
    facts = {
        "front_end": store.front_end,
        "manifest_sha256": store.manifest_sha256,
        "training_clips": len(trained.ids),
        "steps_per_epoch": inputs.stream.steps,
        "contents": dict(inputs.contents),
        "classes": inputs.stream.classes.names if inputs.stream.classes else None,
        "threads": torch.get_num_threads(),
    }
    for place in (folder, folder / CHECKPOINTS):
        remove_leftovers(place)
    prepare(folder, config)
    carry(folder, config)
    write_text(folder / FACTS, json.dumps(facts, indent=1))
    write_text(folder / OVERLAPS, json.dumps(overlaps, indent=1))
    write_text(folder / TRAINING_CLIPS, as_list(trained.ids))


def _overlaps(inputs: Inputs) -> tuple[IdList, list[str], dict[str, Any]]:
    """The training clips as a list, and what they share with the test sets."""
    store, selection = inputs.stream.store, inputs.selection
    trained = training_list([*dict.fromkeys([*selection.keys(store), *inputs.earlier.clips])])
    lines, document = report_overlaps(trained, selection.left_out, inputs.tests)
    lines[:0] = [
        f"{counted(count, f'{flag} clip')} dropped (data.drop_flagged)" for flag, count in selection.dropped.items()
    ]
    if selection.unnamed:
        unnamed = are(selection.unnamed, "clip without a split", "clips without a split")
        lines.insert(0, f"{unnamed} counted as train")
    lines += inputs.earlier.said()
    document["training"] |= {"dropped": dict(selection.dropped), "unknown": list(inputs.earlier.unknown)}
    listed = selection.listed
    if listed is not None:
        found = coverage(listed, store.keys)
        lines.insert(0, f"{len(found.found):,} of the {len(listed.ids):,} clips of {listed.name} are in the shards")
        document["list"] = {"name": listed.name, "sha256": listed.sha256, "missing": list(found.missing)}
    if inputs.validation is not None:
        chosen_on = coverage(ids_of(inputs.validation.test_set), store.keys)
        lines.append(_chosen_on(chosen_on, inputs.validation.test_set.source))
        document["validation"] = {"clips": len(chosen_on.found), "missing": list(chosen_on.missing)}
    return trained, lines, document


def _chosen_on(found: Coverage, source: str) -> str:
    """A line about the clips on which the best epoch is chosen."""
    clips, absent = len(found.found), len(found.missing)
    first = f"; {absent:,} not in the shards, first {found.missing[0]}" if absent else ""
    return f"the best epoch is chosen on {clips:,} of the {clips + absent:,} clips of {source}{first}"


def _same_threads(folder: Path, process: Ranks) -> None:
    """Give every process of a run, and of its resumption, the number of CPU threads it was begun with.

    The gradients of convolutions and the statistics of batch norm are sums that torch cuts by threads: another number
    rounds them otherwise (1e-5), and twenty steps later the losses differ in the second digit. With the same number
    one process and several report the same losses.
    """
    threads = read_facts(folder).get("threads")
    if isinstance(threads, int) and threads > 0:
        torch.set_num_threads(threads)
    process.barrier()  # every process has looked before the first one makes the folder


def _one_thread_pool_per_process(process: Ranks) -> None:
    """A new run's processes on one machine share its cores, else they wait for each other."""
    local = of_launcher("LOCAL_WORLD_SIZE", 1)
    if local > 1 and process.device.type == "cpu":
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // local))
