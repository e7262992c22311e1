"""Workflows: writing, switching on and off, starting. Every change of a definition is a new, immutable version."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi, RunReply, RunRequest
from linkflow.domain.definition import Definition, Node, encode
from linkflow.domain.environments import stored, trigger_key
from linkflow.domain.errors import (
    Conflict,
    InvalidDefinition,
    InvalidInput,
    Locked,
    NotFound,
    PolicyViolation,
    Problem,
    VersionConflict,
)
from linkflow.domain.events import iso
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.domain.policy import OPEN, violations
from linkflow.ports import Clock, PolicyBook

from . import audit
from .control_ports import Change, TriggerRow, Workflow, WorkflowStore, WorkflowTag, WorkflowVersion
from .definitions import Definitions
from .triggers import Cron, Hook, sealed, triggers_of, with_jitter
from .workspaces import Membership

if TYPE_CHECKING:
    from linkflow.domain.validation import Catalogue

    from .script_checks import ScriptChecks
    from .secret_links import SecretLinks


_ANSWERED = ("lock_version", "last_version", "warnings", "folder_id", "lock")
"""What the API says about a workflow besides: an editor may send back what it got."""


class Shown(Struct, frozen=True):
    """A workflow with its current definition, what starts it, and what its author should know."""

    workflow: Workflow
    definition: Definition
    triggers: tuple[TriggerRow, ...] = ()
    tags: tuple[WorkflowTag, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Step(Struct, frozen=True):
    """How a version comes to be, and to run. `number`: it becomes this version, and with `runs` false runs nowhere. A
    new workflow gets folder and tags of the one that it is `like`."""

    environment: str = ""
    verb: str = ""
    source: str | None = None
    note: str = ""
    summary: str = ""
    number: int = 0
    runs: bool = True
    drops_draft: bool = False
    like: str = ""


PUBLISH = "publish"
NO_STEP = Step()
T = TypeVar("T", Hook, Cron)


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
        policies: PolicyBook | None = None,
        scripts: ScriptChecks | None = None,
    ) -> None:
        """`links` knows the credentials and variables that workflows refer to, `scripts` what their scripts say."""
        self._links = links
        self._scripts = scripts
        self._store = store
        self._definitions = definitions
        self._catalogue = catalogue
        self._frontend = frontend
        self._clock = clock
        self._policies = policies

    async def page(
        self, who: Membership, active: bool | None, before: str, limit: int
    ) -> list[tuple[Workflow, tuple[TriggerRow, ...], tuple[WorkflowTag, ...]]]:
        """Newest first, each with what starts it and what hangs on it."""
        found = await self._store.page(who.workspace_id, active, before, limit)
        ids = [workflow.id for workflow in found]
        triggers, tags = await self._store.triggers(ids), await self._store.tags(ids)
        return [(one, tuple(triggers.get(one.id, ())), tags.get(one.id, ())) for one in found]

    async def show(self, who: Membership, workflow_id: str, version: int = 0) -> Shown:
        """`version` 0 is the current one. Raises `NotFound`."""
        workflow = await self.get(who, workflow_id)
        definition = await self._definitions.get(workflow.id, version or workflow.version)
        triggers = await self._store.triggers([workflow.id])
        tags = await self._store.tags([workflow.id])
        return Shown(workflow, definition, tuple(triggers.get(workflow.id, ())), tags.get(workflow.id, ()))

    async def versions(self, who: Membership, workflow_id: str, before: int, limit: int) -> list[WorkflowVersion]:
        workflow = await self.get(who, workflow_id)
        return await self._store.versions(workflow.id, before, limit)

    async def create(self, who: Membership, document: Mapping[str, Any]) -> Shown:
        """Raises `InvalidDefinition` with every problem."""
        definition, warnings = await self.read(who, document)
        return await self.add(who, definition, warnings)

    async def duplicate(self, who: Membership, workflow_id: str, name: str = "") -> Shown:
        """A copy in the same folder and with the same tags, switched off, with webhook addresses of its own."""
        original = await self.get(who, workflow_id)
        definition = await self._definitions.get(original.id, original.version)
        copy = msgspec.structs.replace(definition, name=name or f"{definition.name[:248]} (copy)")
        return await self.add(who, copy, (), like=original.id)

    async def replace(
        self, who: Membership, workflow_id: str, document: Mapping[str, Any], expected: frozenset[int] | None = None,
        summary: str = "",
    ) -> Shown:  # fmt: skip
        """Make `document` the definition: a new version, which runs in production, unless nothing changed.

        `expected` are the lock versions that the caller knows. Raises `VersionConflict` where it is another by now.
        """
        definition, warnings = await self.read(who, document)
        workflow = await self.get(who, workflow_id, expected, change=True)
        return await self.update(who, workflow, definition, warnings, summary)

    async def amend(
        self, who: Membership, workflow_id: str, part: Mapping[str, Any], expected: frozenset[int] | None = None,
        summary: str = "",
    ) -> Shown:  # fmt: skip
        """Like `replace`, where the fields that `part` does not name stay as they are."""
        workflow = await self.get(who, workflow_id, expected, change=True)
        current = msgspec.json.decode(encode(await self._definitions.get(workflow.id, workflow.version)))
        definition, warnings = await self.read(who, {**current, **part})
        return await self.update(who, workflow, definition, warnings, summary)

    async def activate(self, who: Membership, workflow_id: str, active: bool) -> Shown:
        """Switch webhooks and schedules on or off. Webhook addresses stay; schedules count from now."""
        workflow = await self.get(who, workflow_id, change=True)
        definition = await self._definitions.get(workflow.id, workflow.version)
        if workflow.active != active:
            switched = msgspec.structs.replace(workflow, active=active)
            audit.changed({"active": workflow.active}, {"active": active})
            await self.save(who, switched, definition, workflow.lock_version)
        return await self.show(who, workflow_id)

    async def delete(self, who: Membership, workflow_id: str, expected: frozenset[int] | None = None) -> None:
        """Hide it and switch it off. Runs under way end by themselves."""
        workflow = await self.get(who, workflow_id, expected, change=True)
        audit.changed({"name": workflow.name, "version": workflow.version, "active": workflow.active}, None)
        if not await self._store.delete(workflow.id, workflow.lock_version, self._clock.now_ms()):
            raise _overtaken()

    async def execute(
        self, who: Membership, workflow_id: str, input: Any, *, trigger_node: str = "", key: str = "",
        wait: float = 0.0, on_conflict: str = "return_existing", environment: str = "",
    ) -> tuple[Workflow, RunReply]:  # fmt: skip
        """Start a run of the version that runs in an environment. `key` makes a repeated call find the run that it
        started, or what `on_conflict` says."""
        workflow = await self.get(who, workflow_id)
        environment = stored(environment)
        if environment:
            workflow = msgspec.structs.replace(workflow, version=await self._released(workflow, environment))
            key = f"@{environment}/{key}" if key else ""
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
            environment=environment,
        )
        with acting_as(who.caller()):
            return workflow, await self._frontend.run(request)

    async def check_use(self, who: Membership, workflow_id: str, version: int, definition: Definition) -> None:
        """Raises `Forbidden` where a credential of the workflow is not for this role."""
        if self._links is not None:
            await self._links.check_use(who, workflow_id, version, definition)

    async def _released(self, workflow: Workflow, environment: str) -> int:
        found = await self._store.running(workflow.workspace_id, workflow.id, environment)
        if found is None:
            message = f"This workspace has no environment {environment[:40]!r}."
            raise InvalidInput(message, problems=[Problem("/environment", "unknown_environment", message)])
        version, active = found
        if not version:
            raise Conflict(f"The workflow has no release in {environment}. Promote a version to it.")
        if not active:
            raise Conflict(f"The environment {environment} is switched off.")
        return version

    async def read(
        self, who: Membership, document: Mapping[str, Any], coming: Collection[str] = (), keep: bool = True
    ) -> tuple[Definition, tuple[Problem, ...]]:
        """A definition that may be stored and run, and its warnings. `coming` are ids of workflows that will be there;
        without `keep` it is not to be stored. Raises `InvalidDefinition` with every problem."""
        from linkflow.domain import importing  # here, because a cold start without it is 60 ms shorter

        own = {name: value for name, value in document.items() if name not in _ANSWERED}
        more = await self._unknown_error_workflow(who, document, coming)
        policy = await self._policies.read(who.workspace_id) if self._policies else OPEN
        try:
            definition, warnings = importing.read(own, self._catalogue, partial(violations, policy))
        except InvalidDefinition as error:
            more = [*more, *await self._script_problems(own, importing.parse(own, self._catalogue)[0])]
            if not more:
                _only_policy(error.problems)
            raise _and(error, more) from None
        if more := [*more, *await self._script_problems(own, definition)]:
            raise _refused([*more, *warnings])
        if self._links is not None:
            definition, found = await self._links.settle(who, definition, keep)
            warnings = [*warnings, *found]
            if any(problem.severity == "error" for problem in found):
                raise _refused(warnings)
        return sealed(definition) if keep else definition, tuple(warnings)

    async def _script_problems(self, document: Mapping[str, Any], definition: Definition | None) -> list[Problem]:
        """Scripts of it that do not parse; of a document that means nothing (None) there is nothing to say."""
        if self._scripts is None or definition is None:
            return []
        return await self._scripts.check(document, definition)

    async def problems_of(self, who: Membership, document: Mapping[str, Any]) -> tuple[Problem, ...]:
        """All that would be said of a document that is saved."""
        from linkflow.domain import importing

        try:
            return (await self.read(who, document, keep=False))[1]
        except InvalidInput as error:
            found = list(error.problems)
        own = {name: value for name, value in document.items() if name not in _ANSWERED}
        definition, _ = importing.parse(own, self._catalogue)
        if definition is not None and self._links is not None:  # what reading did not get to
            _, more = await self._links.settle(who, definition, keep=False)
            found += [problem for problem in more if problem not in found]
        return tuple(found)

    async def _unknown_error_workflow(
        self, who: Membership, document: Mapping[str, Any], coming: Collection[str] = ()
    ) -> list[Problem]:
        """The error workflow has to be there, in this workspace; it may be the workflow itself."""
        wrapped = "nodes" not in document and isinstance(document.get("workflow"), Mapping)
        settings = (document["workflow"] if wrapped else document).get("settings")
        id = settings.get("error_workflow") if isinstance(settings, Mapping) else None
        if not id or not isinstance(id, str):  # what is no text the importer refuses
            return []
        if id in coming or (is_uuid(id) and await self._store.get(who.workspace_id, id) is not None):
            return []
        message = "There is no such workflow in this workspace. Name another one by its id, or leave it out."
        path = "/workflow/settings/error_workflow" if wrapped else "/settings/error_workflow"
        return [Problem(path, "unknown_workflow", message)]

    async def add(
        self, who: Membership, definition: Definition, warnings: Sequence[Problem], id: str = "", like: str = ""
    ) -> Shown:
        """A new workflow with this definition, which `read` has given, in folder and tags `like` another one."""
        now = self._clock.now_ms()
        id = id or uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        workflow = Workflow(id, who.workspace_id, definition.name, definition.description, False, 1, 1, now, now)
        audit.changed(None, {"name": workflow.name})  # the version has the rest
        await self.save(who, workflow, definition, 0, Step(verb=PUBLISH, number=1, like=like))
        return await self.shown(who, id, warnings)

    async def update(
        self, who: Membership, workflow: Workflow, definition: Definition, warnings: Sequence[Problem], summary: str
    ) -> Shown:
        """A new version, which runs in production, unless nothing changed."""
        if encode(definition) != encode(await self._definitions.get(workflow.id, workflow.version)):
            number = workflow.last_version + 1
            changed = msgspec.structs.replace(
                workflow, name=definition.name, description=definition.description, version=number
            )
            audit.changed(await self._definitions.get(workflow.id, workflow.version), definition)
            step = Step(verb=PUBLISH, number=number, summary=summary)
            await self.save(who, changed, definition, workflow.lock_version, step)
        return await self.shown(who, workflow.id, warnings)

    async def save(
        self, who: Membership, workflow: Workflow, definition: Definition, expected: int, step: Step = NO_STEP
    ) -> None:
        """Write what a step comes to, in one transaction: `workflow` has the version and the switch of the step's
        environment. Raises `VersionConflict` where its lock version is not `expected` any more."""
        now = self._clock.now_ms()
        audit.about("workflow", workflow.id)
        hooks, crons = triggers_of(definition, lambda: secrets.token_urlsafe(24), now) if step.runs else ((), ())
        if step.environment:
            hooks = tuple(_in(step.environment, hook) for hook in hooks)
            crons = tuple(_in(step.environment, cron) for cron in crons)
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
            definition=encode(definition) if step.number else b"",
            number=step.number,
            summary=step.summary,
            environment=step.environment,
            triggers=step.runs,
            verb=step.verb,
            source=step.source,
            note=step.note,
            drops_draft=step.drops_draft,
            node_types=tuple(sorted({node.type for node in definition.nodes})),
            like=step.like,
        )
        if not await self._store.save(change):
            raise _overtaken()

    async def shown(self, who: Membership, workflow_id: str, warnings: Sequence[Problem]) -> Shown:
        """It as it stands, with these warnings."""
        return msgspec.structs.replace(await self.show(who, workflow_id), warnings=tuple(warnings))

    def parse(self, document: Mapping[str, Any]) -> Definition:
        """What a document means, whatever is wrong with that. Raises `InvalidDefinition` for what means nothing."""
        from linkflow.domain import importing

        own = {name: value for name, value in document.items() if name not in _ANSWERED}
        definition, problems = importing.parse(own, self._catalogue)
        if definition is None:
            raise InvalidDefinition("This is no workflow's document.", problems=problems)
        return definition

    async def without_secrets(self, who: Membership, definition: Definition) -> Definition:
        """The same with credentials in place of secrets that stand in it. Raises `InvalidDefinition`."""
        if self._links is None:
            return definition
        definition, problems = await self._links.adopt(who, definition)
        if any(problem.severity == "error" for problem in problems):
            raise InvalidDefinition("The workflow has secrets in it that cannot be kept.", problems=problems)
        return definition

    async def problems(self, definition: Definition) -> list[Problem]:
        """Everything wrong with a definition, and what its author should know."""
        from linkflow.domain.validation import check

        document = msgspec.json.decode(encode(definition))
        return [*check(definition, self._catalogue), *await self._script_problems(document, definition)]

    async def get(
        self, who: Membership, workflow_id: str, expected: frozenset[int] | None = None, *, change: bool = False
    ) -> Workflow:
        """Raises `NotFound`, `VersionConflict` where its lock version is none of the `expected`, and `Locked` where it
        is to `change` and may not."""
        found = await self._store.get(who.workspace_id, workflow_id) if is_uuid(workflow_id) else None
        if found is None:
            raise NotFound("There is no such workflow.")
        if expected is not None and found.lock_version not in expected:
            raise _overtaken()
        if change and found.locked_at:
            raise _locked(found)
        return found


def _only_policy(problems: Sequence[Problem]) -> None:
    """Raises `PolicyViolation` where nothing else is wrong."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if all(problem.code.startswith("policy_") for problem in errors):
        raise PolicyViolation.of(errors) from None


def _and(error: InvalidDefinition, more: Sequence[Problem]) -> InvalidDefinition:
    """The same with further problems."""
    return _refused([*error.problems, *more]) if more else error


def _refused(problems: Sequence[Problem]) -> InvalidDefinition:
    count = sum(problem.severity == "error" for problem in problems)
    return InvalidDefinition(f"The workflow has {count} problem{'' if count == 1 else 's'}.", problems=problems)


def _in(environment: str, trigger: T) -> T:
    """The trigger under its key there."""
    return msgspec.structs.replace(trigger, node_id=trigger_key(trigger.node_id, environment))


def _locked(found: Workflow) -> Locked:
    why = f": {found.lock_reason}" if found.lock_reason else "."
    who, at = found.locker or "Somebody", iso(found.locked_at)
    details = {"locked_by": {"id": found.locked_by, "name": found.locker}, "locked_at": at, "reason": found.lock_reason}
    return Locked(f"{who} has locked this workflow{why}", details=details)


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
