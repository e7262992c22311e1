"""One Lambda execution environment: AWS's runtime interface emulator with a runtime behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class NoEmulator(RuntimeError):
    """The emulator is not there: `make .tools/sam/.ready`."""


def emulator() -> Path:
    """AWS's runtime interface emulator, out of the wheel of aws-sam-cli."""
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    found = sorted(
        (ROOT / ".tools" / "sam").glob(f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}")
    )
    if not found:
        raise NoEmulator("No aws-lambda-rie. Run: make .tools/sam/.ready")
    return found[0]


@dataclass
class Function:
    """What a template says of a function. `folder` holds the handler's module; `env` is added to a bare environment."""

    folder: Path
    handler: str = "handler.lambda_handler"
    env: dict[str, str] = field(default_factory=dict)
    timeout: int = 30
    memory: int = 512
    cap: int = 4
    """Environments at once."""
    throttle: bool = False
    """Refuse with 429 at the cap, as AWS does; otherwise wait for a free one."""
    python: Path = Path(sys.executable)


@dataclass
class Answer:
    """Of one invocation: `error` is the X-Amz-Function-Error header."""

    status: int
    body: bytes
    error: str = ""


class Environment:
    """One emulator with one runtime behind it, which serves one request at a time."""

    def __init__(self, name: str, function: Function, log: Path | None) -> None:
        self._port, runtime = _free_ports(2)
        self.started = time.perf_counter()
        self.warm = False
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": "/tmp",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "LAMBDA_TASK_ROOT": str(function.folder),
            **function.env,
        }
        output: Any = subprocess.DEVNULL if log is None else log.open("ab")
        try:
            self._process = subprocess.Popen(
                [
                    str(emulator()),
                    # Both, or it listens on every interface.
                    *("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
                    *("--runtime-api-address", f"127.0.0.1:{runtime}"),
                    *(str(function.python), "-m", "awslambdaric", function.handler),
                ],
                cwd=function.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            if output != subprocess.DEVNULL:
                output.close()
        self._timeout = function.timeout

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the emulator; the runtime is its child."""
        return self._process.pid

    def invoke(self, payload: bytes) -> Answer:
        """Pass one event to the runtime, and read the emulator's answer as AWS would have told it."""
        self._wait_for_port()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout + 20)
        try:
            connection.request("POST", "/2015-03-31/functions/function/invocations", payload)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(200, failure("Runtime.ExitError", f"the environment died: {error}"), "Unhandled")
        finally:
            connection.close()
        # The emulator knows no X-Amz-Function-Error; a plain text timeout is passed on as it is.
        if answer.status == 502:
            return Answer(200, body, "Unhandled")
        failed = body.startswith(b'{"errorMessage"') and b'"errorType"' in body and b'"requestId"' in body
        return Answer(answer.status, body, "Unhandled" if failed else "")

    def freeze(self) -> None:
        """Stop the runtime where it stands: it overruns its time, and the emulator kills it."""
        for pid in _session(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def kill(self) -> None:
        """End the emulator and the runtime, which is a child of it in the same session."""
        self._process.terminate()  # it kills its runtime itself
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in _session(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + 10
        while not self.warm and self.alive and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 0.5):
                return
            time.sleep(0.002)


def failure(kind: str, message: str) -> bytes:
    """The body of a function error."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _session(leader: int) -> list[int]:
    """What is left of the session that `leader`, ours and ended by now, has led."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and int(stat.parent.name) != leader:
                found.append(int(stat.parent.name))
    return found
