"""Webhook rules and schedules, read off definitions."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain.definition import Definition, Node, Settings
from linkflow.domain.errors import InvalidDefinition
from linkflow.services.triggers import digest, sealed, triggers_of

NOW = 1_764_000_000_000


def _definition(*nodes: Node, timezone: str = "UTC") -> Definition:
    return Definition(name="W", nodes=nodes, settings=Settings(timezone=timezone))


def _hook(**config: Any) -> Node:
    return Node(id="hook", type="trigger_webhook", config=config)


@pytest.mark.parametrize(
    ("config", "auth", "header", "secret"),
    [
        ({}, "none", "", None),
        ({"auth_type": "bearer", "token": "t"}, "bearer", "", "t"),
        ({"auth": {"type": "bearer", "token": "t"}}, "bearer", "", "t"),
        ({"auth_type": "header", "auth_config": {"header_name": "X-K", "header_value": "v"}}, "header", "x-k", "v"),
        ({"auth": {"name": "X-K", "value": "v"}}, "header", "x-k", "v"),
        ({"auth_type": "basic", "username": "u", "password": "p"}, "basic", "", "p"),
    ],
)
def test_every_spelling_of_authentication(config: dict[str, Any], auth: str, header: str, secret: str | None):
    definition = sealed(_definition(_hook(**config)))
    assert sealed(definition) == definition
    hooks, _ = triggers_of(definition, lambda: "id", NOW)
    rules = hooks[0].rules
    assert (rules.auth, rules.header) == (auth, header)
    if secret is not None:
        assert rules.secret == digest(secret.encode())
        assert f"'{secret}'" not in repr(definition.nodes[0].config)


def test_only_triggers_that_are_on():
    off = Node(id="off", type="trigger_webhook", disabled=True)
    hooks, crons = triggers_of(_definition(off, Node(id="m", type="trigger_manual")), lambda: "id", NOW)
    assert (hooks, crons) == ((), ())


def test_a_schedule_has_its_own_zone_or_the_workflow_s():
    at_nine = Node(id="a", type="trigger_schedule", config={"cron": "0 9 * * *"})
    tokyo = Node(id="b", type="trigger_schedule", config={"cron": "0 9 * * *", "timezone": "Asia/Tokyo"})
    _, crons = triggers_of(_definition(at_nine, tokyo, timezone="Europe/Berlin"), lambda: "id", NOW)
    assert [cron.timezone for cron in crons] == ["Europe/Berlin", "Asia/Tokyo"]
    assert all(cron.next_at is not None and cron.next_at > NOW for cron in crons)


def test_every_problem_of_every_trigger():
    bad = Node(id="b", type="trigger_schedule", config={"cron": "{{ vars.X }}"})
    with pytest.raises(InvalidDefinition) as caught:
        triggers_of(_definition(_hook(auth_type="bearer", token="{{ vars.T }}"), bad), lambda: "id", NOW)
    assert [problem.path for problem in caught.value.problems] == ["/nodes/0/config/auth", "/nodes/1/config/cron"]
