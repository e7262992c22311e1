"""compose.yaml without a container engine: its six services with its commands and its environment, each in a network of
its own where the names are those of the file and nothing else is reachable.

Where networks of one's own are not allowed, the services are on loopback, with the same commands (`isolated` says
which it is).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from tests.chaos.wire import Loop, Wire
from tests.e2e.collector import Collector
from tests.e2e.networks import Networks, NoNetworks
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import ROOT, Process, free_ports, until_ready

STORES = {"postgres": 5432, "valkey": 6379}
SHORT = {"LINKFLOW_LEASE": "2", "LINKFLOW_REPUBLISH_AFTER": "2", "LINKFLOW_SWEEP_INTERVAL": "1"}
"""As in the other topologies: what a process held is somebody else's soon after it died."""


def compose() -> dict[str, Any]:
    """The file, with anchors and merges resolved."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def served(file: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that stay, by name."""
    return {name: one for name, one in file["services"].items() if one.get("command", [""])[0] == "serve"}


def image() -> dict[str, str]:
    """What the Dockerfile sets in the last stage's environment."""
    text = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    pairs = (pair.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.M) for pair in line.split())
    return {name: value for name, value in pairs if name != "PATH"}


def filled(text: str, given: Mapping[str, str]) -> str:
    """Compose's ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?why}``."""

    def one(match: re.Match[str]) -> str:
        name, kind, rest = match[1], match[2], match[3]
        if found := given.get(name):
            return found
        assert kind == ":-", f"compose.yaml needs {name}: {rest}"
        return str(rest)

    return re.sub(r"\$\{([A-Z_]+)(?:(:-|:\?)([^}]*))?\}", one, text)


