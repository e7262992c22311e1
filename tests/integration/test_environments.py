"""Environments and policies in the execution plane: runs really run the version of theirs, and only what is allowed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.controlling import ForkRequest
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.environments import trigger_key
from linkflow.domain.firings import Firing
from linkflow.domain.outcomes import CallWorkflow, Completed
from linkflow.domain.policy import Policy
from linkflow.domain.state import decode
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient, Settings
from linkflow.ports import Schedule
from linkflow.postgres.policies import PostgresPolicies
from linkflow.services.timer.starting import start_of
from linkflow.services.worker.reaching import Reaches
from tests.integration.test_history import World, world

__all__ = ["world"]


async def _release(world: World, workflow: str, environment: str, version: int, *nodes: d.Node, **more: Any) -> None:
    """One more version of a workflow, which runs in an environment."""
    definition = d.Definition("t", (d.Node("t", "trigger_manual"), *nodes), **more)
    async with world.database.connection() as c:
        await c.execute(
            "INSERT INTO workflow_versions (workflow_id, version, definition, created_at) VALUES (%s, %s, %s, 0)",
            (workflow, version, d.encode(definition)),
        )
        await c.execute(
            "INSERT INTO workflow_environments VALUES (%s, %s, %s, %s, true, 0)",
            (workflow, environment, world.workspace, version),
        )


async def _first(world: World, id: str) -> Any:
    reply = await world.history.history(h.HistoryRequest(id, world.workspace))
    return e.decode(reply.events)[0]


async def _state(world: World, id: str) -> Any:
    reply = await world.history.describe(h.DescribeRequest((id,), world.workspace, True))
    return decode(reply.executions[0].state)


async def test_sub_workflows_and_forks_stay_in_the_environment(world: World):
    child = await world.chain(1)
    parent = await world.workflow(
        d.Node("call", "sub_workflow", config={"workflow_id": child}), edges=(d.Edge("e", "t", "call"),)
    )
    await _release(world, child, "staging", 7, d.Node("other", "noop"), edges=(d.Edge("e", "t", "other"),))
    for environment, version in (("staging", 7), ("", 1)):
        run = await world.start(parent, environment=environment)
        await world.report(run, "call", CallWorkflow(child, {"a": 1}))
        [started] = [id for (id,) in await world.sql("SELECT id::text FROM executions WHERE parent_id = %s", run)]
        first = await _first(world, started)
        assert (first.workflow_version, first.environment) == (version, environment)
        assert (await _state(world, started)).environment == environment
        fork = await world.history.fork(ForkRequest(started, world.workspace, "rerun", version=-1))
        again = await _first(world, fork.execution_id)
        assert (again.workflow_version, again.environment) == (version, environment)


async def test_a_workflow_without_a_release_there_is_refused_with_reason(world: World):
    child = await world.chain(1)
    parent = await world.workflow(d.Node("call", "sub_workflow"), edges=(d.Edge("e", "t", "call"),))
    run = await world.start(parent, environment="staging")
    await world.report(run, "call", CallWorkflow(child, None))
    state = await _state(world, run)
    assert state.status == "failed"
    assert "has no release in environment 'staging'" in state.error.message


async def test_each_environment_has_its_own_concurrency(world: World):
    flow = await world.chain(1, concurrency=d.Concurrency(limit=1, policy="reject"))
    await world.start(flow)
    refused = await world.history.start(h.StartBatch((world.request(flow),)))
    assert refused.results[0].error is not None
    await world.start(flow, environment="staging")


async def test_a_schedule_of_an_environment_starts_there(world: World):
    flow = await world.workflow(d.Node("n", "noop"))
    schedule = Schedule(flow, trigger_key("t", "staging"), world.workspace, 1, "* * * * *", "UTC", 0)
    id = world.request(flow).execution_id
    request = start_of(schedule, Firing(1_000, "schedule", "starting", 1_000, "allow", execution_id=id))
    assert (request.trigger_node, request.environment, request.idempotency_key) == (
        "t", "staging", "schedule:t\x1fstaging:1000",
    )  # fmt: skip
    [started] = (await world.history.start(h.StartBatch((request,)))).results
    assert started.error is None
    assert (await _first(world, id)).environment == "staging"


async def _policed(world: World, policy: Policy) -> PostgresPolicies:
    await world.chain(1)  # makes the workspace
    book = PostgresPolicies(world.database)
    await book.write(world.workspace, policy)
    world.history = world.another(policies=book)
    return book


async def test_what_the_policy_forbids_does_not_start_by_any_way(world: World):
    fine, flow = await world.chain(1), await world.workflow(d.Node("x", "action_code", config={"code": "1"}))
    parent = await world.workflow(d.Node("call", "sub_workflow"), edges=(d.Edge("e", "t", "call"),))
    book = await _policed(world, Policy(denied_nodes=("action_*",), max_payload=30, changed_at=1))
    await world.start(fine)
    [refused] = (await world.history.start(h.StartBatch((world.request(flow),)))).results
    assert refused.error is not None
    assert (refused.error.code, refused.error.details["violations"][0]["pointer"]) == (
        "policy_violation", "/nodes/1/type"
    )  # fmt: skip
    [large] = (await world.history.start(h.StartBatch((world.request(fine, trigger={"a": "b" * 40}),)))).results
    assert large.error is not None
    assert large.error.code == "policy_violation"
    run = await world.start(parent)
    await world.report(run, "call", CallWorkflow(flow, None))
    state = await _state(world, run)
    assert (state.status, state.error.code) == ("failed", "child_rejected")
    await book.write(world.workspace, Policy(changed_at=2))
    [soon] = (await world.history.start(h.StartBatch((world.request(flow),)))).results
    assert soon.error is not None  # what was read is kept for a moment
    policing = world.history._policing
    assert policing is not None
    policing._known.clear()
    await world.start(flow)


async def test_no_more_runs_at_once_than_the_policy_allows(world: World):
    flow = await world.chain(1)
    await _policed(world, Policy(max_concurrent_runs=3, changed_at=1))
    batches = await asyncio.gather(
        *(world.history.start(h.StartBatch((world.request(flow), world.request(flow)))) for _ in range(5))
    )
    results = [result for batch in batches for result in batch.results]
    assert sum(result.error is None for result in results) == 3
    assert {result.error.code for result in results if result.error} == {"start_rate_limited"}
    done = next(result.execution_id for result in results if result.error is None)
    await world.report(done, "n0", Completed(None))
    await world.start(flow)


async def test_the_worker_keeps_to_the_policy_when_a_node_goes_out(world: World):
    await _policed(
        world, Policy(allowed_hosts=("*.example.com", "10.0.0.0/8"), denied_hosts=("b.example.com", "93.184.217.0/24"))
    )

    async def resolve(host: str, _port: int) -> list[str]:
        return ["93.184.217.9" if host == "c.example.com" else "93.184.216.34"]

    client = EgressClient(Settings(), resolver=resolve)
    reaches = Reaches(world.history, client, world.clock)
    bound = reaches.of(world.workspace)
    assert await bound.open_address("a.example.com", 443) == ("93.184.216.34", 443)
    for host in ("b.example.com", "c.example.com", "example.org", "93.184.217.7"):
        with pytest.raises(NodeFailure) as refused:
            await bound.open_address(host, 443)
        assert refused.value.error.code == "policy_violation", host
        assert not refused.value.error.retryable
    await client.aclose()
