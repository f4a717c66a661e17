"""Every command of README and docs is one that exists, and runs as written on a small stand-in of what it names.

`tests/support/pages.py` lays the stand-ins out. A block whose commands cannot run here says why in a comment before
it, `<!-- not run: REASON -->`, and only the few reasons below are taken. Its commands must exist all the same.
"""

import json
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pages
import psutil
import pyarrow.parquet as pq
import pytest
from every import for_every
from pages import Block, Desk, lay_out, own_processes, read_blocks
from places import ROOT
from typed_commands import calls, check_call

from manifests.truth import read_truth

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
REASONS = {"takes minutes", "runs until it is stopped", "needs Docker", "needs several hosts", "needs a released file",
           "needs pretrained weights", "needs a token"}  # fmt: skip
INLINE = re.compile(r"`((?:pipeline|index|training) [^`]+)`")
MODULE = re.compile(r"python -m (benchmarks[.\w]+)")
PORT = re.compile(r"--port (\d+)")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def in_words(text: str) -> list[str] | None:
    """A phrase between backticks as words; None where it is no whole command, like `training methods NAME` is."""
    return None if re.search(r"[|<>]|\.\.\.", text) else shlex.split(text)


@for_every(PAGES, name_of)
def test_every_fenced_block_says_what_it_is(page: Path) -> None:
    fences = page.read_text().count("\n```")
    found = read_blocks(page)
    assert fences == 2 * len(found)
    assert {block.language for block in found} <= {"sh", "text", "python", "yaml", "json"}
    assert all(json.loads(block.text) for block in found if block.language == "json")


@for_every(PAGES, name_of)
def test_commands_are_left_out_for_few_reasons_only(page: Path) -> None:
    found = read_blocks(page)
    assert {block.reason for block in found} - {None} <= REASONS
    assert page.read_text().count("<!-- not run") == sum(block.reason is not None for block in found)


@for_every(PAGES, name_of)
def test_every_fenced_command_exists(page: Path) -> None:
    for block in read_blocks(page):
        for words in block.commands if block.language == "sh" else []:
            for name, arguments in calls(words):
                check_call(name, arguments, complete=True)


@for_every(PAGES, name_of)
def test_every_command_named_in_a_sentence_exists(page: Path) -> None:
    for text in INLINE.findall(page.read_text()):
        words = in_words(text)
        if words and words[1].islower():  # `training run CONFIG`, not `pipeline NAME`
            check_call(words[0], words[1:], complete=False)


def test_a_variant_of_a_run_has_a_name_of_its_own() -> None:
    """Pages are followed one after another: what they call `runs/ezvsl_semantic` must be one configuration on all."""
    blocks = [each for page in PAGES for each in read_blocks(page) if each.language == "sh" and each.reason is None]
    found = [arguments for block in blocks for words in block.commands for name, arguments in calls(words)
             if name == "training" and arguments[0] == "run"]  # fmt: skip
    assert len(found) >= 3
    for _, config, *overrides in found:
        changes = [each for each in overrides if not each.startswith(("seed", "compute.", "-"))]
        assert not changes or any(each.startswith("name=") for each in changes), (config, overrides)


def test_an_option_that_is_gone_is_found() -> None:
    check_call("index", ["build-knn", "--k", "1000"], complete=True)
    for wrong, complaint in (
        (["build-knn", "--neighbours", "3"], "No such option"),
        (["build-knn", "--k", "many"], "valid integer"),
        (["random-knn", "--k", "0"], "greater than"),
        (["knn"], "No such command"),
    ):
        with pytest.raises(Exception, match=complaint):
            check_call("index", wrong, complete=True)
    with pytest.raises(Exception, match=r"(?i)missing|required"):
        check_call("training", ["embed", "--out", "somewhere"], complete=True)


def test_the_commands_of_make_exist() -> None:
    said = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [call for line in said.replace("\\\n", " ").splitlines() for call in calls(shlex.split(line))]
    assert [name for name, _ in found].count("training") == 9
    for name, arguments in found:
        check_call(name, arguments, complete=True)


@for_every(PAGES, name_of)
def test_what_takes_minutes_is_a_target_of_make(page: Path) -> None:
    for block in read_blocks(page):
        for words in block.commands if block.reason == "takes minutes" else []:
            if words[0] == "make":
                subprocess.run([words[0], "-n", *words[1:]], cwd=ROOT, capture_output=True, check=True)


@for_every(PAGES, name_of)
def test_links_and_modules_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in LINK.findall(text):
        assert urlsplit(target).scheme or (page.parent / target).exists(), target
    for module in MODULE.findall(text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def run_page(desk: Desk, page: str) -> dict[str, str]:
    """What each block of a page printed, by its text."""
    wanted = [block for block in read_blocks(ROOT / page) if block.language == "sh" and block.reason is None]
    assert wanted
    return {block.text: desk.run(block.text, network=starts_servers(block)) for block in wanted}


def starts_servers(block: Block) -> bool:
    """Whether a block leaves commands running that listen at a port. Skips the test where that port is taken."""
    ports = [int(port) for port in PORT.findall(block.text)]
    for port in [] if own_processes(network=True) else ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port}, which {block} uses, is taken, and no network namespace can be made here")
    return bool(ports)


