"""API keys: a person's own, within what he may do, and a workspace's, within what they were given.

A key is 256 random bits, kept as its hash and shown once. It stands in place of an access token on every route but
those of the account itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from linkflow.domain.errors import Forbidden, InvalidInput, NotFound, Problem, Unauthenticated
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

from . import audit
from .auth import hashed
from .people_ports import Key, TeamStore
from .permissions import OWNER
from .tokens import Identity, Scope
from .workspaces import Membership, Workspaces

PREFIX = "lf_"
HINT = 10
"""Characters of a key that are kept to tell it from others."""

TOUCH_MS = 60_000
"""The time of its last use is written at most so often."""

MOST = 100


class Keys:
    """Making, finding and ending keys."""

    def __init__(self, store: TeamStore, workspaces: Workspaces, clock: Clock) -> None:
        self._store = store
        self._workspaces = workspaces
        self._clock = clock

    async def identify(self, key: str, ip: str) -> Identity:
        """Who bears this key. Raises `Unauthenticated`."""
        found, now = await self._store.find_key(hashed(key)), self._clock.now_ms()
        if found is None or (found.expires_at and found.expires_at <= now):
            raise Unauthenticated("The API key is not valid: it is wrong, revoked or expired.")
        if found.last_used_at + TOUCH_MS <= now:
            await self._store.used_key(found.id, now, ip)
        scope = Scope(found.id, found.workspace_id, frozenset(found.permissions), found.expires_at)
        return Identity(found.user_id, "", scope)

    async def of_user(self, user_id: str) -> list[Key]:
        return await self._store.keys_of_user(user_id)

    async def of_workspace(self, who: Membership) -> list[Key]:
        return await self._store.keys_of_workspace(who.workspace_id)

    async def create_personal(
        self, user_id: str, name: str, workspace_id: str, permissions: Iterable[str], expires_at: int
    ) -> tuple[Key, str]:
        """A key that stands for its owner: the key, and what it reads, for this one time."""
        wanted = _checked(permissions)
        if workspace_id:
            await self._workspaces.membership(user_id, workspace_id)
        if len(await self._store.keys_of_user(user_id)) >= MOST:
            raise _too_many()
        return await self._add(name, user_id, workspace_id, wanted, user_id, expires_at)

    async def create_service(
        self, who: Membership, name: str, permissions: Iterable[str], expires_at: int
    ) -> tuple[Key, str]:
        """A key that stands for itself, and stays when whoever made it goes. Raises `Forbidden` for more than one has
        oneself, `InvalidInput` for one that would outlive the key that makes it."""
        wanted = _checked(permissions)
        if not wanted:
            fault = Problem("/permissions", "missing", "Name what the key is for; see GET /api/v1/permissions.")
            raise InvalidInput("A workspace's key needs permissions.", problems=[fault])
        if beyond := sorted(set(wanted) - who.permissions):
            raise Forbidden(f"You cannot give what you have not got yourself: {', '.join(beyond)}.")
        ends = who.scope.expires_at if who.scope else 0
        if ends and not 0 < expires_at <= ends:
            fault = Problem("/expires_at", "too_late", "A key that was made by a key ends no later than that one.")
            raise InvalidInput("The key would outlive the one that makes it.", problems=[fault])
        if len(await self._store.keys_of_workspace(who.workspace_id)) >= MOST:
            raise _too_many()
        return await self._add(name, "", who.workspace_id, wanted, who.user_id, expires_at)

    async def end_personal(self, user_id: str, id: str) -> None:
        _about(id, await self._store.keys_of_user(user_id))
        if not is_uuid(id) or not await self._store.delete_key(id, user_id=user_id):
            raise NotFound("There is no such key.")

    async def end_service(self, who: Membership, id: str) -> None:
        _about(id, await self._store.keys_of_workspace(who.workspace_id))
        if not is_uuid(id) or not await self._store.delete_key(id, workspace_id=who.workspace_id):
            raise NotFound("There is no such key.")

    async def _add(
        self, name: str, user_id: str, workspace_id: str, permissions: tuple[str, ...], by: str, expires_at: int
    ) -> tuple[Key, str]:
        now = self._clock.now_ms()
        if expires_at and expires_at <= now:
            fault = Problem("/expires_at", "past", "Give a time to come, or leave it out.")
            raise InvalidInput("The key would be over already.", problems=[fault])
        secret = PREFIX + secrets.token_urlsafe(32)
        id = uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        key = Key(id, secret[:HINT], name, user_id, workspace_id, permissions, by, now, expires_at)
        audit.about("key", id)
        audit.changed(None, _shown(key))
        await self._store.add_key(key, hashed(secret))
        return key, secret


def _about(id: str, among: Iterable[Key]) -> None:
    audit.about("key", id)
    if found := next((one for one in among if one.id == id), None):
        audit.changed(_shown(found), None)


def _shown(key: Key) -> dict[str, object]:
    return {"name": key.name, "permissions": list(key.permissions), "workspace_id": key.workspace_id}


def _checked(permissions: Iterable[str]) -> tuple[str, ...]:
    """Raises `InvalidInput` with every name that is none."""
    return known(permissions, OWNER)


def known(permissions: Iterable[str], among: frozenset[str]) -> tuple[str, ...]:
    """In order, each once. Raises `InvalidInput` with every one that is not among these."""
    given = list(permissions)
    faults = [
        Problem(f"/permissions/{at}", "unknown_permission", f"There is no permission {one!r} to give.")
        for at, one in enumerate(given)
        if one not in among
    ]
    if faults:
        raise InvalidInput("Some permissions do not exist. See GET /api/v1/permissions.", problems=faults)
    return tuple(sorted(set(given)))


def _too_many() -> InvalidInput:
    return InvalidInput(f"There are {MOST} keys already. Revoke some.")
