"""The whole product, run in several ways: in this process, as six processes over gRPC, and as Lambda functions.

Each is a `Topology`: the URL of its HTTP API and of its stores. Services are real processes with real stores; a test
may kill, stop and start those of `GrpcTopology`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from linkflow.local import certificates, launcher
from tests.lambda_pool import Function, LambdaPool

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("history", "matching", "worker", "timer", "frontend")
START = 20.0
"""Seconds that a process may take to answer."""


@dataclass(frozen=True)
class Topology:
    """A running product."""

    name: str
    url: str
    database_url: str
    redis_url: str
    logs: Callable[[], str] = field(default=lambda: "", repr=False)
    """What its processes have said, for a test that failed."""
    pool: LambdaPool | None = field(default=None, repr=False)
    """The functions, where it has some."""
    here: str = "127.0.0.1"
    """Where what the tests serve is reached from."""


def settings(database_url: str, redis_url: str, public_url: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of every process: leases and sweeps are short, and loopback may be called."""
    public = {"LINKFLOW_PUBLIC_URL": public_url} if public_url else {}
    return public | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "LINKFLOW_SECRET": secrets.token_urlsafe(48),
        "LINKFLOW_LEASE": "2",
        "LINKFLOW_REPUBLISH_AFTER": "2",
        "LINKFLOW_SWEEP_INTERVAL": "1",
        "LINKFLOW_EGRESS": json.dumps({"allow": ["127.0.0.0/8"]}),
        **extra,
    }


def free_ports(count: int) -> list[int]:
    """Ports below the range that outgoing connections take theirs from: a killed server finds its own again."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(18_000, 31_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return list(dict.fromkeys(found)) if len(set(found)) == count else free_ports(count)


# In this process


@contextlib.contextmanager
def in_process(database_url: str, redis_url: str, home: Path, probes: str = "", **extra: str) -> Iterator[Topology]:
    """As `linkflow up` runs it, over stores that are there already; `probes` as its option."""
    from linkflow.cli.up import Running

    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings(database_url, redis_url, "", extra).items():
            patch.setenv(name, value)
        with Running(str(home), "127.0.0.1", 0, probes=probes) as running:
            yield Topology("in_process", running.url, database_url, redis_url)


# Six processes over gRPC


class Process:
    """`linkflow serve SERVICE` at one address for ever: it can be killed and started again. It ends with us."""

    def __init__(
        self, name: str, command: list[str], port: int, env: dict[str, str], log: Path, host: str = "127.0.0.1"
    ) -> None:
        self.name, self.port, self.log, self.host = name, port, log, host
        self._command, self._env = command, env
        self._popen: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self) -> Process:
        """Start it; `wait` until it answers."""
        assert self._popen is None, f"{self.name} runs"
        tied = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(int(signal.SIGKILL)), ""]
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts + 1}\n".encode())
            self._popen = subprocess.Popen(
                [*tied, *self._command], env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.starts += 1
        return self

    def wait(self) -> None:
        """Until it listens."""
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            assert self._popen is None or self._popen.poll() is None, f"{self.name} ended:\n{self.tail()}"
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1.0):
                return
            time.sleep(0.01)
        raise AssertionError(f"{self.name} does not answer:\n{self.tail()}")

    def kill(self) -> None:
        """SIGKILL, at once and without a word."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None

    def restart(self, **env: str) -> None:
        """Kill it, if it lives, and start it again at the same address, with `env` from now on."""
        self.kill()
        self.change(**env)
        self.start().wait()

    def change(self, **env: str) -> None:
        """Its environment from its next start on."""
        self._env |= env

    def end(self) -> None:
        """SIGTERM, as a deployment does it; its exit has to be clean."""
        assert self._popen is not None
        self._popen.terminate()
        code = self._popen.wait(30)
        self._popen = None
        assert code == 0, f"{self.name} ended with {code}:\n{self.tail()}"

    def freeze(self) -> None:
        assert self._popen is not None
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._popen is not None
        self._popen.send_signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class GrpcTopology:
    """Every service a process of its own, and the API another; they call each other over mutual TLS."""

    def __init__(self, database_url: str, redis_url: str, folder: Path, **extra: str) -> None:
        self.database_url, self.redis_url = database_url, redis_url
        self._folder = folder
        names = (*SERVICES, "api")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.url = f"http://127.0.0.1:{self._ports['api']}"
        self.env = settings(database_url, redis_url, self.url, extra)
        self.env |= {f"LINKFLOW_{name.upper()}_URL": f"grpc://127.0.0.1:{self._ports[name]}" for name in SERVICES}
        self._certificates = folder / "certificates"
        certificates.make(self._certificates, names, {}, 1)
        self.processes = {name: self._process(name, name, self._ports[name]) for name in names}

    def __getitem__(self, name: str) -> Process:
        return self.processes[name]

    @property
    def topology(self) -> Topology:
        return Topology("grpc", self.url, self.database_url, self.redis_url, self.logs)

    def _process(self, name: str, service: str, port: int) -> Process:
        where = ["--http" if service == "api" else "--grpc", f"127.0.0.1:{port}"]
        command = [str(Path(sys.executable).with_name("linkflow")), "serve", service, *where]
        env = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/tmp"), **self.env}
        env["LINKFLOW_TLS"] = str(self._certificates / service)
        return Process(name, command, port, env, self._folder / f"{name}.log")

    def add(self, name: str, service: str) -> Process:
        """One more process of a service, not started yet."""
        made = self.processes[name] = self._process(name, service, free_ports(1)[0])
        return made

    def start(self, *names: str) -> None:
        """Start what does not run (all, or those named), together."""
        wanted = [p for p in self.processes.values() if not p.running and (not names or p.name in names)]
        for process in wanted:
            process.kill()
            process.start()
        for process in wanted:
            process.wait()
        if self["api"] in wanted:
            until_ready(self.url)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()

    def logs(self) -> str:
        return "\n".join(f"=== {p.name}\n{p.tail()}" for p in self.processes.values() if p.log.exists())