class Containers:
    """Use as a context. `url` is the API's; `web` is a service outside, which nodes may call."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, scale: int = 1, first: int = 0) -> None:
        """With a `scale` there are so many of each service, as ``history``, ``history-2`` and so on; on loopback, where
        they cannot share a name, one. The `first` of them are started (0: all)."""
        self._folder, self._urls = folder, {"postgres": database_url, "valkey": redis_url}
        self.extra: dict[str, str] = {}
        """Beside what the file says, to be set before the start. `here` is the tests' own address."""
        self.database_url = database_url
        self.services = served(compose())
        self.processes: dict[str, Process] = {}
        self._loop = Loop()
        self.networks: Networks | None = Networks()
        try:
            self.networks.open()
        except NoNetworks as missing:
            print(f"Services are on loopback: {missing}")
            self.networks = None
        self._scale = scale if self.isolated else 1
        self._first = min(first or self._scale, self._scale)
        self.here = self.networks.address if self.networks is not None else "127.0.0.1"
        self._given = {"POSTGRES_PASSWORD": "unused", "LINKFLOW_SECRET": secrets.token_hex(32)}

    @property
    def isolated(self) -> bool:
        return self.networks is not None

    def __enter__(self) -> Containers:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        if hasattr(self, "web"):
            self.web.close()
            self.collector.__exit__()
        self._loop.close()
        if self.networks is not None:
            self.networks.close()

    def logs(self) -> str:
        return "\n".join(f"=== {p.name}\n{p.tail()}" for p in self.processes.values() if p.log.exists())

    # Starting

    def _start(self) -> None:
        here = self.here
        every = [self._named(name, at) for at in range(self._scale) for name in self.services]
        if self.networks is not None:
            self.networks.add(*every)
            aliases = {name: name.partition("-")[0] for name in every}
            self.networks.known(aliases, outside=here, **dict.fromkeys(STORES, here))
        self.web = Web(host=here)
        self.collector = Collector(here).__enter__()
        self.stores = {name: self._store(name, here) for name in STORES}
        make = [str(_script()), *compose()["services"]["certs"]["command"]]
        make[make.index("/certs")] = str(self._folder / "certs")
        _done(make)
        ports = free_ports(3 * len(self.services))
        self._places = {name: ports[3 * at : 3 * at + 3] for at, name in enumerate(self.services)}
        for name in every:
            self.processes[name] = self._process(name, self.services[name.partition("-")[0]])
        self.linkflow(*compose()["services"]["migrate"]["command"])
        started = list(self.processes.values())[: self._first * len(self.services)]
        for process in started:
            process.start()
        for process in started:
            process.wait()
        until_ready(self.url)

    def linkflow(self, *words: str, **env: str) -> str:
        """A command of an operator, on the stores; what it printed."""
        return _done([str(_script()), *words], self._environment("migrate") | env)

    @staticmethod
    def _named(service: str, at: int) -> str:
        return service if at == 0 else f"{service}-{at + 1}"

    def _store(self, name: str, here: str) -> Wire:
        """The store, at the address that its name stands for."""
        target = urlsplit(self._urls[name])
        port = STORES[name] if self.isolated else 0
        return Wire(self._loop, (str(target.hostname), int(target.port or 0)), host=here, port=port)

    def _process(self, name: str, service: Mapping[str, Any]) -> Process:
        env = self._environment(name)
        for volume in service["volumes"]:
            source = self._folder / volume["source"] / volume.get("volume", {}).get("subpath", "")
            source.mkdir(parents=True, exist_ok=True, mode=0o700)
            env = {key: value.replace(volume["target"], str(source)) if _within(value, volume["target"]) else value
                   for key, value in env.items()}  # fmt: skip
        before = self.networks.command(name) if self.networks is not None else []
        listens = urlsplit(f"//{env['LINKFLOW_HTTP' if name.startswith('api') else 'LINKFLOW_GRPC']}")
        host = self.networks.hosts[name] if self.networks is not None else "127.0.0.1"
        command = [*before, str(_script()), *service["command"]]
        return Process(name, command, int(listens.port or 0), env, self._folder / f"{name}.log", host=host)

    def _environment(self, name: str) -> dict[str, str]:
        service = name.partition("-")[0]
        file = compose()["services"][service]["environment"]
        env = image() | {key: filled(str(value), self._given) for key, value in file.items()} | SHORT
        env |= {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/tmp")}
        env["LINKFLOW_HOME"] = str(self._folder / "home" / name)
        env["LINKFLOW_EGRESS"] = json.dumps({"allow": [self.web.address.rpartition(":")[0]]})
        env["DATABASE_URL"] = named("postgres", self._urls["postgres"], env["DATABASE_URL"])
        env["REDIS_URL"] = named("valkey", self._urls["valkey"], env["REDIS_URL"])
        env["LINKFLOW_PUBLIC_URL"] = self.url
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        env |= self.extra
        if self.isolated and service in self.services:
            return env
        return self._on_loopback(name, env)

    def _on_loopback(self, name: str, env: dict[str, str]) -> dict[str, str]:
        """The same without names: each ``host:port`` of the file is a port here."""
        places = {f"{one}:7001": f"127.0.0.1:{ports[0]}" for one, ports in self._places.items()}
        places |= {f"{store}:{port}": self.stores[store].address for store, port in STORES.items()}
        moved = {}
        for key, value in env.items():
            for said, real in places.items():
                value = re.sub(rf"\b{said}\b", real, value)
            moved[key] = value
        if name in self._places:
            names = ("LINKFLOW_GRPC", "LINKFLOW_HTTP", "LINKFLOW_PROBES")
            moved |= {key: f"127.0.0.1:{port}" for key, port in zip(names, self._places[name], strict=True)}
        return moved

    @property
    def url(self) -> str:
        """Where the API is, as compose publishes it."""
        return self.url_of("api")

    def url_of(self, name: str) -> str:
        """Where one of several APIs is."""
        if self.networks is not None:
            return f"http://{self.networks.hosts[name]}:8080"
        return f"http://127.0.0.1:{self._places[name][1]}"

    def probe(self, name: str, path: str) -> str:
        """The address of a probe."""
        if self.networks is not None:
            return f"http://{self.networks.hosts[name]}:9090{path}"
        return f"http://127.0.0.1:{self._places[name][2]}{path}"


def named(store: str, url: str, said: str = "") -> str:
    """The address of a tests' store under the name and port that the file has for it."""
    real, name = urlsplit(url), f"{store}:{STORES[store]}"
    assert not said or urlsplit(said).netloc.rpartition("@")[2] == name, said
    who = real.netloc.rpartition("@")[0]
    return urlunsplit(real._replace(netloc=f"{who}@{name}" if who else name))


def _within(value: str, target: str) -> bool:
    return value == target or value.startswith((f"{target}/", f"file:{target}/"))


def _script() -> Path:
    return Path(sys.executable).with_name("linkflow")


def _done(command: list[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
