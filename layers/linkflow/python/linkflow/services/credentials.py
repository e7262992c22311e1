"""Credentials, as the people of a workspace keep them. What is secret is never shown again once it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.secrets import credential_about
from linkflow.contracts.worker import ProbeReply, ProbeRequest, WorkerApi
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem, VersionConflict
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.domain.reach import faults
from linkflow.domain.redaction import SHORTEST
from linkflow.domain.secrets import slug_of
from linkflow.nodes import kinds
from linkflow.nodes.given import home_of
from linkflow.ports import Clock

from . import audit
from .control_ports import Workspace
from .role_refs import RoleStore, role_refs
from .sealing import Sealer
from .secret_ports import CONNECTED, READY, UNCONNECTED, Credential, CredentialRow, CredentialStore
from .workspaces import Membership

LONG = 16
"""Characters of a secret from which its last four are shown: less than that would tell too much."""
MASK = "••••••••"
MANAGERS = frozenset(("owner", "admin"))
"""Whoever has such a role may look after any credential."""


class Draft(Struct, frozen=True):
    """What somebody wants a credential to be; None leaves a field as it is."""

    name: str | None = None
    kind: str | None = None
    data: Mapping[str, Any] | None = None
    description: str | None = None
    hosts: Sequence[str] | None = None
    roles: Sequence[str] | None = None
    expires_at: int | None = None


class Kept(Struct, frozen=True):
    """A credential, and what its owner should know."""

    credential: Credential
    warnings: tuple[Problem, ...] = ()


class Credentials:
    """`worker` tries them: nothing goes out from here."""

    def __init__(
        self, store: CredentialStore, roles: RoleStore, sealer: Sealer, worker: WorkerApi, clock: Clock
    ) -> None:
        self._store = store
        self._roles = roles
        self._sealer = sealer
        self._worker = worker
        self._clock = clock

    async def page(self, who: Membership, kind: str, before: str, limit: int) -> list[Credential]:
        return await self._store.page(who.workspace_id, kind, before, limit)

    async def show(self, who: Membership, id: str) -> Credential:
        """Raises `NotFound`."""
        found = await self._store.get(who.workspace_id, id) if is_uuid(id) else None
        if found is None:
            raise NotFound("There is no such credential.")
        return found

    async def create(self, who: Membership, draft: Draft) -> Kept:
        """Raises `InvalidInput` with every fault, `Conflict` without keys or where the name is taken."""
        kind, problems = draft.kind or "", _faults(draft)
        data: dict[str, Any] = {}
        if not slug_of(draft.name or ""):
            problems.append(Problem("/name", "missing_field", "Give it a name with a letter or a digit in it."))
        if kinds.find(kind) is None:
            known = ", ".join(sorted(kinds.kinds()))
            text = f"There is no such type of credential; there are {known}."
            problems.append(Problem("/type", "unknown_type", text))
        else:
            data, more = kinds.check(kind, draft.data or {})
            problems += more
        roles, more = await role_refs(self._roles, who.workspace_id, draft.roles or ())
        problems += more
        if problems:
            raise InvalidInput("The credential cannot be saved.", problems=problems)
        now = self._clock.now_ms()
        made = Credential(
            self._new_id(now), who.workspace_id, (draft.name or "").strip(), kind, draft.description or "",
            _hosts(draft.hosts), tuple(roles), _shown(kind, data), _status(kind), now, "", draft.expires_at or 0, 1, 1,
            who.actor, now, now, role_names=tuple(roles.values()),
        )  # fmt: skip
        _may_hold(who, made.roles)
        audit.about("credential", made.id)
        audit.changed(None, _told(made))
        if not await self._store.insert(await self._row(made, data)):
            raise _taken()
        return Kept(made, _short(kind, data))

    async def change(
        self, who: Membership, id: str, draft: Draft, expected: frozenset[int] | None = None, whole: bool = False
    ) -> Kept:
        """What `draft` does not name stays as it is, secrets in `data` included. With `whole` the rest becomes what a
        new credential has; secrets that are not sent stay all the same: nobody can read them to send them again.

        Raises `InvalidInput`, `VersionConflict`, `Conflict`, `Forbidden` where the role may not use it.
        """
        before = await self.mine(who, id, expected)
        draft = _filled(draft) if whole else draft
        problems, data = _faults(draft), None
        if draft.kind not in (None, before.kind):
            problems.append(Problem("/type", "fixed", "The type of a credential stays. Make another one."))
        elif draft.data is not None:
            data, more = await self._merged(before, draft.data, whole)
            problems += more
        if draft.name is not None and not slug_of(draft.name):
            problems.append(Problem("/name", "missing_field", "Give it a name with a letter or a digit in it."))
        kept = dict(zip(before.roles, before.role_names, strict=True))
        if draft.roles is not None:
            kept, more = await role_refs(self._roles, who.workspace_id, draft.roles, kept)
            problems += more
        if problems:
            raise InvalidInput("The credential cannot be saved.", problems=problems)
        made = msgspec.structs.replace(
            before,
            name=before.name if draft.name is None else draft.name.strip(),
            description=before.description if draft.description is None else draft.description,
            hosts=before.hosts if draft.hosts is None else _hosts(draft.hosts),
            roles=tuple(kept),
            role_names=tuple(kept.values()),
            expires_at=before.expires_at if draft.expires_at is None else draft.expires_at,
            shown=before.shown if data is None else _shown(before.kind, data),
            version=before.version + (data is not None),
            status=before.status if data is None else _status(before.kind),
            updated_at=self._clock.now_ms(),
        )
        _may_hold(who, made.roles)
        if (made.hosts, made.roles) != (before.hosts, before.roles):
            _may_open(who, before)
        audit.changed(_told(before), _told(made))
        row = await self._row(made, data) if data is not None else CredentialRow(made, slug_of(made.name))
        _settle(await self._store.update(row, before.lock_version))
        return Kept(await self.show(who, id), _short(made.kind, data or {}))

    async def delete(self, who: Membership, id: str, expected: frozenset[int] | None = None) -> None:
        """Nodes that refer to it fail from now on, and say so."""
        before = await self.mine(who, id, expected)
        audit.changed(_told(before), None)
        await self._store.delete(who.workspace_id, before.id)

    async def duplicate(self, who: Membership, id: str, name: str = "") -> Credential:
        """A copy with the same secrets, under `name` or the first free one. What others consented to is not copied."""
        before = await self.mine(who, id)
        data, now = await self._open(before), self._clock.now_ms()
        wanted = [name] if name else [f"{before.name[:240]} (copy{f' {n}' if n > 1 else ''})" for n in range(1, 51)]
        for title in wanted:
            made = msgspec.structs.replace(
                before, id=self._new_id(now), name=title, version=1, lock_version=1, status=_status(before.kind),
                status_at=now, status_detail="", created_by=who.actor, created_at=now, updated_at=now,
            )  # fmt: skip
            audit.about("credential", made.id)
            audit.changed(None, _told(made))
            if await self._store.insert(await self._row(made, data)):
                return made
        raise _taken()

    async def test(self, who: Membership, id: str, url: str = "") -> ProbeReply:
        """A light call with it, made by a worker."""
        found = await self.mine(who, id)
        return await self.probe(who.workspace_id, ProbeRequest(who.workspace_id, found.id, url=url))

    async def probe(self, workspace_id: str, request: ProbeRequest) -> ProbeReply:
        """Raises `Unavailable` where no worker can be asked."""
        with acting_as(Caller(workspace_id, frozenset(("worker.probe",)), "service:api")):
            return await self._worker.probe(request)

    async def uses(self, who: Membership, id: str, before: str, limit: int) -> tuple[list[tuple[str, str, bool]], str]:
        """Workflows whose current version refers to it, of the next `limit` of the workspace, and where to go on."""
        found = await self.show(who, id)
        spelt = (found.id, f"credential.{slug_of(found.name)}")
        page = await self._store.uses(who.workspace_id, spelt, before, limit + 1)
        following = page[limit - 1][0] if len(page) > limit else ""
        return [(id, name, active) for id, name, active, used in page[:limit] if used], following

    async def mine(self, who: Membership, id: str, expected: frozenset[int] | None = None) -> Credential:
        found = await self.show(who, id)
        _may_hold(who, found.roles)
        if expected is not None and found.lock_version not in expected:
            raise _overtaken()
        return found

    async def _merged(
        self, before: Credential, data: Mapping[str, Any], whole: bool
    ) -> tuple[dict[str, Any], list[Problem]]:
        """The fields with those secrets that were not sent. This is all that the API opens one for, besides copies."""
        model = kinds.find(before.kind)
        if model is None:
            return {}, [Problem("/type", "unknown_type", "The package of this type is not installed here.")]
        stored, secret = await self._open(before), model.secret_fields()
        kept = {name: value for name, value in stored.items() if name in secret or not whole}
        sent = {name: value for name, value in data.items() if name not in secret or not _is_left_out(value)}
        names = {info.alias or name: name for name, info in model.model_fields.items()}
        known = {name: value for name, value in kept.items() if name in names}
        fields, problems = kinds.check(before.kind, {**known, **sent})
        if not problems and set(home_of(fields)) - set(home_of(stored)):
            # Or whoever may edit a credential, and not read it, could have it sent to himself.
            text = "The address has changed: send the secret again, so that it does not go where it was not meant to."
            still = sorted(name for name in secret if stored.get(name) and name not in sent)
            problems = [Problem(f"/data/{name}", "missing_field", text) for name in still]
        return fields, problems

    async def _open(self, found: Credential) -> dict[str, Any]:
        sealed = await self._store.sealed(found.workspace_id, (found.id,))
        if not sealed:
            raise NotFound("There is no such credential.")
        about = credential_about(found.workspace_id, found.id, sealed[0].version)
        fields: dict[str, Any] = msgspec.json.decode(await self._sealer.open(sealed[0].sealed, about))
        return fields

    async def _row(self, made: Credential, data: Mapping[str, Any]) -> CredentialRow:
        about = credential_about(made.workspace_id, made.id, made.version)
        return CredentialRow(made, slug_of(made.name), await self._sealer.seal(msgspec.json.encode(data), about))

    def _new_id(self, now: int) -> str:
        return uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))


def _told(made: Credential) -> dict[str, Any]:
    """What the audit log says of one."""
    return {
        "name": made.name, "type": made.kind, "description": made.description, "hosts": list(made.hosts),
        "roles": list(made.role_names), "data": made.shown, "expires_at": made.expires_at, "version": made.version,
    }  # fmt: skip


def may_use(workspace: Workspace, roles: Sequence[str]) -> bool:
    """May whoever sees the workspace so let a workflow use a credential that is for `roles`? Names of the workspace's
    own roles count for nothing: whoever may manage roles could give his own another one's name."""
    return not roles or (workspace.role_id or workspace.role) in roles


