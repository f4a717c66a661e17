"""Whether a Dask scheduler listens at an address, asked before Dask itself connects there.

Dask believes whatever the other side sends: the greeting of another server becomes a length in bytes to wait for, or to
allocate. A scheduler speaks first, so one look at its greeting tells; nothing is sent.
"""

import re
import socket
import ssl
import struct
import time
from contextlib import closing

from manifests.errors import InputError
from manifests.files.given import printable, reason
from pipeline.storage.secrets import without_secrets

ADDRESS = re.compile(r"(?:(?P<protocol>tcp|tls)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@?]+):(?P<port>\d{1,5})")
LONGEST_GREETING = 1 << 16  # bytes; it is about a hundred
GREETS_WITH = b"compression"  # a word in every greeting of Dask
NO_PAGES = "--no-dashboard --dashboard-address localhost:0"  # without both, anybody may look, at every address
REMEDY = (
    f"Leave --scheduler out to use this machine. Or start one with `dask scheduler --host localhost {NO_PAGES}`, and "
    f"workers with `dask worker ADDRESS --host localhost --nthreads 1 {NO_PAGES}`; docs/cluster.md says how many "
    "machines do so."
)


def check_scheduler(address: str, seconds: float) -> None:
    """InputError when nobody answers at `tcp://host:port` or `tls://host:port` within so many seconds, or not Dask."""
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise InputError(
            f"--scheduler {without_secrets(address)!r} is no address of a scheduler, which has a host and a port, and "
            "takes no password. Give tcp://host:port, or tls://host:port."
        )
    deadline = time.monotonic() + seconds
    try:
        greeting = _greeting(parts["host"].strip("[]"), int(parts["port"]), parts["protocol"] == "tls", deadline)
    except TimeoutError as error:
        raise InputError(
            f"No Dask scheduler answers at {address}: something listens there, or drops what is sent, and said nothing "
            f"in {seconds:g} s. {REMEDY}"
        ) from error
    except (OSError, OverflowError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {address} ({reason(error)}). {REMEDY}") from error
    if GREETS_WITH not in greeting:
        said = printable(greeting[:40].decode("latin-1"))
        raise InputError(f"What answers at {address} is no Dask scheduler: it said {said!r}. {REMEDY}")


def _greeting(host: str, port: int, encrypted: bool, deadline: float) -> bytes:
    """The first message of what listens there, or its beginning where it cannot be one of Dask's."""
    with closing(socket.create_connection((host, port), _left(deadline))) as plain:
        plain.settimeout(_left(deadline))
        with closing(_credentials().wrap_socket(plain)) if encrypted else plain as connection:
            head = _received(connection, 8, deadline)
            size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            return head if not 0 < size <= LONGEST_GREETING else head + _received(connection, size, deadline)


def _credentials() -> ssl.SSLContext:
    """What Dask's settings say about certificates. InputError where they say nothing."""
    from distributed.security import Security

    context = Security().get_connection_args("client").get("ssl_context")
    if context is None:
        raise InputError(
            "A tls:// scheduler needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY to their files."
        )
    return context


def _received(connection: socket.socket, size: int, deadline: float) -> bytes:
    """So many bytes; fewer where the other side ends before."""
    content = b""
    while len(content) < size:
        connection.settimeout(_left(deadline))
        if not (piece := connection.recv(size - len(content))):
            break
        content += piece
    return content


def _left(deadline: float) -> float:
    if (seconds := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return seconds
