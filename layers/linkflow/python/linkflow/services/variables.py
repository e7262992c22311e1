"""Variables of a workspace, plain and secret, for one environment or for all."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from linkflow.contracts.secrets import variable_about
from linkflow.domain.errors import Conflict, InvalidInput, LimitExceeded, NotFound, Problem, VersionConflict
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.domain.redaction import SHORTEST
from linkflow.domain.secrets import KEY
from linkflow.ports import Clock
from linkflow.sealed import Sealed

from . import audit
from .sealing import Sealer
from .secret_ports import Variable, VariableStore
from .workspaces import Membership

MOST = 1_000
"""Variables of a workspace."""


class Draft(Struct, frozen=True):
    """What somebody wants a variable to be; None leaves a field as it is."""

    key: str | None = None
    value: str | None = None
    environment: str | None = None
    secret: bool | None = None
    description: str | None = None


class Kept(Struct, frozen=True):
    variable: Variable
    warnings: tuple[Problem, ...] = ()


class Variables:
    """Runs take the plain ones along when they start; secret ones are opened in workers, like credentials."""

    def __init__(self, store: VariableStore, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock

    async def page(self, who: Membership, environment: str | None, before: str, limit: int) -> list[Variable]:
        """Newest first; `environment` None is every one."""
        return await self._store.page(who.workspace_id, environment, before, limit)

    async def show(self, who: Membership, id: str) -> Variable:
        """Raises `NotFound`."""
        found = await self._store.get(who.workspace_id, id) if is_uuid(id) else None
        if found is None:
            raise NotFound("There is no such variable.")
        return found

    async def create(self, who: Membership, draft: Draft) -> Kept:
        """Raises `InvalidInput` with every fault, `Conflict` where there is one, `LimitExceeded`."""
        problems = _faults(draft.key or "", draft.environment or "")
        if draft.value is None:
            problems.append(Problem("/value", "missing_field", "`value` is required."))
        if problems:
            raise InvalidInput("The variable cannot be saved.", problems=problems)
        if await self._store.count(who.workspace_id) >= MOST:
            raise LimitExceeded(f"A workspace has at most {MOST:,} variables.")
        now = self._clock.now_ms()
        made = Variable(
            uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62)), who.workspace_id,
            draft.environment or "", draft.key or "", draft.value or "", bool(draft.secret), draft.description or "",
            1, 1, now, now,
        )  # fmt: skip
        audit.about("variable", made.id)
        audit.changed(None, _told(made))
        if not await self._store.insert(made, await self._sealed(made, made.value), who.actor):
            raise _taken()
        return Kept(_shown(made), _short(made.secret, draft.value))

    async def change(
        self, who: Membership, id: str, draft: Draft, expected: frozenset[int] | None = None, whole: bool = False
    ) -> Kept:
        """What `draft` does not name stays as it is. A secret one does not become plain without a value: what was
        secret is not shown that way."""
        before = await self.show(who, id)
        if expected is not None and before.lock_version not in expected:
            raise _overtaken()
        if whole:
            draft = Draft(draft.key, draft.value, draft.environment or "", bool(draft.secret), draft.description or "")
        made = msgspec.structs.replace(
            before,
            key=before.key if draft.key is None else draft.key,
            environment=before.environment if draft.environment is None else draft.environment,
            secret=before.secret if draft.secret is None else draft.secret,
            value=before.value if draft.value is None else draft.value,
            description=before.description if draft.description is None else draft.description,
            updated_at=self._clock.now_ms(),
        )
        problems = _faults(made.key, made.environment)
        if draft.value is None and before.secret and not made.secret:
            problems.append(Problem("/value", "missing_field", "Give a value: the secret one is not made visible."))
        if problems:
            raise InvalidInput("The variable cannot be saved.", problems=problems)
        sealed = None
        if made.secret and (draft.value is not None or not before.secret):
            made = msgspec.structs.replace(made, version=before.version + 1)
            sealed = await self._sealed(made, made.value)
        audit.changed(_told(before), _told(made))
        answer = await self._store.update(made, sealed, before.lock_version)
        if answer == "taken":
            raise _taken()
        if answer != "ok":
            raise _overtaken()
        return Kept(await self.show(who, id), _short(made.secret, draft.value))

    async def delete(self, who: Membership, id: str, expected: frozenset[int] | None = None) -> None:
        found = await self.show(who, id)
        if expected is not None and found.lock_version not in expected:
            raise _overtaken()
        audit.changed(_told(found), None)
        await self._store.delete(who.workspace_id, found.id)

    async def _sealed(self, made: Variable, value: str) -> Sealed | None:
        if not made.secret:
            return None
        return await self._sealer.seal(value.encode(), variable_about(made.workspace_id, made.id, made.version))


def _told(made: Variable) -> dict[str, object]:
    """What the audit log says of one."""
    told = {"key": made.key, "environment": made.environment, "secret": made.secret, "version": made.version}
    return told if made.secret else {**told, "value": made.value}


def _shown(made: Variable) -> Variable:
    return msgspec.structs.replace(made, value="") if made.secret else made


def _faults(key: str, environment: str) -> list[Problem]:
    problems = []
    if not KEY.fullmatch(key):
        text = "A variable is called by capitals, digits and _, with a capital first: API_URL. 100 characters at most."
        problems.append(Problem("/key", "invalid_value", text))
    if len(environment) > 100 or environment != environment.strip():
        problems.append(Problem("/environment", "invalid_value", "An environment is named by 1 to 100 characters."))
    return problems


def _short(secret: bool, value: str | None) -> tuple[Problem, ...]:
    if not secret or value is None or not 0 < len(value) < SHORTEST:
        return ()
    text = f"Values under {SHORTEST} characters cannot be told from other text: they are not taken out of results."
    return (Problem("/value", "short_secret", text, "warning"),)


def _taken() -> Conflict:
    return Conflict("A variable with this key exists for that environment.")


def _overtaken() -> VersionConflict:
    return VersionConflict("Somebody else changed this variable. Read it again and repeat your change on that.")
