"""Growth that was killed, and folders that grow before they were finished."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_ingest import corpus, request_for
from growing import add, keys, tars
from places import PYTHONPATH

from manifests.errors import InputError, WorkFailed
from pipeline.ingest import IngestRequest, run_ingest

GROWING = """
import importlib, os, signal, sys
from pathlib import Path
from fake_ingest import request_for
from pipeline.ingest import run_ingest

place = importlib.import_module(sys.argv[3])
real, made = getattr(place, sys.argv[4]), 0

def deadly(*arguments, **options):
    global made
    made += 1
    if made == int(sys.argv[5]):
        os.killpg(0, signal.SIGKILL)
    return real(*arguments, **options)

setattr(place, sys.argv[4], deadly)  # workers import this file too
if __name__ == "__main__":
    run_ingest(request_for(Path(sys.argv[1]), Path(sys.argv[2]), shard_clips=2))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "module", "name", "call", "readable"),
    [
        ("the plan has grown, its head is not written", "pipeline.jobs.plan", "save_head", 1, True),
        ("the first new shard is begun", "pipeline.jobs.shard_job", "load_shard", 1, True),
        ("the first new shard is finished", "pipeline.jobs.shard_job", "forget", 1, True),
        ("all shards are there, no table", "pipeline.jobs.totals", "_write_table", 1, False),
        ("the manifest is there, the rejects are not", "pipeline.jobs.totals", "_write_table", 2, False),
        ("all is there but the index", "pipeline.jobs.totals", "write_whole", 1, False),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and " " in value else None,
)
def test_killed_while_growing(
    first: IngestRequest, tmp_path: Path, moment: str, module: str, name: str, call: int, readable: bool
) -> None:
    (source,), out = first.sources, first.out
    before, known = tars(out), keys(out)
    add(source, **{f"n{number}": f"ok {number}" for number in range(10, 15)})
    (tmp_path / "command.py").write_text(GROWING)
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    command = [sys.executable, str(tmp_path / "command.py"), str(source), str(out), module, name, str(call)]
    result = subprocess.run(command, env=environment, start_new_session=True, capture_output=True, check=False)
    assert result.returncode == -signal.SIGKILL, (moment, result.stderr)
    assert {name: tars(out)[name] for name in before} == before
    if readable:
        assert keys(out) == known, "what was finished is read as before"
    else:
        with pytest.raises(InputError, match="unfinished"):
            keys(out)
    add(source, p="ok 20")  # and more has arrived meanwhile
    run_ingest(first)
    assert {name: tars(out)[name] for name in before} == before
    assert keys(out) == [*known, *(f"n{number}" for number in range(10, 15)), "p"]
    assert not [*out.rglob(".*"), *out.glob("journal/*")]


def test_an_unfinished_folder_grows_too(tmp_path: Path) -> None:
    source = corpus(tmp_path / "src", "ok 0", "no_audio")
    request = request_for(source, tmp_path / "out", max_reject_fraction=0.4)
    with pytest.raises(WorkFailed, match="1 of 2 inputs were rejected"):
        run_ingest(request)
    add(source, more="ok 3")
    run_ingest(request)
    assert keys(tmp_path / "out") == ["c000", "more"]
