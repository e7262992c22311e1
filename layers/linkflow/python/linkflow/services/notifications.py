"""Who is told when something happens to runs: rules of a workspace, and trying them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi, RunReply, RunRequest
from linkflow.domain.definition import Definition
from linkflow.domain.errors import InvalidDefinition, InvalidInput, LimitExceeded, NotFound, Problem, VersionConflict
from linkflow.domain.ids import execution_id, is_uuid, shard_of_workflow, uuid7
from linkflow.domain.notices import (
    CHANNELS,
    EMAIL,
    KINDS,
    LONG,
    MODE,
    SLACK,
    TRIGGER,
    WEBHOOK,
    Channel,
    document,
    patient,
    trial_of,
)  # fmt: skip
from linkflow.ports import Clock

from . import audit
from .workflows import Workflows
from .workspaces import Membership

MOST = 100
"""Rules of a workspace."""
MOST_WORKFLOWS = 1_000
MOST_ADDRESSES = 50
LEAST_AFTER = 60
MOST_SECONDS = 30 * 86_400
TRIED = 15.0
"""Seconds for which somebody who tries a rule waits."""


class Saved(Struct, frozen=True):
    """A rule. Times are ms; see `domain.notices.Rule`."""

    id: str
    name: str
    enabled: bool
    kinds: tuple[str, ...]
    workflows: tuple[str, ...]
    every: int
    after: int
    channel: Channel
    version: int
    created_at: int
    updated_at: int


class Wanted(Struct, frozen=True):
    """What somebody wants a rule to be; times are seconds."""

    name: str
    kinds: tuple[str, ...]
    channel: Channel
    workflows: tuple[str, ...] = ()
    every: int = 300
    after: int = 0
    enabled: bool = True


class RuleStore(Protocol):
    async def list(self, workspace_id: str) -> Sequence[Saved]: ...
    async def get(self, workspace_id: str, id: str) -> Saved | None: ...
    async def save(self, workspace_id: str, rule: Saved, definition: Definition) -> bool:
        """False where somebody else has saved that version already."""
        ...

    async def delete(self, workspace_id: str, id: str) -> bool: ...
    async def known(self, workspace_id: str, workflow_ids: Sequence[str]) -> set[str]:
        """Which of these are workflows of the workspace."""
        ...


class Notifications:
    """Rules of one workspace. What they send goes out in runs, under all that holds for nodes."""

    def __init__(
        self, store: RuleStore, workflows: Workflows, frontend: FrontendApi, clock: Clock, base_url: str
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._frontend = frontend
        self._clock = clock
        self._base_url = base_url

    async def all(self, who: Membership) -> Sequence[Saved]:
        return await self._store.list(who.workspace_id)

    async def show(self, who: Membership, id: str) -> Saved:
        """Raises `NotFound`."""
        found = await self._store.get(who.workspace_id, id) if is_uuid(id) else None
        if found is None:
            raise NotFound("There is no such rule.")
        return found

    async def create(self, who: Membership, wanted: Wanted) -> Saved:
        """Raises `InvalidInput` with every fault, `LimitExceeded` for too many."""
        definition, channel = await self._checked(who, wanted)
        if len(await self._store.list(who.workspace_id)) >= MOST:
            raise LimitExceeded(f"A workspace has {MOST} rules at most.")
        now = self._clock.now_ms()
        id = uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        made = _saved(id, wanted, channel, 1, now, now)
        audit.about("notification", id)
        await self._store.save(who.workspace_id, made, definition)
        return made

    async def replace(self, who: Membership, id: str, wanted: Wanted, expected: frozenset[int] | None) -> Saved:
        """Raises `NotFound`, `InvalidInput`, and `VersionConflict` where it is another by now."""
        before = await self.show(who, id)
        if expected is not None and before.version not in expected:
            raise _overtaken()
        definition, channel = await self._checked(who, wanted)
        made = _saved(id, wanted, channel, before.version + 1, before.created_at, self._clock.now_ms())
        audit.changed(before, made)
        if not await self._store.save(who.workspace_id, made, definition):
            raise _overtaken()
        return made

    async def delete(self, who: Membership, id: str) -> None:
        """Raises `NotFound`."""
        audit.changed(await self.show(who, id), None)
        if not is_uuid(id) or not await self._store.delete(who.workspace_id, id):
            raise NotFound("There is no such rule.")

    async def test(self, who: Membership, id: str) -> RunReply:
        """Tell now that it is a test, and how that went as far as it went in some seconds. Raises `NotFound`."""
        rule = await self.show(who, id)
        await self._workflows.read(who, document(rule.name, rule.channel))  # a credential may be for other roles
        now = self._clock.now_ms()
        run = execution_id(now, shard_of_workflow(rule.id), self._clock.rand_bits(62))
        request = RunRequest(
            who.workspace_id, rule.id, rule.version, TRIGGER,
            trial_of(now, rule.name, run).trigger(self._base_url, who.workspace_id), MODE, who.actor,
            execution_id=run, wait=TRIED,
        )  # fmt: skip
        with acting_as(who.caller()):
            return await self._frontend.run(request)

    async def _checked(self, who: Membership, wanted: Wanted) -> tuple[Definition, Channel]:
        """The rule's workflow, and the channel with the id of its credential. Raises `InvalidInput`."""
        faults = [*_faults(wanted), *_channel_faults(wanted.channel)]
        asked = [id for id in wanted.workflows if is_uuid(id)]
        known = await self._store.known(who.workspace_id, asked) if asked else set()
        faults += [
            Problem(f"/workflow_ids/{at}", "unknown_workflow", "Name a workflow of this workspace.")
            for at, id in enumerate(wanted.workflows)
            if id not in known
        ]
        definition = None
        if not faults:
            try:
                definition, warnings = await self._workflows.read(who, document(wanted.name, wanted.channel))
                missing = [one for one in warnings if one.code == "unknown_credential"]
                faults += [replace(_outside(one), severity="error") for one in missing]
            except InvalidDefinition as error:
                faults += [_outside(problem) for problem in error.problems if problem.severity == "error"]
        if faults or definition is None:
            raise InvalidInput("This rule cannot be saved.", problems=faults)
        given = next(iter(definition.nodes[-1].credentials.values()), "")
        return patient(definition), replace(wanted.channel, credential=given)


