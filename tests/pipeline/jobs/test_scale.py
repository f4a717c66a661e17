"""Two hundred thousand inputs: no more is handed out at once than of few, and the command's memory hardly grows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from places import PYTHONPATH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
FEW, MANY, SHARD_CLIPS = 20_000, 200_000, 500
BYTES_PER_CLIP = 3000  # of the command's memory; about 1,200 were measured
COMMAND = """
import json, re, sys
from pathlib import Path
from pipeline import ingest
from pipeline.jobs.cluster import run_all
from pipeline.jobs.options import IngestOptions

handed_out = 0

def watched(client, work, jobs):
    global handed_out
    for result in run_all(client, work, jobs):
        handed_out = max(handed_out, len(client.futures))
        yield result

if __name__ == "__main__":
    ingest.run_all = watched
    source, out, shard_clips = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    options = IngestOptions(decoder="fake_decoders:decode", shard_clips=shard_clips)
    ingest.run_ingest(ingest.IngestRequest((source,), out, options, workers=2))
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    print(json.dumps({"handed_out": handed_out, "peak": peak}))
"""


def corpus(folder: Path, count: int) -> None:
    """Clips with VGGSound names and labels; one in a thousand holds something, the empty ones are soon rejected."""
    rows = []
    for number in range(count):
        place = folder / f"{number // 1000:03d}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"{number:011d}_{number % 300:06d}.mp4").write_text("" if number % 1000 else f"ok {number}")
        rows.append(f'{number:011d},{number % 300},"class {number % 309}, with a comma",train\n')
    (folder / "vggsound.csv").write_text("".join(rows))


def measured(folder: Path, count: int) -> dict[str, int]:
    """Ingest so many inputs in a process of its own: most tasks handed out at once, and peak resident bytes."""
    corpus(folder / "src", count)
    (folder / "command.py").write_text(COMMAND)
    environment = os.environ | {
        "PYTHONPATH": PYTHONPATH,
        "FAKE_DECODER_LOG": str(folder / "decoded.txt"),
        "OMP_NUM_THREADS": "1",
    }
    line = [sys.executable, "command.py", "src", "out", str(SHARD_CLIPS)]
    result = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert pq.read_metadata(folder / "out" / "manifest.parquet").num_rows == count // 1000
    assert pq.read_metadata(folder / "out" / "rejects.parquet").num_rows == count - count // 1000
    return json.loads(result.stdout.splitlines()[-1])


def test_tasks_and_memory_stay_flat(tmp_path: Path) -> None:
    few, many = measured(tmp_path / "few", FEW), measured(tmp_path / "many", MANY)
    assert few["handed_out"] <= many["handed_out"] <= 5, (few, many)  # of 40 and of 400 tasks, two workers
    growth = (many["peak"] - few["peak"]) / (MANY - FEW)
    print(f"tasks handed out at once: {few['handed_out']}, {many['handed_out']}; {growth:.0f} bytes per clip")
    assert growth <= BYTES_PER_CLIP, (few, many)
