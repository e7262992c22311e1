"""Forks for the driver of `support`."""

from __future__ import annotations

from typing import Any

from linkflow.domain import commands as c
from linkflow.domain.comparing import Plan
from linkflow.domain.definition import Definition
from linkflow.domain.forking import Ask, Planned, plan
from tests.unit.engine.support import ID, WORKFLOW, WORKSPACE, Run

SOURCE = "019aac8b-7c00-7abc-8000-0000000000ff"
_UNCHANGED = object()


def planned(run: Run, node: str, *, by: Definition | None = None, input: Any = _UNCHANGED, **more: Any) -> Planned:
    """The plan of a fork of `run`; `by` another version of its definition."""
    edited = input is not _UNCHANGED
    ask = Ask(node, 2 if by else run.state.workflow_version, edited, input if edited else None, **more)
    return plan(ID, run.events, run.definition, by or run.definition, ask)


def forked(run: Run, node: str, *, by: Definition | None = None, **more: Any) -> Run:
    """The fork itself, after its first transition."""
    made = planned(run, node, by=by, **more)
    fork = Run(by or run.definition)
    version = 2 if by else run.state.workflow_version
    fork.when(
        c.Start(
            ID, WORKSPACE, WORKFLOW, version, "t", made.trigger, "fork", "ada", source_id=SOURCE, fork=made.fork,
            pins=made.source.goes_by_pins,
        ),
        at=run.at + 60_000,
    )  # fmt: skip
    return fork


def plan_of(run: Run, node: str, **more: Any) -> Plan:
    return planned(run, node, **more).plan