@pytest.mark.slow
@pytest.mark.timeout(900)  # 20 s on two idle cores
def test_readme_runs_as_written(desk: Desk) -> None:
    lay_out(desk.folder, 1030)
    (said,) = run_page(desk, "README.md").values()
    assert "12 of 12 clips scored" in said
    assert pq.read_metadata(desk.folder / "shards" / "manifest.parquet").num_rows == 1030
    assert np.load(desk.folder / "knn" / "image.npy", mmap_mode="r").shape == (1018, 1000)
    assert len(list(desk.folder.glob("runs/ezvsl_semantic/*/DONE"))) == 1
    assert (desk.folder / "report" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stages_run_as_written(desk: Desk) -> None:
    lay_out(desk.folder, 1030)
    run_page(desk, "docs/stages.md")
    assert len(list(desk.folder.glob("runs/one-epoch/*/DONE"))) == 1
    assert np.load(desk.folder / "knn-of-the-run" / "audio.npy", mmap_mode="r").shape == (1018, 1000)
    for made in ("knn-random", "scores.json", "overlay.mp4", "overlay.json", "report/index.html"):
        assert (desk.folder / made).exists(), made


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_your_data_runs_as_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(desk.folder, 30)
    run_page(desk, "docs/your-data.md")
    labels = pq.read_table(desk.folder / "shards-holiday" / "manifest.parquet")["label"].to_pylist()
    assert labels == ["waves"] * 4
    page = ROOT / "docs/your-data.md"
    examples = [block.text for block in read_blocks(page) if block.language == "python"]
    monkeypatch.chdir(desk.folder)
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "your-data.md", "exec"), names)
    assert len((desk.folder / "moments.csv").read_text().splitlines()) > 1
    assert names["sound"].rate == 16000
    assert len(names["images"]) == 4
    own = read_truth(Path("my-boxes.parquet"), "parquet").test_set
    (Path("my-boxes.json")).write_text(next(block.text for block in read_blocks(page) if block.language == "json"))
    assert read_truth(Path("my-boxes.json"), "vggss").test_set.annotations == own.annotations


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_corpora_runs_as_written(desk: Desk) -> None:
    lay_out(desk.folder, 30)
    run_page(desk, "docs/corpora.md")
    assert pq.read_metadata(desk.folder / "shards-composed" / "manifest.parquet").num_rows == 40
    for made in ("drawn", "drawn-with-rivals", "composed"):
        assert "statistics" in json.loads((desk.folder / made / "corpus.json").read_text()), made


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_which_number_runs_as_written(desk: Desk) -> None:
    lay_out(desk.folder, 150)
    desk.run("pipeline ingest --src vggsound/ --out shards/; index build-knn --k 10; training run ezvsl_semantic.yaml")
    run_page(desk, "docs/which-number.md")
    assert len(list(desk.folder.glob("runs/*/*/evaluation/vggss*.lvs.json"))) == 1
    run_page(desk, "docs/does-it-listen.md")
    assert len(list(desk.folder.glob("runs/*/*/evaluation/vggss*.vssl.json"))) == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_clusters_run_as_written(desk: Desk) -> None:
    lay_out(desk.folder, 150)
    desk.run("pipeline ingest --src vggsound/ --out shards/; index build-knn --k 10; rm -r shards/")
    with storage(desk) as uploaded:
        run_page(desk, "docs/cluster.md")
        assert len(uploaded()) > 1
    assert len(list(desk.folder.glob("runs/ezvsl_semantic/*/DONE"))) == 1


@pytest.mark.parametrize("end", ["true", "false"])
@pytest.mark.parametrize("namespaces", [True, False])
def test_a_desk_leaves_nothing_running(desk: Desk, monkeypatch: pytest.MonkeyPatch, namespaces: bool, end: str) -> None:
    if not namespaces:
        monkeypatch.setattr(pages, "own_processes", lambda network: ())
    started = desk.folder / "started"
    (desk.folder / "wait.py").write_text("import sys, time\nopen(sys.argv[1], 'w').close()\ntime.sleep(300)\n")
    text = f"python wait.py {started} &\nwhile [ ! -e {started} ]; do sleep 0.05; done; {end}"
    with nullcontext() if end == "true" else pytest.raises(AssertionError):
        desk.run(text, network=True)
    desk.close()
    found = [one for one in psutil.process_iter(["cmdline"]) if str(started) in (one.info["cmdline"] or [])]
    assert not psutil.wait_procs(found, timeout=5)[1]


@contextmanager
def storage(desk: Desk) -> Iterator[Callable[[], list[str]]]:
    """A bucket called `bucket` with two videos, known to the desk's environment; yields what lists its shards."""
    server = pytest.importorskip("moto.server", reason="moto[server], a test dependency, is not installed")
    s3fs = pytest.importorskip("s3fs", reason="the s3 extra is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    known = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    desk.environment |= known | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    bucket = s3fs.S3FileSystem(
        key="someone", secret="secret", endpoint_url=desk.environment["AWS_ENDPOINT_URL"], skip_instance_cache=True
    )
    try:
        bucket.mkdir("bucket")
        for video in sorted((desk.folder / "holiday").iterdir())[:2]:
            bucket.put(str(video), f"bucket/videos/{video.name}")
        yield lambda: bucket.find("bucket/shards")
    finally:
        running.stop()
