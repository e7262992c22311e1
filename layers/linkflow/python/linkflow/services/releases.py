"""Drafts, versions, environments and releases: what of a workflow runs where, and how it comes to be there.

Saving a draft runs nothing. Publishing, promoting and rolling back switch what an environment runs, its triggers
included, in one transaction; a run keeps the version that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.domain.definition import Definition, decode, encode
from linkflow.domain.environments import MOST, PRODUCTION, is_name, shown, stored
from linkflow.domain.errors import Conflict, InvalidInput, NotFound, Problem, VersionConflict
from linkflow.domain.revisions import Revision, revision
from linkflow.ports import Clock

from . import audit
from .control_ports import Workflow
from .definitions import Definitions
from .release_ports import Environment, Release, ReleaseStore, Running
from .triggers import sealed
from .workflows import PUBLISH, Shown, Step, Workflows
from .workspaces import Membership

PROMOTE, ROLLBACK, RESTORE = "promote", "rollback", "restore"
DRAFT, CURRENT, LATEST = "draft", "current", "latest"
_PAGE = 100


class Draft(Struct, frozen=True):
    """Work on a workflow that runs nowhere. `problems` are what keeps it from being published, warnings included."""

    definition: Definition
    base_version: int
    revision: int
    saved_at: int
    saved_by: str
    problems: tuple[Problem, ...] = ()


class Releases:
    """The rules of what runs where. Names of environments are as people write them."""

    def __init__(self, store: ReleaseStore, workflows: Workflows, definitions: Definitions, clock: Clock) -> None:
        self._store = store
        self._workflows = workflows
        self._definitions = definitions
        self._clock = clock

    # Environments of a workspace

    async def environments(self, who: Membership) -> list[Environment]:
        """Production first."""
        return [Environment(PRODUCTION, "What runs for real.", True), *await self._store.environments(who.workspace_id)]

    async def environment(self, who: Membership, name: str) -> Environment:
        """Raises `NotFound`."""
        for found in await self.environments(who):
            if found.name == name:
                return found
        raise NotFound("There is no such environment.")

    async def add_environment(self, who: Membership, name: str, description: str, active: bool = True) -> Environment:
        """Raises `InvalidInput` for a name that cannot be, `Conflict` for one that is taken."""
        if not is_name(name):
            message = "A name has 1 to 40 lower-case letters, digits, - and _, and begins and ends with no - or _."
            raise InvalidInput(message, problems=[Problem("/name", "invalid_value", message)])
        there = await self.environments(who)
        if len(there) > MOST:
            raise Conflict(f"A workspace has at most {MOST} environments besides {PRODUCTION}.")
        now = self._clock.now_ms()
        made = Environment(name, description, active, now, now)
        audit.changed(None, made)
        if name == PRODUCTION or not await self._store.add_environment(who.workspace_id, made):
            raise Conflict(f"There is an environment {name} already.")
        return made

    async def change_environment(
        self, who: Membership, name: str, description: str | None, active: bool | None
    ) -> Environment:
        """One that is switched off switches off all that starts in it; each workflow is then switched on again by
        itself. Raises `NotFound`, and `Conflict` for production."""
        found = await self._other(who, name)
        changed = Environment(
            name, found.description if description is None else description, found.active if active is None else active,
            found.created_at, self._clock.now_ms(),
        )  # fmt: skip
        audit.changed(found, changed)
        await self._store.change_environment(who.workspace_id, changed)
        return changed

    async def drop_environment(self, who: Membership, name: str) -> None:
        """With its webhooks and schedules; runs go on. Raises `NotFound`, and `Conflict` for production."""
        audit.changed(await self._other(who, name), None)
        await self._store.drop_environment(who.workspace_id, name)

    async def _other(self, who: Membership, name: str) -> Environment:
        if name == PRODUCTION:
            raise Conflict(f"{PRODUCTION} is always there, as it is.")
        return await self.environment(who, name)

    # Drafts and versions of a workflow

    async def draft(self, who: Membership, workflow_id: str) -> Draft:
        """Raises `NotFound`, also where there is no draft."""
        workflow = await self._workflows.get(who, workflow_id)
        found = await self._draft(workflow)
        if found is None:
            raise NotFound("The workflow has no draft.")
        return found

    async def save_draft(
        self, who: Membership, workflow_id: str, document: Mapping[str, Any], expected: frozenset[int] | None = None
    ) -> Draft:
        """Keep work that is not done: it has to be a workflow's document, but may have problems, which come back.

        `expected` are revisions that the caller knows, 0 for none. Raises `InvalidDefinition` for what is no document,
        `VersionConflict` where another draft was saved meanwhile.
        """
        workflow = await self._workflows.get(who, workflow_id, change=True)
        parsed = self._workflows.parse(document)
        before = await self._store.draft(workflow.id)
        if expected is not None and (before.revision if before else 0) not in expected:
            raise _overtaken()
        definition = sealed(await self._workflows.without_secrets(who, parsed))
        base = before.base_version if before else workflow.last_version
        audit.changed({"draft": before.revision if before else None}, {"draft": before.revision + 1 if before else 1})
        revision = await self._store.put_draft(
            workflow.id, encode(definition), base, self._clock.now_ms(), who.user_id,
            expected if before else None,
        )  # fmt: skip
        if not revision:
            raise _overtaken()
        return await self.draft(who, workflow_id)

    async def drop_draft(self, who: Membership, workflow_id: str) -> None:
        """Raises `NotFound`."""
        workflow = await self._workflows.get(who, workflow_id, change=True)
        audit.changed({"draft": True}, None)
        if not await self._store.drop_draft(workflow.id):
            raise NotFound("The workflow has no draft.")

    async def add_version(
        self, who: Membership, workflow_id: str, document: Mapping[str, Any] | None, summary: str
    ) -> tuple[Workflow, int]:
        """A version of the draft, or of a document, that runs nowhere yet. Raises `InvalidDefinition`, and `Conflict`
        without either."""
        workflow = await self._workflows.get(who, workflow_id, change=True)
        given, drafted = document, document is None
        if given is None:
            draft = await self._draft(workflow)
            if draft is None:
                raise Conflict("The workflow has no draft to make a version of.")
            given = _document(draft.definition)
        definition, _ = await self._workflows.read(who, given)
        number = workflow.last_version + 1
        step = Step(number=number, summary=summary, runs=False, drops_draft=drafted)
        audit.changed(None, {"version": number, "runs": False})
        await self._workflows.save(who, workflow, definition, workflow.lock_version, step)
        return workflow, number

    async def publish(
        self, who: Membership, workflow_id: str, *, version: int = 0, environment: str = PRODUCTION, summary: str = "",
        expected: frozenset[int] | None = None,
    ) -> Shown:  # fmt: skip
        """Let a version run in an environment: the one named, else the draft as a new one, else the newest.

        Raises `InvalidDefinition` with what keeps it from running, `NotFound`, `Conflict` where it runs there already.
        """
        where = await self._open(who, environment)
        workflow = await self._workflows.get(who, workflow_id, expected, change=True)
        draft = None if version else await self._draft(workflow)
        if draft is not None:
            definition, warnings = await self._workflows.read(who, _document(draft.definition))
            number = workflow.last_version + 1
            step = Step(where, PUBLISH, note=summary, summary=summary, number=number, drops_draft=True)
            await self._switch(who, workflow, definition, number, step)
            return await self._workflows.shown(who, workflow.id, warnings)
        number = version or workflow.last_version
        return await self._run(who, workflow, number, Step(where, PUBLISH, note=summary))

    async def restore(self, who: Membership, workflow_id: str, version: int) -> Shown:
        """Bring an earlier version back, as a new one, into production. A draft is kept as a version before that.

        Raises `NotFound`, `InvalidDefinition` where that version cannot run any more.
        """
        workflow = await self._workflows.get(who, workflow_id, change=True)
        definition = await self._definitions.get(workflow.id, version)
        definition, warnings = await self._workflows.read(who, _document(definition))
        if (draft := await self._draft(workflow)) is not None:
            number = workflow.last_version + 1
            text = f"Draft, kept before restoring version {version}"
            kept = Step(number=number, summary=text, runs=False, drops_draft=True)
            audit.changed({"version": workflow.version}, {"version": number + 1, "draft_kept_as": number})
            await self._workflows.save(who, workflow, draft.definition, workflow.lock_version, kept)
            workflow = await self._workflows.get(who, workflow_id, change=True)
        number = workflow.last_version + 1
        text = f"Version {version} restored"
        await self._switch(who, workflow, definition, number, Step("", RESTORE, note=text, summary=text, number=number))
        return await self._workflows.shown(who, workflow.id, warnings)

    async def diff(self, who: Membership, workflow_id: str, before: str, after: str) -> Revision:
        """Two versions held against each other. Each is a number, ``current``, ``latest``, ``draft``, or the name of an
        environment. Raises `NotFound`."""
        workflow = await self._workflows.get(who, workflow_id)
        return revision(await self._named(workflow, before), await self._named(workflow, after))

    async def _named(self, workflow: Workflow, name: str) -> Definition:
        if name == DRAFT:
            draft = await self._draft(workflow)
            if draft is None:
                raise NotFound("The workflow has no draft.")
            return draft.definition
        if name.isascii() and name.isdecimal() and len(name) < 10:
            number = int(name)
        elif name in (CURRENT, PRODUCTION):
            number = workflow.version
        elif name == LATEST:
            number = workflow.last_version
        else:
            number = (await self._there(workflow, stored(name))).version
        return await self._definitions.get(workflow.id, number)

    # What runs where

    async def running(self, who: Membership, workflow_id: str) -> list[Running]:
        """Production first; environments without a release of this workflow are left out."""
        workflow = await self._workflows.get(who, workflow_id)
        return await self._store.running(workflow.id)

    async def releases(
        self, who: Membership, workflow_id: str, environment: str, before: int, limit: int
    ) -> list[Release]:
        """Newest first; `environment` empty means all."""
        workflow = await self._workflows.get(who, workflow_id)
        return await self._store.releases(workflow.id, stored(environment) if environment else None, before, limit)

    async def promote(
        self, who: Membership, workflow_id: str, source: str, target: str, *, version: int = 0, note: str = "",
        activate: bool | None = None,
    ) -> Running:  # fmt: skip
        """Let what runs in one environment run in another one as well. `version` has to be released in `source`, now
        or before. Raises `NotFound`, `Conflict` where it runs there already."""
        if source == target:
            message = "Promote to another environment than the one it comes from."
            raise InvalidInput(message, problems=[Problem("/to", "invalid_value", message)])
        where = await self._open(who, target)
        workflow = await self._workflows.get(who, workflow_id, change=True)
        found = await self._there(workflow, stored(source))
        if version and version != found.version and not await self._was_there(workflow, stored(source), version):
            message = f"Version {version} was never released in {source}."
            raise InvalidInput(message, problems=[Problem("/version", "not_released", message)])
        step = Step(where, PROMOTE, stored(source), note)
        await self._run(who, workflow, version or found.version, step, activate)
        return await self._there(workflow, where)

    async def rollback(
        self, who: Membership, workflow_id: str, environment: str, *, release: int = 0, note: str = ""
    ) -> Running:
        """Let the version that ran before run again, or that of a release by its number.

        Raises `NotFound`, `Conflict` where nothing else has run there.
        """
        where = await self._open(who, environment)
        workflow = await self._workflows.get(who, workflow_id, change=True)
        now = await self._there(workflow, where)
        version = await self._earlier(workflow, where, now, release)
        await self._run(who, workflow, version, Step(where, ROLLBACK, note=note))
        return await self._there(workflow, where)

    async def activate(self, who: Membership, workflow_id: str, environment: str, active: bool) -> Shown:
        """Switch webhooks and schedules on or off there."""
        if stored(environment):
            where = await self._open(who, environment)
            workflow = await self._workflows.get(who, workflow_id, change=True)
            found = await self._there(workflow, where)
            if found.active != active:
                definition = await self._definitions.get(workflow.id, found.version)
                audit.changed({"active": found.active}, {"active": active})
                switched = msgspec.structs.replace(workflow, version=found.version, active=active)
                await self._workflows.save(who, switched, definition, workflow.lock_version, Step(where))
            return await self._workflows.show(who, workflow_id)
        return await self._workflows.activate(who, workflow_id, active)

    async def _run(
        self, who: Membership, workflow: Workflow, version: int, step: Step, activate: bool | None = None
    ) -> Shown:
        """Switch an environment to a stored version, which has to be as sound as when it was saved."""
        definition = await self._definitions.get(workflow.id, version)
        _, warnings = await self._workflows.read(who, _document(definition))
        await self._switch(who, workflow, definition, version, step, activate)
        return await self._workflows.shown(who, workflow.id, warnings)

    async def _switch(
        self, who: Membership, workflow: Workflow, definition: Definition, version: int, step: Step,
        activate: bool | None = None,
    ) -> None:  # fmt: skip
        runs, active = workflow.version, workflow.active
        if step.environment:
            there = next((r for r in await self._store.running(workflow.id) if r.environment == step.environment), None)
            runs, active = (there.version, there.active) if there else (0, False)
        if runs == version:
            raise Conflict(f"Version {version} runs in {shown(step.environment)} already.")
        changed = msgspec.structs.replace(workflow, version=version, active=active if activate is None else activate)
        if not step.environment:
            changed = msgspec.structs.replace(changed, name=definition.name, description=definition.description)
        where = shown(step.environment)
        audit.changed({"environment": where, "version": runs}, {"environment": where, "version": version})
        await self._workflows.save(who, changed, definition, workflow.lock_version, step)

    async def _open(self, who: Membership, environment: str) -> str:
        """An environment, as it is stored, in which something may begin to run."""
        found = await self.environment(who, environment)
        if not found.active:
            raise Conflict(f"The environment {environment} is switched off.")
        return stored(environment)

    async def _there(self, workflow: Workflow, environment: str) -> Running:
        for found in await self._store.running(workflow.id):
            if found.environment == environment:
                return found
        raise NotFound(f"The workflow has no release in {shown(environment)}.")

    async def _was_there(self, workflow: Workflow, environment: str, version: int) -> bool:
        before = 0
        while page := await self._store.releases(workflow.id, environment, before, _PAGE):
            if any(release.version == version for release in page):
                return True
            before = page[-1].number
        return False

    async def _earlier(self, workflow: Workflow, environment: str, now: Running, release: int) -> int:
        """The version of a release, or of the one before that which brought what runs now. Rollbacks are no steps of
        that way: a second one goes further back."""
        before, passed = release + 1 if release else 0, False
        while page := await self._store.releases(workflow.id, environment, before, _PAGE):
            if release:
                if page[0].number == release:
                    return page[0].version
                raise NotFound(f"There is no release {release} in {shown(environment)}.")
            for found in page:
                if found.verb == ROLLBACK:
                    continue
                if passed and found.version != now.version:
                    return found.version
                passed = passed or found.version == now.version
            before = page[-1].number
        if release:
            raise NotFound(f"There is no release {release} in {shown(environment)}.")
        raise Conflict(f"Nothing else has run in {shown(environment)} before.")

    async def _draft(self, workflow: Workflow) -> Draft | None:
        row = await self._store.draft(workflow.id)
        if row is None:
            return None
        definition = decode(row.definition)
        problems = await self._workflows.problems(definition)
        return Draft(definition, row.base_version, row.revision, row.saved_at, row.saved_by, tuple(problems))


def _document(definition: Definition) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(encode(definition))
    return found


def errors_of(problems: Sequence[Problem]) -> int:
    """How many keep it from running."""
    return sum(problem.severity == "error" for problem in problems)


def _overtaken() -> VersionConflict:
    return VersionConflict("Somebody else saved a draft meanwhile. Read it again and repeat your change on that.")