def _faults(wanted: Wanted) -> list[Problem]:
    faults = []
    if not wanted.name.strip():
        faults.append(Problem("/name", "required", "Give the rule a name."))
    if not wanted.kinds:
        faults.append(Problem("/events", "required", f"Name some of {', '.join(KINDS)}."))
    for at, kind in enumerate(wanted.kinds):
        if kind not in KINDS:
            faults.append(Problem(f"/events/{at}", "unknown_event", f"Use one of {', '.join(KINDS)}."))
    if LONG in wanted.kinds and not LEAST_AFTER <= wanted.after <= MOST_SECONDS:
        fix = f"Say after how many seconds a run is long-running: {LEAST_AFTER} to {MOST_SECONDS:,}."
        faults.append(Problem("/after_seconds", "bad_time", fix))
    if not 0 <= wanted.every <= MOST_SECONDS:
        faults.append(Problem("/every_seconds", "bad_time", f"Give 0 to {MOST_SECONDS:,} seconds."))
    if len(wanted.workflows) > MOST_WORKFLOWS:
        faults.append(Problem("/workflow_ids", "too_many", f"{MOST_WORKFLOWS:,} workflows are the most."))
    return faults


def _channel_faults(channel: Channel) -> list[Problem]:
    if channel.type not in CHANNELS:
        return [Problem("/channel/type", "unknown_channel", f"Use one of {', '.join(CHANNELS)}.")]
    faults = []
    if channel.type == WEBHOOK and not channel.url:
        faults.append(Problem("/channel/url", "required", "Give the address that is told."))
    if channel.type == EMAIL and not 0 < len(channel.to) <= MOST_ADDRESSES:
        faults.append(Problem("/channel/to", "required", f"Give 1 to {MOST_ADDRESSES} addresses."))
    if channel.type == SLACK and not channel.credential:
        faults.append(Problem("/channel/credential", "required", "Name a Slack credential: a token or a webhook."))
    if channel.type == SLACK and len(channel.to) > 1:
        faults.append(Problem("/channel/to", "too_many", "Name one channel; make a rule for each."))
    return faults


def _outside(problem: Problem) -> Problem:
    """Where in the rule what its workflow is at fault for stands."""
    _, _, field = problem.path.partition("/config")
    if "/credentials/" in problem.path:
        return replace(problem, path="/channel/credential")
    return replace(problem, path=f"/channel{field}" if field else "/channel")


def _saved(id: str, wanted: Wanted, channel: Channel, version: int, created: int, now: int) -> Saved:
    return Saved(
        id, wanted.name.strip(), wanted.enabled, tuple(dict.fromkeys(wanted.kinds)),
        tuple(dict.fromkeys(wanted.workflows)), wanted.every * 1000, wanted.after * 1000 if LONG in wanted.kinds else 0,
        channel, version, created, now,
    )  # fmt: skip


def _overtaken() -> VersionConflict:
    return VersionConflict("Somebody has changed the rule since you read it.")
