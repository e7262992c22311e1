"""AWS on this machine: MiniStack, whose functions run as processes, with the roles' policies in force."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".tools" / "emulator" / "bin" / "ministack"
REGION = "eu-central-1"
PATIENCE = 60.0


@dataclass(frozen=True)
class Emulator:
    """`port` is the one gateway of all services."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """For whatever speaks to AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "SAM_CLI_TELEMETRY": "0",
        }  # fmt: skip

    def client(self, service: str) -> Any:
        import boto3

        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def names(self, api_id: str) -> dict[str, str]:
        """The header by which the gateway knows an HTTP API; its name stands in no DNS."""
        return {"Host": f"{api_id}.execute-api.localhost:{self.port}"}


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Emulator]:
    """Runs until the end of the block, and takes its functions' processes along."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    made = Emulator(port, folder / "emulator.log")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LINKFLOW_", "PYTHON"))}
    env |= {
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "LAMBDA_EXECUTOR": "local", "IOT_MTLS_ENABLED": "0",
        "MINISTACK_REGION": REGION, "TMPDIR": str(folder), "AUTH": "true",  # a function may do what its role says
    }  # fmt: skip
    with made.log.open("wb") as log:
        process = subprocess.Popen(
            [str(PROGRAM)],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )
    try:
        _until_it_listens(process, made)
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _until_it_listens(process: subprocess.Popen[bytes], made: Emulator) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", made.port), 0.5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"The emulator did not start:\n{made.log.read_text()[-2000:]}")