def _may_hold(who: Membership, roles: Sequence[str]) -> None:
    if not may_use(who.workspace, roles) and who.workspace.role not in MANAGERS:
        raise Forbidden(f"This credential is for other roles than {who.workspace.role}.")


def _may_open(who: Membership, before: Credential) -> None:
    if who.workspace.role not in MANAGERS and who.actor != before.created_by:
        raise Forbidden("Where a credential may go, and who may use it, is for its maker, an admin or an owner to say.")


def _faults(draft: Draft) -> list[Problem]:
    return faults("hosts", draft.hosts or ())


def _filled(draft: Draft) -> Draft:
    return Draft(
        draft.name, draft.kind, draft.data, draft.description or "", draft.hosts or (), draft.roles or (),
        draft.expires_at or 0,
    )  # fmt: skip


def _hosts(entries: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.strip().lower() for text in entries or ()))


def _status(kind: str) -> str:
    return UNCONNECTED if kind == "oauth2" else CONNECTED if kind == "oauth2_refresh" else READY


def _shown(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What may be seen: of secrets whether they are there, and the end of long ones."""
    model = kinds.find(kind)
    secret = model.secret_fields() if model else frozenset(data)
    return {name: _masked(str(value)) if name in secret else value for name, value in data.items()}


def _is_left_out(value: Any) -> bool:
    """An editor may send back what it was shown."""
    return value is None or (isinstance(value, str) and value.startswith(MASK))


def _masked(value: str) -> str:
    return f"{MASK}{value[-4:]}" if len(value) >= LONG else MASK if value else ""


def _short(kind: str, data: Mapping[str, Any]) -> tuple[Problem, ...]:
    model = kinds.find(kind)
    text = f"Values under {SHORTEST} characters cannot be told from other text: they are not taken out of results."
    return tuple(
        Problem(f"/data/{name}", "short_secret", text, "warning")
        for name in sorted(model.secret_fields() if model else ())
        if 0 < len(str(data.get(name) or "")) < SHORTEST
    )


def _settle(answer: str) -> None:
    if answer == "taken":
        raise _taken()
    if answer != "ok":
        raise _overtaken()


def _taken() -> Conflict:
    text = "A credential with such a name exists in this workspace. Take another name."
    return Conflict(text, details={"field": "name"})


def _overtaken() -> VersionConflict:
    return VersionConflict("Somebody else changed this credential. Read it again and repeat your change on that.")
