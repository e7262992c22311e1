from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from linkflow.config import Egress
from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.aws_peer import cloud as cloud  # a fixture


@pytest.fixture
async def egress() -> AsyncIterator[EgressClient]:
    """The real client, with loopback allowed."""
    client = EgressClient(Egress(allow=("127.0.0.1",)))
    yield client
    await client.aclose()
