"""Stores that several contracts are tried on."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from linkflow.local import binaries


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one server: it refuses whatever would span several."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        port, bus = one.getsockname()[1], two.getsockname()[1]
    home = tmp_path_factory.mktemp("cluster")
    options = f"--port {port} --cluster-port {bus} --bind 127.0.0.1 --cluster-enabled yes --dir {home}"
    server = subprocess.Popen([binaries.valkey(), *options.split(), "--save", ""], stdout=subprocess.DEVNULL)
    with redis.Redis(port=port, retry=Retry(ConstantBackoff(0.05), 100)) as admin:
        admin.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        while admin.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}?cluster=true"
    server.kill()
    server.wait()
