"""A Valkey of our own on the loopback address, with its append-only file in the home."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import ClassVar

from linkflow.local import binaries, ports, process
from linkflow.local.home import recall
from linkflow.local.server import EmbeddedServer, Found


class EmbeddedValkey(EmbeddedServer):
    """Valkey in `home`/valkey. Queues survive a crash but for the last second: truth is in Postgres."""

    name = "valkey"
    stop_signals: ClassVar[dict[str, signal.Signals]] = {
        "smart": signal.SIGTERM,
        "fast": signal.SIGTERM,
        "immediate": signal.SIGKILL,
    }

    def __init__(self, home: Path | str, port: int | None = None) -> None:
        super().__init__(home, port)
        self._pidfile = self._note("pid")
        self._program = Path()

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:PORT/0``"""
        return f"redis://{ports.HOST}:{self.port}/0"

    def _create(self) -> None:
        self._program = binaries.valkey()
        self.data.mkdir(mode=0o700, exist_ok=True)

    def _command(self, port: int) -> list[str]:
        options = {
            "port": str(port),
            "bind": ports.HOST,
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "pidfile": str(self._pidfile),
            "set-proc-title": "no",  # its arguments tell us that it is ours
        }
        return [str(self._program), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def _find(self) -> Found | None:
        pid = int(recall(self._pidfile) or 0)
        if process.runs(pid, "-server", f"--pidfile {self._pidfile}"):
            return Found(pid, int(recall(self._note("port")) or 0))
        return None

    def _ready(self, port: int) -> bool:
        if self._child is not None and recall(self._pidfile) != str(self._child.pid):
            return False  # another server may answer at this port
        try:
            with socket.create_connection((ports.HOST, port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")  # not while it still loads its file
        except OSError:
            return False
