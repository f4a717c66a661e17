"""Who speaks to a page that only this machine reaches: requests under its own names, from its own pages.

Every page in a browser of this machine reaches it as well: by a form, or under a name of its own that leads here.
"""

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def is_from_here(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request names this machine, at any port as behind a tunnel, and comes from no page of another host."""
    host, origin = (headers.get(name, b"").decode("latin-1").lower() for name in (b"host", b"origin"))
    try:
        name, source = urlsplit(f"//{host}").hostname, urlsplit(origin).netloc
    except ValueError:
        return False
    return is_loopback(name or "") and (not origin or source == host)
