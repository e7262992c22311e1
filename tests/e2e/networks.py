"""Networks for processes: each in a namespace of its own on one bridge, with names. Linux, root, and iproute2."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

NAMES = Path("/etc/netns")
"""`ip netns exec` lays the files of a namespace's folder over those of /etc."""


class NoNetworks(Exception):
    """This machine does not let us make networks; the message says what is missing."""


class Networks:
    """A bridge, and hosts on it. What this process serves at `address` is reached by them as `outside`."""

    def __init__(self) -> None:
        self._tag = secrets.token_hex(2)
        high, low = bytes.fromhex(self._tag)
        self._subnet = f"10.{192 + high % 60}.{low}"
        self._bridge = f"lf{self._tag}"
        self.address = f"{self._subnet}.1"
        self.hosts: dict[str, str] = {}
        self._links: dict[str, str] = {}

    def open(self) -> Networks:
        """Raises `NoNetworks`."""
        if os.name != "posix" or os.geteuid() != 0 or shutil.which("ip") is None:
            raise NoNetworks("networks of one's own take root and iproute2")
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            self._add("probe", 250)
        except (NoNetworks, OSError) as error:
            self.close()
            raise NoNetworks(str(error)) from None
        self._remove("probe")
        return self

    def close(self) -> None:
        for name in list(self.hosts):
            self._remove(name)
        with contextlib.suppress(NoNetworks):
            _ip("link", "del", self._bridge)

    def add(self, *names: str) -> None:
        """Hosts, each known to all the others by its name."""
        for at, name in enumerate(names, start=10):
            self._add(name, at)

    def known(self, aliases: Mapping[str, str], **outside: str) -> None:
        """Tell every host all names; hosts with the same alias share it, `outside` are further ones with addresses."""
        # Shared names first: gRPC's resolver keeps to the first address of a name once it has seen another one's own name.
        lines = [f"{self.hosts[name]} {alias}" for name, alias in aliases.items()]
        lines += [f"{address} {name}" for name, address in {"localhost": "127.0.0.1", **self.hosts, **outside}.items()]
        for name in self.hosts:
            folder = NAMES / self._space(name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "hosts").write_text("\n".join([*lines, ""]))
            (folder / "resolv.conf").write_text("")

    def command(self, name: str) -> list[str]:
        """What stands before a command that runs on a host."""
        return [str(shutil.which("ip")), "netns", "exec", self._space(name)]

    def cut(self, name: str) -> None:
        """Nobody reaches it, and it reaches nobody, from now on: packets are lost, no connection is closed."""
        _ip("link", "set", self._link(name), "down")

    def mend(self, name: str) -> None:
        _ip("link", "set", self._link(name), "up")

    def _add(self, name: str, at: int) -> None:
        space, link = self._space(name), self._link(name)
        _ip("netns", "add", space)
        self.hosts[name] = f"{self._subnet}.{at}"
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", link, "master", self._bridge, "up")
        _ip("-n", space, "addr", "add", f"{self.hosts[name]}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")

    def _remove(self, name: str) -> None:
        with contextlib.suppress(NoNetworks):
            _ip("netns", "del", self._space(name))
        self.hosts.pop(name, None)
        shutil.rmtree(NAMES / self._space(name), ignore_errors=True)

    def _space(self, name: str) -> str:
        return f"lf{self._tag}-{name}"

    def _link(self, name: str) -> str:
        return self._links.setdefault(name, f"lf{self._tag}v{len(self._links)}")  # at most 15 characters


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise NoNetworks(f"ip {' '.join(words)}: {done.stderr.strip()}")
