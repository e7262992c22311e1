"""Workflows: writing, switching on and off, starting. Every change of a definition is a new, immutable version."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi, RunReply, RunRequest
from linkflow.domain.definition import Definition, Node, encode
from linkflow.domain.errors import InvalidDefinition, InvalidInput, NotFound, Problem, VersionConflict
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

from . import audit
from .control_ports import Change, TriggerRow, Workflow, WorkflowStore, WorkflowVersion
from .definitions import Definitions
from .triggers import sealed, triggers_of, with_jitter
from .workspaces import Membership

if TYPE_CHECKING:
    from linkflow.domain.validation import Catalogue

    from .secret_links import SecretLinks


_ANSWERED = ("lock_version", "warnings")
"""What the API says about a workflow besides: an editor may send back what it got."""


class Shown(Struct, frozen=True):
    """A workflow with its current definition, what starts it, and what its author should know."""

    workflow: Workflow
    definition: Definition
    triggers: tuple[TriggerRow, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Workflows:
    """The rules of workflows. `catalogue` knows the node types, see `domain.importing`."""

    def __init__(
        self,
        store: WorkflowStore,
        definitions: Definitions,
        catalogue: Catalogue,
        frontend: FrontendApi,
        clock: Clock,
        links: SecretLinks | None = None,
    ) -> None:
        """`links` knows the credentials and variables that workflows refer to."""
        self._links = links
        self._store = store
        self._definitions = definitions
        self._catalogue = catalogue
        self._frontend = frontend
        self._clock = clock

    async def page(
        self, who: Membership, active: bool | None, before: str, limit: int
    ) -> list[tuple[Workflow, list[TriggerRow]]]:
        """Newest first, each with what starts it."""
        found = await self._store.page(who.workspace_id, active, before, limit)
        triggers = await self._store.triggers([workflow.id for workflow in found])
        return [(workflow, triggers.get(workflow.id, [])) for workflow in found]

    async def show(self, who: Membership, workflow_id: str, version: int = 0) -> Shown:
        """`version` 0 is the current one. Raises `NotFound`."""
        workflow = await self._get(who, workflow_id)
        definition = await self._definitions.get(workflow.id, version or workflow.version)
        triggers = await self._store.triggers([workflow.id])
        return Shown(workflow, definition, tuple(triggers.get(workflow.id, ())))

    async def versions(self, who: Membership, workflow_id: str, before: int, limit: int) -> list[WorkflowVersion]:
        workflow = await self._get(who, workflow_id)
        return await self._store.versions(workflow.id, before, limit)

    async def create(self, who: Membership, document: Mapping[str, Any]) -> Shown:
        """Raises `InvalidDefinition` with every problem."""
        definition, warnings = await self._read(who, document)
        return await self._add(who, definition, warnings)

    async def duplicate(self, who: Membership, workflow_id: str, name: str = "") -> Shown:
        """A copy that is switched off, with webhook addresses of its own."""
        original = await self._get(who, workflow_id)
        definition = await self._definitions.get(original.id, original.version)
        copy = msgspec.structs.replace(definition, name=name or f"{definition.name[:248]} (copy)")
        return await self._add(who, copy, ())

    async def replace(
        self, who: Membership, workflow_id: str, document: Mapping[str, Any], expected: frozenset[int] | None = None
    ) -> Shown:
        """Make `document` the definition: a new version, unless nothing changed.

        `expected` are the lock versions that the caller knows. Raises `VersionConflict` where it is another by now.
        """
        definition, warnings = await self._read(who, document)
        workflow = await self._get(who, workflow_id, expected)
        return await self._update(who, workflow, definition, warnings)

    async def amend(
        self, who: Membership, workflow_id: str, part: Mapping[str, Any], expected: frozenset[int] | None = None
    ) -> Shown:
        """Like `replace`, where the fields that `part` does not name stay as they are."""
        workflow = await self._get(who, workflow_id, expected)
        current = msgspec.json.decode(encode(await self._definitions.get(workflow.id, workflow.version)))
        definition, warnings = await self._read(who, {**current, **part})
        return await self._update(who, workflow, definition, warnings)

    async def activate(self, who: Membership, workflow_id: str, active: bool) -> Shown:
        """Switch webhooks and schedules on or off. Webhook addresses stay; schedules count from now."""
        workflow = await self._get(who, workflow_id)
        definition = await self._definitions.get(workflow.id, workflow.version)
        if workflow.active != active:
            switched = msgspec.structs.replace(workflow, active=active)
            audit.changed({"active": workflow.active}, {"active": active})
            await self._save(who, switched, definition, workflow.lock_version)
        return await self.show(who, workflow_id)

    async def delete(self, who: Membership, workflow_id: str, expected: frozenset[int] | None = None) -> None:
        """Hide it and switch it off. Runs under way end by themselves."""
        workflow = await self._get(who, workflow_id, expected)
        if not await self._store.delete(workflow.id, workflow.lock_version, self._clock.now_ms()):
            raise _overtaken()

    async def execute(
        self, who: Membership, workflow_id: str, input: Any, *, trigger_node: str = "", key: str = "",
        wait: float = 0.0, on_conflict: str = "return_existing",
    ) -> tuple[Workflow, RunReply]:  # fmt: skip
        """Start a run of the current version. `key` makes a repeated call find the run that it started, or what
        `on_conflict` says."""
        workflow = await self._get(who, workflow_id)
        definition = await self._definitions.get(workflow.id, workflow.version)
        await self.check_use(who, workflow.id, workflow.version, definition)
        request = RunRequest(
            workspace_id=workflow.workspace_id,
            workflow_id=workflow.id,
            workflow_version=workflow.version,
            trigger_node=_start(definition, trigger_node).id,
            trigger=input,
            mode="manual",
            actor=who.actor,
            idempotency_key=f"api:{key}" if key else "",
            on_conflict=on_conflict,
            wait=wait,
        )
        with acting_as(who.caller()):
            return workflow, await self._frontend.run(request)

    async def check_use(self, who: Membership, workflow_id: str, version: int, definition: Definition) -> None:
        """Raises `Forbidden` where a credential of the workflow is not for this role."""
        if self._links is not None:
            await self._links.check_use(who, workflow_id, version, definition)

    async def _read(self, who: Membership, document: Mapping[str, Any]) -> tuple[Definition, tuple[Problem, ...]]:
        from linkflow.domain import importing  # here, because a cold start without it is 60 ms shorter

        own = {name: value for name, value in document.items() if name not in _ANSWERED}
        more = await self._unknown_error_workflow(who, document)
        try:
            definition, warnings = importing.read(own, self._catalogue)
        except InvalidDefinition as error:
            raise _and(error, more) from None
        if more:
            raise InvalidDefinition("The workflow has 1 problem.", problems=[*more, *warnings])
        if self._links is not None:
            definition, found = await self._links.settle(who, definition)
            warnings = [*warnings, *found]
            if count := sum(problem.severity == "error" for problem in found):
                raise InvalidDefinition(f"The workflow has {count} problems.", problems=warnings)
        return sealed(definition), tuple(warnings)

    async def _unknown_error_workflow(self, who: Membership, document: Mapping[str, Any]) -> list[Problem]:
        """The error workflow has to be there, in this workspace; it may be the workflow itself."""
        wrapped = "nodes" not in document and isinstance(document.get("workflow"), Mapping)
        settings = (document["workflow"] if wrapped else document).get("settings")
        id = settings.get("error_workflow") if isinstance(settings, Mapping) else None
        if not id or not isinstance(id, str):  # what is no text the importer refuses
            return []
        if is_uuid(id) and await self._store.get(who.workspace_id, id) is not None:
            return []
        message = "There is no such workflow in this workspace. Name another one by its id, or leave it out."
        path = "/workflow/settings/error_workflow" if wrapped else "/settings/error_workflow"
        return [Problem(path, "unknown_workflow", message)]

    async def _add(self, who: Membership, definition: Definition, warnings: Sequence[Problem]) -> Shown:
        now = self._clock.now_ms()
        id = uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        workflow = Workflow(id, who.workspace_id, definition.name, definition.description, False, 1, 1, now, now)
        await self._save(who, workflow, definition, 0, write=True)
        return await self._shown(who, id, warnings)

    async def _update(
        self, who: Membership, workflow: Workflow, definition: Definition, warnings: Sequence[Problem]
    ) -> Shown:
        if encode(definition) != encode(await self._definitions.get(workflow.id, workflow.version)):
            changed = msgspec.structs.replace(
                workflow, name=definition.name, description=definition.description, version=workflow.version + 1
            )
            audit.changed(await self._definitions.get(workflow.id, workflow.version), definition)
            await self._save(who, changed, definition, workflow.lock_version, write=True)
        return await self._shown(who, workflow.id, warnings)

    async def _save(
        self, who: Membership, workflow: Workflow, definition: Definition, expected: int, write: bool = False
    ) -> None:
        now = self._clock.now_ms()
        audit.about("workflow", workflow.id)
        hooks, crons = triggers_of(definition, lambda: secrets.token_urlsafe(24), now)
        change = Change(
            id=workflow.id,
            workspace_id=workflow.workspace_id,
            name=workflow.name,
            description=workflow.description,
            active=workflow.active,
            version=workflow.version,
            expected=expected,
            at=now,
            actor=who.user_id,
            hooks=hooks,
            crons=tuple(with_jitter(cron, workflow.id) for cron in crons),
            definition=encode(definition) if write else b"",
        )
        if not await self._store.save(change):
            raise _overtaken()

    async def _shown(self, who: Membership, workflow_id: str, warnings: Sequence[Problem]) -> Shown:
        return msgspec.structs.replace(await self.show(who, workflow_id), warnings=tuple(warnings))

    async def _get(self, who: Membership, workflow_id: str, expected: frozenset[int] | None = None) -> Workflow:
        found = await self._store.get(who.workspace_id, workflow_id) if is_uuid(workflow_id) else None
        if found is None:
            raise NotFound("There is no such workflow.")
        if expected is not None and found.lock_version not in expected:
            raise _overtaken()
        return found


def _and(error: InvalidDefinition, more: Sequence[Problem]) -> InvalidDefinition:
    """The same with further problems."""
    if not more:
        return error
    problems = [*error.problems, *more]
    count = sum(problem.severity == "error" for problem in problems)
    return InvalidDefinition(f"The workflow has {count} problems.", problems=problems)


def _overtaken() -> VersionConflict:
    return VersionConflict("Somebody else changed this workflow. Read it again and repeat your change on that.")


def _start(definition: Definition, wanted: str) -> Node:
    """The trigger node to start from: the one asked for, else a manual one, else the first that is there."""
    usable = [node for node in definition.triggers if not node.disabled]
    if wanted:
        usable = [node for node in usable if node.id == wanted]
    if not usable:
        message = "There is no such trigger node." if wanted else "The workflow has no trigger node to start from."
        raise InvalidInput(message, problems=[Problem("/trigger_node", "no_trigger", message)])
    return next((node for node in usable if node.type == "trigger_manual"), usable[0])
