"""A real S3 server process (moto), and a gate before it that answers badly where it is told to."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "someone",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
MANY = 1_000_000  # bytes


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server that lives as long as the block. Skips the test where there is none."""
    pytest.importorskip("s3fs", reason="the s3 extra is not installed")
    pytest.importorskip("moto.server", reason="moto[server], a test dependency, is not installed")
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, "the S3 server ended"
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.1)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Gate:
    """Hands requests on to a server. `fault(number)` says what happens to the answer of the n-th request for a tar:
    "error" (503), "cut" (half of it, then the connection ends), "trickle" (what was sent is taken, and zeros are given,
    byte by byte, twenty a second), a number of seconds to wait, or None."""

    def __init__(self, server: str) -> None:
        self.server = urlsplit(server)
        self.fault: Callable[[int], str | float | None] = lambda number: None
        self.asked: list[str] = []  # what of a tar each request was for
        self._lock = threading.Lock()

    def fault_of_next(self, path: str, what: str) -> str | float | None:
        if not path.endswith(".tar"):
            return None
        with self._lock:
            self.asked.append(what)
            return self.fault(len(self.asked))


@contextmanager
def gate(server: str) -> Iterator[tuple[str, Gate]]:
    """A gate and its address."""
    kept = Gate(server)
    handler = type("Handler", (_Handler,), {"gate": kept})
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}", kept
    finally:
        listener.shutdown()
        listener.server_close()


class _Handler(BaseHTTPRequestHandler):
    gate: Gate
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _trickle(self, sent: int) -> None:
        """Until the other end has had enough of it."""
        if not sent:
            self.send_response(200)
            self.send_header("Content-Length", str(MANY))
            self.end_headers()
        with suppress(OSError):
            for _ in range(sent or MANY):
                if not (self.rfile.read1(1) if sent else self.wfile.write(b"0")):
                    break
                time.sleep(0.05)
        self.close_connection = True

    def _hand_on(self) -> None:
        fault = self.gate.fault_of_next(urlsplit(self.path).path, self.headers.get("Range", self.command))
        size = int(self.headers.get("Content-Length", 0))
        if fault == "trickle" and self.command in ("GET", "PUT"):
            self._trickle(size)
            return
        body = self.rfile.read(size)
        if fault == "error":
            self.send_error(503)
            return
        if isinstance(fault, float):
            time.sleep(fault)
        upstream = HTTPConnection(str(self.gate.server.hostname), self.gate.server.port or 80, timeout=60)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length", str(len(content))))
        self.end_headers()
        upstream.close()
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
        if fault == "cut":
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _hand_on
