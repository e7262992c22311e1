"""Schedules made, changed and taken away by themselves: each is a trigger node, so these are changes of its workflow,
with a version, a check and a line in the audit log as any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from linkflow.domain.definition import Definition, encode
from linkflow.domain.environments import trigger_of
from linkflow.domain.errors import Conflict, InvalidInput, Problem, Released

from .schedule_ports import ScheduleRow
from .schedules import Schedules
from .triggers import SCHEDULE
from .workflows import Shown, Workflows
from .workspaces import Membership

WHEN = ("cron", "cron_expression", "every", "anchor", "at")
"""Only one way of saying when: another one takes its place."""
Json = dict[str, Any]


class ScheduleEdits:
    def __init__(self, workflows: Workflows, schedules: Schedules) -> None:
        self._workflows = workflows
        self._schedules = schedules

    async def add(self, who: Membership, workflow_id: str, config: Mapping[str, Any], name: str = "") -> ScheduleRow:
        """Another trigger of a workflow, which leads where its other triggers lead. Raises `NotFound`, and
        `InvalidDefinition` with every problem."""
        shown = await self._workflows.show(who, workflow_id)
        document, targets = _document(shown.definition), _begins(shown.definition)
        if not targets:
            message = "The workflow has no node that a schedule could start."
            raise InvalidInput(message, problems=[Problem("/workflow_id", "no_start", message)])
        id = _free("schedule", {node.id for node in shown.definition.nodes})
        node = {"id": id, "type": SCHEDULE, "config": dict(config), **({"name": name} if name else {})}
        known = {edge.id for edge in shown.definition.edges}
        for target in targets:
            edge = _free(f"{id}-{target}"[:90], known)
            known.add(edge)
            document["edges"].append({"id": edge, "source": id, "target": target})
        part = {"nodes": [*document["nodes"], node], "edges": document["edges"]}
        made = await self._amend(who, shown, part, "A schedule more")
        return await self._of_node(who, made.workflow.id, id)

    async def change(self, who: Membership, schedule_id: str, config: Mapping[str, Any]) -> ScheduleRow:
        """Other settings; null takes one away. Raises `NotFound`, `InvalidDefinition`, and `Released` for
        one of another environment than production."""
        found = await self._own(who, schedule_id)
        shown = await self._workflows.show(who, found.workflow_id)
        document = _document(shown.definition)
        for node in document["nodes"]:
            if node["id"] == found.node_id:
                before = dict(node.get("config", {}))
                if any(config.get(name) for name in WHEN):
                    before = {name: value for name, value in before.items() if name not in WHEN}
                merged = {**before, **config}
                node["config"] = {name: value for name, value in merged.items() if value is not None}
        await self._amend(who, shown, {"nodes": document["nodes"]}, "A schedule changed")
        return await self._of_node(who, found.workflow_id, found.node_id)

    async def remove(self, who: Membership, schedule_id: str) -> None:
        """Take the trigger away, with its edges. Runs that it has started go on."""
        found = await self._own(who, schedule_id)
        shown = await self._workflows.show(who, found.workflow_id)
        document = _document(shown.definition)
        part = {
            "nodes": [node for node in document["nodes"] if node["id"] != found.node_id],
            "edges": [edge for edge in document["edges"] if found.node_id not in (edge["source"], edge["target"])],
        }
        await self._amend(who, shown, part, "A schedule less")

    async def _amend(self, who: Membership, shown: Shown, part: Json, summary: str) -> Shown:
        """Upon what was read, and nothing else."""
        known = frozenset((shown.workflow.lock_version,))
        return await self._workflows.amend(who, shown.workflow.id, part, known, summary)

    async def _own(self, who: Membership, schedule_id: str) -> ScheduleRow:
        found = await self._schedules.show(who, schedule_id)
        node, environment = trigger_of(found.node_id)
        if environment:
            raise Released(
                f"What runs in {environment} stays as it was released: pause it, or change the trigger {node!r} in the "
                f"workflow's draft (PUT …/workflows/{found.workflow_id}/draft) and release that "
                f'(POST …/publish {{"environment": "{environment}"}}).',
                details={"environment": environment, "workflow_id": found.workflow_id, "node_id": node},
            )
        return found

    async def _of_node(self, who: Membership, workflow_id: str, node_id: str) -> ScheduleRow:
        after = ""
        while page := await self._schedules.page(who, workflow_id, after, 100):
            for row in page:
                if row.node_id == node_id:
                    return row
            after = page[-1].id
        raise Conflict("The workflow was changed meanwhile. Look at its schedules again.")


def _document(definition: Definition) -> Json:
    found: Json = msgspec.json.decode(encode(definition))
    return {"nodes": found.get("nodes", []), "edges": found.get("edges", [])}


def _begins(definition: Definition) -> list[str]:
    """Where runs begin: behind the triggers, else at the nodes that nothing leads to."""
    triggers = {node.id for node in definition.triggers}
    behind = [edge.target for edge in definition.edges if edge.source in triggers]
    reached = {edge.target for edge in definition.edges}
    first = [node.id for node in definition.nodes if node.id not in triggers | reached]
    return list(dict.fromkeys(behind or first))


def _free(wanted: str, taken: set[str]) -> str:
    found, count = wanted, 1
    while found in taken:
        count += 1
        found = f"{wanted}_{count}"
    return found
