"""AWS on loopback: moto's server, reached over HTTP like AWS itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import moto.core.config
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

REGION = "eu-central-1"
KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "planted-secret-of-aws", "region": REGION}


@dataclass
class Cloud:
    """Where the services are."""

    url: str

    @property
    def credential(self) -> dict[str, Any]:
        return {"aws": {**KEYS, "endpoint": self.url}}

    def client(self, service: str) -> Any:
        """AWS' own client, to see from outside what became of it."""
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
        )


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    moto.core.config.default_user_config["lambda"]["use_docker"] = False
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Cloud(f"http://{host}:{port}")
    server.stop()
