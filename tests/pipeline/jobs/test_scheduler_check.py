"""What listens at `--scheduler`, who may connect to a local cluster, and workers that have other code."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from places import ROOT

from manifests.errors import InputError
from manifests.files.temporary import PREFIX
from pipeline.jobs.cluster import connected
from pipeline.jobs.code_version import code_version, run_as
from pipeline.jobs.scheduler_check import check_scheduler


@contextmanager
def listening(greeting: bytes, close: bool = False) -> Iterator[str]:
    """A server that says this to whoever comes, and nothing more; its address."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.sendall(greeting)
            connection.close() if close else kept.append(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    ("greeting", "close", "said"),
    [
        (b"", False, "said nothing"),  # an HTTP server waits to be asked, and so does a port that forwards to nowhere
        (b"", True, "is no Dask scheduler"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", False, r"is no Dask scheduler: it said 'SSH-2.0-"),
        (b"220 mail ESMTP\r\n", False, r"it said '220 mail"),
        (b"\x05\0\0\0", False, "said nothing"),
        (b"\x05\0\0\0\0\0\0\0hello", False, "is no Dask scheduler"),
        (b"\xff" * 64, False, "is no Dask scheduler"),
        (b"\0" * 64, True, "is no Dask scheduler"),
    ],
)
def test_what_is_no_scheduler_is_told_in_time(greeting: bytes, close: bool, said: str) -> None:
    with listening(greeting, close) as address:
        started = time.monotonic()
        with pytest.raises(InputError, match=said):
            check_scheduler(address, 0.5)
        assert time.monotonic() - started < 10  # of a busy machine; without the limit it would wait for ever


@pytest.mark.parametrize(
    "address", ["", "host", "tcp://", "http://h:1", "tcp://h:x", "tcp://h:99999", "h:1:2", "a b:1"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"no address|No Dask scheduler answers"):
        check_scheduler(address, 1)


@pytest.mark.parametrize(
    "address",
    ["tcp://a:hunter2@host:1", "tcp://hunter2@127.0.0.1:1", "a:hunter2@host:1", "hunter2@host:1", "tls://a:b/hunter2@h:1",
     "tcp://a:b hunter2@host:1", "tcp://host:1?token=hunter2", "tcp://host?hunter2:1"],
)  # fmt: skip
def test_a_password_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InputError, match="takes no password") as refused:
        check_scheduler(address, 1)
    assert "hunter2" not in str(refused.value)


def test_a_tls_address_without_certificates_says_which_settings_are_missing() -> None:
    with listening(b"") as address, pytest.raises(InputError, match="DASK_DISTRIBUTED__COMM__TLS__CA_FILE"):
        check_scheduler(address.replace("tcp", "tls"), 1)


def test_work_for_another_version_is_refused() -> None:
    assert run_as(code_version(), int, "7") == 7
    with pytest.raises(InputError, match=r"runs another version of this program \(.*Install the same"):
        run_as("0" * 64, int, "7")


STRANGER = """
import sys
from distributed import Client
from distributed.security import Security
for address, own in ((sys.argv[1].replace("tls", "tcp"), None), (sys.argv[1], Security.temporary())):
    try:
        print("LET IN", Client(address, timeout=5, security=own).run_on_scheduler(int))
    except OSError as error:
        print("kept out:", type(error).__name__)
"""


def test_no_other_process_can_talk_to_a_local_cluster() -> None:
    """Neither in the clear nor with a certificate of its own, to none of its processes; and there is no page."""
    with connected(None, 1) as client:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        sockets = {each.laddr for one in processes for each in one.net_connections() if each.status == "LISTEN"}
        asked = subprocess.run(
            [sys.executable, "-c", STRANGER, client.scheduler.address], capture_output=True, text=True, check=True
        )
        assert asked.stdout.count("kept out") == 2, asked.stdout
        assert sockets
        for ip, port in sockets:
            assert ip == "127.0.0.1"
            with socket.create_connection((ip, port), 5) as connection:
                connection.sendall(b"GET /info/main/workers.html HTTP/1.0\r\n\r\n")
                assert answer(connection)[:12] in (b"", b"HTTP/1.1 404")


ANOTHER_USER = """
import os, signal, sys
from pathlib import Path
from distributed import Client
from distributed.security import Security

keys = None, Security.temporary()

def give_up(*_):
    raise TimeoutError

signal.signal(signal.SIGALRM, give_up)

def attempt(what, do):
    signal.alarm(10)  # a server of web pages, which is among them, waits to be asked
    try:
        print("LET IN", what, do())
    except (OSError, TimeoutError) as error:
        print("kept out:", what, type(error).__name__)
    signal.alarm(0)

def ask(port, key):
    protocol = "tcp" if key is None else "tls"
    return Client(f"{protocol}://127.0.0.1:{port}", timeout=2, security=key).run_on_scheduler(os.getuid)

for key in keys:
    attempt("nobody's port", lambda: ask(1, key))  # what is imported late is imported by root
os.setgroups([]), os.setgid(65534), os.setuid(65534)
print("is", os.getuid())
ports, processes = (map(int, words.split(",")) for words in sys.argv[1:3])
for port in ports:
    for key in keys:
        attempt(port, lambda: ask(port, key))
for process in processes:
    for name in ("environ", "maps", "mem", "fd/0"):
        attempt(f"{process}'s {name}", lambda: open(f"/proc/{process}/{name}", "rb").read(1))
attempt("its folder", lambda: list(Path(sys.argv[3]).iterdir()))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_of_this_machine_is_kept_out() -> None:
    """For real: at every port of every process, in the clear and with a key; and where a key might be read."""
    with connected(None, 1) as client:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        ports = {each.laddr.port for one in processes for each in one.net_connections() if each.status == "LISTEN"}
        (worker,) = client.run(lambda dask_worker: dask_worker.local_directory).values()
        own = next(str(folder) for folder in Path(worker).parents if folder.name.startswith(f"{PREFIX}ingest-"))
        given = [",".join(map(str, ports)), ",".join(str(one.pid) for one in processes), own]
        asked = subprocess.run([sys.executable, "-c", ANOTHER_USER, *given], capture_output=True, text=True, check=True)
        assert "is 65534" in asked.stdout
        assert "LET IN" not in asked.stdout, asked.stdout
        assert asked.stdout.count("kept out") >= 2 + 2 * len(ports) + 4 * len(processes) + 1, asked.stdout
        assert client.submit(pow, 2, 3).result() == 8


def answer(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused_at_once(tmp_path: Path) -> None:
    for package in ("manifests", "pipeline"):
        shutil.copytree(ROOT / package, tmp_path / "other" / package)
    with (tmp_path / "other" / "pipeline" / "__init__.py").open("a") as file:
        file.write("# another version\n")
    with dask(tmp_path, "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", tmp_path / "s.json") as _:
        while not (tmp_path / "s.json").exists():
            time.sleep(0.1)
        worker = ("worker", "--scheduler-file", tmp_path / "s.json", "--nthreads", "1", "--no-dashboard")
        with dask(tmp_path, *worker, path=tmp_path / "other"):
            address = f"tcp://{(tmp_path / 's.json').read_text().split('tcp://')[1].split(chr(34))[0]}"
            started = time.monotonic()
            with pytest.raises(InputError, match=r"The worker tcp://.* runs another version of this program"):
                connected(address, 1).__enter__()
            assert time.monotonic() - started < 60


@pytest.mark.slow
def test_a_scheduler_with_certificates_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/cluster.md sets it up, here with one key for all; without its certificate nobody is let in."""
    from distributed.security import Security

    made = Security.temporary()
    (tmp_path / "ca.pem").write_text(made.tls_ca_file)
    (tmp_path / "own.key").write_text(made.tls_client_key)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", "True")
    settings = {"CA_FILE": "ca.pem"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        settings |= {f"{role}__CERT": "ca.pem", f"{role}__KEY": "own.key"}
    for name, file in settings.items():
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(tmp_path / file))
    scheduler = ("--protocol", "tls", "--port", "0", "--no-dashboard", "--scheduler-file", tmp_path / "s.json")
    with dask(tmp_path, "scheduler", *scheduler):
        while not (tmp_path / "s.json").exists():
            time.sleep(0.1)
        worker = ("worker", "--scheduler-file", tmp_path / "s.json", "--nthreads", "1", "--no-dashboard")
        with dask(tmp_path, *worker):
            address = f"tls://{(tmp_path / 's.json').read_text().split('tls://')[1].split(chr(34))[0]}"
            code = USE.format(address=address)
            used = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=False)
            assert used.stdout == "[0, 1, 4]\n", used.stderr
            for name in settings:
                monkeypatch.delenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}")
            with pytest.raises(InputError, match="A tls:// scheduler needs certificates"):
                check_scheduler(address, 5)


USE = """
from pipeline.jobs.cluster import connected, run_all
with connected({address!r}, 1) as client:
    print(sorted(run_all(client, pow, [(base, 2) for base in range(3)])))
"""


@contextmanager
def dask(folder: Path, *arguments: object, path: Path = ROOT) -> Iterator[None]:
    environment = os.environ | {"PYTHONPATH": str(path)}
    line = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler" if arguments[0] == "scheduler" else "distributed.cli.dask_worker",
        *map(str, arguments[1:]),
    ]
    with open(folder / f"{arguments[0]}.log", "w") as log:
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
