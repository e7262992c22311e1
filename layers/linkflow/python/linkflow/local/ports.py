"""A loopback port for a server: the same one every time, unless it is taken."""

from __future__ import annotations

import errno
import socket
import zlib
from collections.abc import Container
from pathlib import Path

from linkflow.domain.errors import CannotStart

HOST = "127.0.0.1"
# Below 32768, where Linux starts to hand out ports to outgoing connections: those would take ours between two starts.
FIRST, COUNT = 20_000, 10_000


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closing connection is no obstacle
        try:
            listener.bind((HOST, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
    return True


def pick(home: Path, name: str, preferred: int = 0, avoid: Container[int] = ()) -> int:
    """`preferred` if it is free, else the first free port of a row that starts at a place of this home's own."""
    start = zlib.crc32(f"{home}:{name}".encode())
    row = (FIRST + (start + step) % COUNT for step in range(COUNT))
    for port in (preferred, *row) if preferred else row:
        if port not in avoid and is_free(port):
            return port
    raise CannotStart(f"no free port between {FIRST} and {FIRST + COUNT} for {name}")
