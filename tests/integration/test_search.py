"""Finding runs: by error, words, attributes, version, time and duration; bounded, with a cursor; over two databases too."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.contracts.controlling import BulkFilter, BulkOptions, BulkRequest
from linkflow.contracts.searching import Attribute, RunFilter
from linkflow.domain import definition as d
from linkflow.domain import ids
from linkflow.domain.outcomes import Completed, Failed, NodeError
from linkflow.postgres import facts as facts_module
from linkflow.postgres.database import Database
from tests.integration.test_bulk import over
from tests.integration.test_history import SERVICE, World


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    database = Database(database_url, size=4)
    made = World(database)
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


async def _failed(world: World, workflow: str, code: str, message: str) -> str:
    id = await world.start(workflow)
    await world.report(id, "n0", Failed(NodeError(code, message, False)))
    return id


async def _labelled(world: World) -> str:
    nodes = (d.Node("n0", "set_attributes"), d.Node("n1", "set_attributes"))
    return await world.workflow(*nodes, edges=(d.Edge("e0", "t", "n0"), d.Edge("e1", "n0", "n1")))


async def _found(world: World, *, before: str = "", limit: int = 20, **given: Any) -> list[str]:
    names = ("workflow_id", "status", "mode")
    plain = {name: given.pop(name) for name in names if name in given}
    request = h.ListRequest(world.workspace, before=before, limit=limit, filter=RunFilter(**given), **plain)
    return [run.id for run in (await world.history.list(request)).executions]


def _where(*written: str) -> tuple[Attribute, ...]:
    found = []
    for text in written:
        name, operator, value = text.split(" ")
        found.append(Attribute(name, operator, value))
    return tuple(found)


async def test_failed_runs_are_found_by_their_error(world: World) -> None:
    workflow = await world.chain(1)
    refused = await _failed(world, workflow, "http_402", "Payment refused for order 77")
    late = await _failed(world, workflow, "http_504", "The gateway's timeout was over, order 78")
    assert await _found(world, error_code="http_402") == [refused]
    assert await _found(world, text="ORDER") == [late, refused]
    assert await _found(world, text="timeout order") == [late]
    assert await _found(world, text="nobody order") == []
    assert await _found(world, text="order", workflow_id=workflow, status="failed") == [late, refused]
    assert await _found(world, text="order", status="completed") == []
    shown = await world.history.describe(h.DescribeRequest((refused,), world.workspace, in_full=True))
    assert shown.executions[0].error == {"code": "http_402", "message": "Payment refused for order 77", "node": "n0"}
    await world.history.control(h.ControlRequest(late, world.workspace, "retry"))
    assert await _found(world, text="timeout") == []  # it goes on
    await world.report(late, "n0", Completed(), attempt=2)
    assert await _found(world, error_code="http_504") == []


async def test_runs_are_found_by_attributes_that_their_workflow_sets(world: World) -> None:
    workflow = await _labelled(world)
    acme, other = await world.start(workflow), await world.start(workflow)
    await world.report(acme, "n0", Completed({"attributes": {"customer": "acme", "amount": 90, "tags": ["vip", "eu"]}}))
    await world.report(other, "n0", Completed({"attributes": {"customer": "Ærø Ltd", "amount": 900.0}}))
    await world.report(acme, "n1", Completed({"attributes": {"amount": 95}}))
    assert await _found(world, attributes=_where("customer = acme")) == [acme]
    assert await _found(world, attributes=_where("tags = eu", "customer = acme")) == [acme]
    assert await _found(world, attributes=_where("amount = 95")) == [acme]
    assert await _found(world, attributes=_where("amount = 90")) == []  # the latest counts
    assert await _found(world, attributes=_where("amount = 900")) == [other]
    assert await _found(world, attributes=_where("amount >= 95")) == [other, acme]
    assert await _found(world, attributes=_where("amount > 95")) == [other]
    assert await _found(world, attributes=_where("amount < 900")) == [acme]
    assert await _found(world, text="ærø ltd") == [other]
    [run] = (
        await world.history.list(h.ListRequest(world.workspace, filter=RunFilter(attributes=_where("tags = vip"))))
    ).executions
    assert run.attributes == {"customer": "acme", "amount": 95, "tags": ["vip", "eu"]}


async def test_nothing_is_found_in_another_workspace(world: World) -> None:
    await _failed(world, await world.chain(1), "http_402", "refused")
    stranger = h.ListRequest(ids.uuid7(1, 1, 1), filter=RunFilter(text="refused"))
    assert (await world.history.list(stranger)).executions == ()


async def test_versions_times_and_durations(world: World) -> None:
    workflow = await world.chain(1)
    first = await world.start(workflow)
    second = await world.start(workflow)
    await world.report(first, "n0", Completed())
    await world.sql("UPDATE executions SET closed_at = started_at + 5000 WHERE id = %s", first)
    now = time.time_ns() // 1_000_000
    assert await _found(world, version=1) == [second, first]
    assert await _found(world, version=2) == []
    assert await _found(world, min_ms=5000) == [first]
    assert await _found(world, min_ms=1000, max_ms=4999) == []
    assert await _found(world, started_after=now - 60_000, started_before=now + 60_000) == [second, first]
    assert await _found(world, started_before=now - 60_000) == []
    assert await _found(world, status="running", started_after=now - 60_000) == [second]


@pytest.mark.parametrize("given", [{"text": "order"}, {"max_ms": 10**9}, {"version": 1}])
async def test_pages_lead_through_all_however_little_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    monkeypatch.setattr(facts_module, "SCAN", 3)
    monkeypatch.setattr(facts_module, "LOOKS", 1)
    workflow, quiet = await world.chain(1), await world.chain(1)
    wanted: list[str] = []
    for turn in range(8):
        wanted.append(await _failed(world, workflow, "x", f"order {turn}"))
        await world.start(quiet)
        await world.start(quiet)
    seen: list[str] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        request = h.ListRequest(world.workspace, workflow, before=cursor, limit=2, filter=RunFilter(**given))
        reply = await world.history.list(request)
        seen += [run.id for run in reply.executions]
        cursor, pages = reply.next, pages + 1
    assert seen == wanted[::-1]
    assert pages >= 4


async def test_a_bulk_operation_takes_what_a_search_finds(world: World) -> None:
    workflow = await world.chain(1)
    wanted = [await _failed(world, workflow, "http_504", "timeout") for _ in range(3)]
    await _failed(world, workflow, "http_402", "refused")
    chosen = BulkFilter(status=("failed",), more=RunFilter(text="timeout"))
    asked = BulkRequest(world.workspace, "retry", chosen, BulkOptions(), 2, dry_run=True)
    assert (await world.history.bulk(asked)).total == 2
    assert (await world.history.bulk(asked)).more
    begun = await world.history.bulk(BulkRequest(world.workspace, "retry", chosen, BulkOptions()))
    assert begun.total == 3
    assert (await over(world, begun)).done == 3
    assert await _statuses(world, wanted) == {"running"}


async def _statuses(world: World, ids: Sequence[str]) -> set[str]:
    found = await world.history.describe(h.DescribeRequest(tuple(ids), world.workspace))
    return {run.status for run in found.executions}
