"""A host that ends calls (Lambda): what takes too long is answered before, and leaves nothing behind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from linkflow.http.app import create_app
from linkflow.transports.lambda_door import left
from tests.integration.control.plane import Plane, check_problem, document


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


def test_the_time_of_a_call_is_its_functions_less_a_margin() -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)
    assert left({"aws.context": context}) == 29.5


async def test_what_hangs_is_answered_in_time_and_can_be_sent_again(plane: Plane) -> None:
    ada = await plane.somebody()
    seconds = [0.3, 10.0]

    def those(scope: Any) -> float:
        return seconds.pop(0)

    transport = httpx.ASGITransport(create_app(plane.services, those))
    headers = {**ada.auth, "Idempotency-Key": "late"}
    async with httpx.AsyncClient(transport=transport, base_url="http://linkflow.test") as client:

        async def make() -> httpx.Response:
            return await client.post(f"{ada.base}/workflows", json=document(name="Late"), headers=headers)

        async with plane.database.transaction() as other:
            await other.execute("LOCK TABLE workflows IN ACCESS EXCLUSIVE MODE")
            said = check_problem(await make(), 504, "deadline_exceeded")
        assert "Idempotency-Key" in said["detail"]
        assert (await make()).status_code == 201, "the key is free, and nobody waits for the lock"
    listed = await plane.client.get(f"{ada.base}/workflows", headers=ada.auth)
    assert [one["name"] for one in listed.json()["data"]] == ["Late"]
