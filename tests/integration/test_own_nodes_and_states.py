"""States are shared between the parts of a process. A node type of somebody else's may change what it is given: that
stays its own affair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from linkflow.config import Config
from linkflow.domain import definition as d
from linkflow.domain import state as state_module
from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.registry import Registry
from linkflow.postgres.audit import replays
from linkflow.services.worker import keeping
from tests.integration.test_keeping import Process
from tests.integration.test_queues import House


class Spoiler(Base):
    """Changes its input, its trigger and its parameters in place."""

    type = "spoiler"

    def __init__(self, pure: bool) -> None:
        self.pure = pure  # type: ignore[misc]
        self.type = "spoiler_pure" if pure else "spoiler"

    class params(Params):
        given: Any = None

    def run(self, params: Any, context: Context) -> Outcome:
        for value in (context.input, context.trigger, params.given, *context.inputs.values()):
            value["text"] = "spoiled"
            value.setdefault("list", []).append(1)
        return Completed({"text": "from the spoiler"})


@pytest.fixture(params=[True, False], ids=["ahead", "chains"])
async def house(request: pytest.FixtureRequest, database_url: str, redis_url: str) -> AsyncIterator[House]:
    config = Config(database_url=database_url, redis_url=redis_url, secret="s" * 32, head_start=request.param)
    made = House(msgspec.structs.replace(config, sweep_interval=0.3))
    yield made
    await made.system.close()


async def test_what_a_foreign_node_changes_is_its_own(house: House) -> None:
    given = {"given": "{{ a }}"}
    workflow = await house.workflow(
        d.Node("a", "transform", config={"keep": False, "fields": {"text": "a's", "list": "{{ [5] }}"}}),
        d.Node("s1", "spoiler_pure", config=given),
        d.Node("s2", "spoiler", config=given),
        d.Node("s3", "spoiler", config=given),
        d.Node("s4", "spoiler_pure", config=given),
        d.Node("end", "transform", config={"keep": False, "fields": {"a": "{{ a }}", "trigger": "{{ trigger }}"}}),
    )
    async with Process(house.config, works=False) as process:
        own = [Spoiler(True), Spoiler(False)]
        process.system._parts["registry"] = Registry([*Registry.load().types(), *own])
        process.system.serve_all(("history", "worker"))
        process.system.loop()
        reply = await process.run(workflow)
    assert reply.status == "completed"
    assert reply.result == {"a": {"text": "a's", "list": [5]}, "trigger": {"text": "x" * 60_000}}
    async for _, result in replays(house.system.database, reply.execution_id):
        assert result.matches


async def test_a_worker_beside_history_decodes_no_state_that_history_has(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Any] = []

    def counted(raw: msgspec.Raw) -> keeping.Read:
        decoded.append(raw)
        return keeping.Read(state_module.decode(raw), False)

    monkeypatch.setattr("linkflow.services.worker.service.read_state", counted)
    workflow = await house.workflow(*(d.Node(f"n{at}", "delay", config={"seconds": 0.01}) for at in range(3)))
    async with Process(house.config) as process:
        assert (await process.run(workflow)).status == "completed"
    assert decoded == []
