"""The client for asyncio against the API itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from linkflow.client import AsyncLinkFlow, Forbidden, InvalidInput, NotFound, PreconditionFailed, Unauthenticated
from tests.integration.control.plane import PASSWORD, Plane, document


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


@pytest.fixture
async def flow(plane: Plane) -> AsyncIterator[AsyncLinkFlow]:
    """Somebody new, signed in."""
    who = await plane.somebody()
    transport = httpx.ASGITransport(plane.watched)
    async with AsyncLinkFlow("http://linkflow.test", email=who.email, password=PASSWORD, transport=transport) as made:
        yield made


async def test_workflows_are_made_listed_changed_and_run(flow: AsyncLinkFlow) -> None:
    made = [(await flow.workflows.create(document(name=f"Orders {n}")))["workflow"] for n in range(3)]
    names = [one["name"] async for one in flow.workflows.each(per_page=2)]
    assert sorted(names) == ["Orders 0", "Orders 1", "Orders 2"]
    id = str(made[0]["id"])
    tag = (await flow.request("GET", f"/api/v1/workspaces/{{workspace_id}}/workflows/{id}")).etag
    changed = await flow.workflows.amend(id, {"name": "Bills"}, if_match=tag)
    assert changed["workflow"]["name"] == "Bills"
    with pytest.raises(PreconditionFailed):
        await flow.workflows.amend(id, {"name": "Again"}, if_match=tag)
    one = await flow.workflows.execute(id, input={"n": 1}, idempotency_key="k1")
    two = await flow.workflows.execute(id, input={"n": 1}, idempotency_key="k1")
    assert one["execution"]["id"] == two["execution"]["id"]


async def test_refusals(flow: AsyncLinkFlow, plane: Plane) -> None:
    with pytest.raises(InvalidInput) as caught:
        await flow.workflows.create({"name": "x", "nodes": [{"id": "a", "type": "no_such"}], "edges": []})
    assert caught.value.faults
    with pytest.raises(NotFound):
        await flow.workflows.show("01980000-0000-7000-8000-000000000000")
    key = (await flow.teams.create_service_key(name="Reader", permissions=["workflow.view"]))["secret"]
    transport = httpx.ASGITransport(plane.watched)
    async with AsyncLinkFlow("http://linkflow.test", key=key, transport=transport) as reader:
        assert await reader.workspace() == await flow.workspace()
        with pytest.raises(Forbidden):
            await reader.workflows.create(document())
    async with AsyncLinkFlow("http://linkflow.test", email="no@example.com", password="x", transport=transport) as no:
        with pytest.raises(Unauthenticated):
            await no.workflows.index()