@contextlib.contextmanager
def grpc(database_url: str, redis_url: str, folder: Path, **extra: str) -> Iterator[GrpcTopology]:
    """Six processes, each at its address, all started."""
    made = GrpcTopology(database_url, redis_url, folder, **extra)
    try:
        made.start()
        yield made
    finally:
        made.close()


def until_ready(url: str, seconds: float = START) -> None:
    """Until the API and its stores answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health/ready", timeout=5.0, trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{url} is not ready")


# Lambda functions


@contextlib.contextmanager
def lambda_(
    database_url: str, redis_url: str, folder: Path, *, worker_timeout: int = 60, every: float = 5.0, **extra: str
) -> Iterator[Topology]:
    """functions/*/handler.py under AWS's runtime interface emulator, with the template's shape: the API behind an HTTP
    API, Frontend, History and Matching within whoever calls them, workers woken by Matching, a clock for the timer
    (`every` few seconds, where AWS has once a minute)."""
    (port,) = free_ports(1)
    bridge = HttpApi()
    env = settings(database_url, redis_url, bridge.url, extra) | {
        "LINKFLOW_ENVIRONMENT": "aws",
        "LINKFLOW_POOL_SIZE": "2",
        "LINKFLOW_WORKER_URL": "lambda:lf-worker",
        "LINKFLOW_TIMER_URL": "lambda:lf-timer",
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{port}",
    }

    def function(name: str, **how: Any) -> Function:
        return Function(folder=ROOT / "functions" / name, env=env, **how)

    functions = {
        "lf-api": function("api", cap=6),
        "lf-worker": function("worker", cap=4, timeout=worker_timeout),
        "lf-timer": function("timer", cap=2, timeout=60),
    }
    with LambdaPool(functions, port=port, logs=folder / "lambda") as pool, bridge, Clock(pool, "lf-timer", every):
        bridge.serve(pool, "lf-api")
        until_ready(bridge.url)

        def logs() -> str:
            texts = [f"=== {p.name}\n{_tail(p)}" for p in sorted((folder / "lambda").glob("*.log"))]
            return "\n".join([*texts, pool.report(), f"dropped: {pool.dropped}"])

        yield Topology("lambda", bridge.url, database_url, redis_url, logs, pool)


def _tail(path: Path, lines: int = 60) -> str:
    """What the function said, without what the emulator says of every invocation."""
    text = path.read_text(errors="replace")
    noise = ("START RequestId", "END RequestId", "REPORT RequestId")
    said = [line for line in text.splitlines() if not line.startswith(noise) and "(rapid) INVOKE" not in line]
    return "\n".join(said[-lines:])


class Clock:
    """EventBridge Scheduler, twelve times as fast. What falls due between two ticks needs the poke of a new timer."""

    def __init__(self, pool: LambdaPool, function: str, every: float = 5.0) -> None:
        self._pool, self._function, self._every = pool, function, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with contextlib.suppress(ConnectionAbortedError):
                # Longer would hold back the sweep, which a tick makes at its start.
                tick = {"tick": {"seconds": min(3.0, self._every)}}
                self._pool.accept(self._function, "RequestResponse", json.dumps(tick).encode())

    def __enter__(self) -> Clock:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)


class HttpApi:
    """API Gateway's HTTP API in front of one function: payload format 2.0, everything to `$default`."""

    def __init__(self) -> None:
        self._pool: LambdaPool | None = None
        self._function = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, pool: LambdaPool, function: str) -> None:
        self._pool, self._function = pool, function

    def __enter__(self) -> HttpApi:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _ask(self, event: dict[str, Any]) -> dict[str, Any]:
        if self._pool is None:
            return {"statusCode": 503}
        answer = self._pool.accept(self._function, "RequestResponse", json.dumps(event).encode())
        if answer.status != 200 or answer.error:
            return {"statusCode": 503, "body": '{"message":"Service Unavailable"}'}
        try:
            found = json.loads(answer.body)
        except ValueError:  # a timeout in plain text
            return {"statusCode": 504, "body": '{"message":"Endpoint request timed out"}'}
        return found if isinstance(found, dict) else {"statusCode": 502}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ask = self._ask

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = ask(http_event(self.command, self.path, self.headers.items(), raw))
                body = str(answer.get("body") or "")
                data = b64decode(body) if answer.get("isBase64Encoded") else body.encode()
                with contextlib.suppress(OSError):  # the caller has gone
                    self.send_response(int(answer.get("statusCode", 200)))
                    for name, value in (answer.get("headers") or {}).items():
                        if name.lower() not in ("content-length", "connection"):
                            self.send_header(name, str(value))
                    for cookie in answer.get("cookies") or []:
                        self.send_header("Set-Cookie", cookie)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler


def http_event(method: str, target: str, headers: Any, raw: bytes) -> dict[str, Any]:
    """The event of an HTTP API with payload format 2.0."""
    parts = urlsplit(target)
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    cookies = joined.pop("cookie", "")
    try:
        body, encoded = raw.decode(), False
    except UnicodeDecodeError:
        body, encoded = b64encode(raw).decode(), True
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "headers": joined,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": joined.get("host", ""),
            "http": {
                "method": method,
                "path": parts.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": joined.get("user-agent", ""),
            },
            "requestId": secrets.token_hex(8),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": round(time.time() * 1000),
        },
        "isBase64Encoded": encoded,
    }
    if cookies:
        event["cookies"] = cookies.split("; ")
    if raw:
        event["body"] = body
    return event
