"""Roles of a workspace's own, invitations, and handing a workspace over."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from msgspec import structs

from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

from . import audit
from .auth import hashed
from .control_ports import User, UserStore
from .gate import Gate, Origin
from .keys import known
from .mails import Mails
from .people_ports import Invitation, Role, TeamStore
from .permissions import KEPT, OWNER, ROLES, may_give, permissions_of
from .workspaces import Membership, Workspaces

INVITED_MS = 7 * 24 * 3600 * 1000
MOST_ROLES, MOST_INVITATIONS = 50, 500


class Teams:
    """Nobody gives what he has not got: neither by a role, nor by an invitation."""

    def __init__(
        self, store: TeamStore, workspaces: Workspaces, users: UserStore, clock: Clock, gate: Gate, mails: Mails
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._users = users
        self._clock = clock
        self._gate = gate
        self._mails = mails

    # Roles

    async def roles(self, who: Membership) -> list[Role]:
        return await self._store.roles(who.workspace_id)

    async def add_role(self, who: Membership, name: str, permissions: Iterable[str]) -> Role:
        wanted = self._wanted(who, name, permissions)
        if len(await self._store.roles(who.workspace_id)) >= MOST_ROLES:
            raise InvalidInput(f"A workspace has at most {MOST_ROLES} roles of its own.")
        now = self._clock.now_ms()
        role = Role(self._new_id(), name, wanted, now, now)
        audit.about("role", role.id)
        audit.changed(None, _shown(role))
        if not await self._store.add_role(who.workspace_id, role):
            raise _taken(name)
        return role

    async def update_role(self, who: Membership, id: str, name: str, permissions: Iterable[str]) -> Role:
        """Raises `Forbidden` where the role is, or would be, more than one's own."""
        before = await self._role(who, id)
        who.require_gift(before.name, frozenset(before.permissions))
        wanted = self._wanted(who, name, permissions)
        after = structs.replace(before, name=name, permissions=wanted, updated_at=self._clock.now_ms())
        audit.about("role", id)
        audit.changed(_shown(before), _shown(after))
        if not await self._store.update_role(who.workspace_id, after):
            raise _taken(name)
        return after

    async def delete_role(self, who: Membership, id: str) -> None:
        """Raises `Conflict` while somebody has it."""
        before = await self._role(who, id)
        who.require_gift(before.name, frozenset(before.permissions))
        audit.about("role", id)
        audit.changed(_shown(before), None)
        if not await self._store.delete_role(who.workspace_id, id):
            raise Conflict("Members have this role. Give them another one first.")

    async def _role(self, who: Membership, id: str) -> Role:
        for role in await self._store.roles(who.workspace_id):
            if role.id == id:
                return role
        raise NotFound("There is no such role.")

    @staticmethod
    def _wanted(who: Membership, name: str, permissions: Iterable[str]) -> tuple[str, ...]:
        if name.lower() in ROLES:
            raise _taken(name)
        wanted = known(permissions, OWNER - KEPT)
        who.require_gift(name, frozenset(wanted))
        return tuple(sorted({*wanted, "workspace.view"}))

    # Invitations

    async def invitations(self, who: Membership) -> list[Invitation]:
        return await self._store.invitations(who.workspace_id, self._clock.now_ms())

    async def invite(self, who: Membership, email: str, role: str, origin: Origin) -> tuple[Invitation, str]:
        """Send an invitation; one that the address has already is replaced. The link comes along where mails do not get
        to people, else it is empty: whoever has it has the mailbox."""
        found = await self._workspaces.role(who, role)
        members = await self._workspaces.members(who)
        if any(member.email.lower() == email.lower() for member in members):
            raise Conflict("This person is a member already.")
        now = self._clock.now_ms()
        if len(await self._store.invitations(who.workspace_id, now)) >= MOST_INVITATIONS:
            raise InvalidInput(f"A workspace has at most {MOST_INVITATIONS} open invitations.")
        await self._gate.mail(origin, f"{who.workspace_id}:{email}")
        token = secrets.token_urlsafe(32)
        made = Invitation(
            self._new_id(), who.workspace_id, email, found.name, found.id, who.user_id, now, now + INVITED_MS,
            who.workspace.name,
        )  # fmt: skip
        audit.about("invitation", made.id)
        audit.changed(None, {"email": email, "role": found.name})
        await self._store.invite(made, hashed(token))
        inviter = await self._users.by_id(who.user_id) if who.is_person else None
        name = f"{inviter.first_name} {inviter.last_name}" if inviter else "An administrator"
        await self._mails.invite(email, name, who.workspace.name, found.name, token)
        return made, "" if self._mails.delivers else self._mails.link("invitation", token)

    async def withdraw(self, who: Membership, id: str) -> None:
        audit.about("invitation", id)
        if found := next((one for one in await self.invitations(who) if one.id == id), None):
            audit.changed({"email": found.email, "role": found.role}, None)
        if not is_uuid(id) or not await self._store.withdraw(who.workspace_id, id):
            raise NotFound("There is no such invitation.")

    async def invitation(self, token: str, origin: Origin) -> Invitation:
        """What whoever has the link may see. Raises `NotFound`."""
        await self._gate.public(origin)
        found = await self._store.invitation(hashed(token), self._clock.now_ms())
        if found is None:
            raise NotFound("This invitation is not there: it was used, withdrawn or replaced, or is too old.")
        return found

    async def accept(self, user: User, token: str, origin: Origin) -> Invitation:
        """Become a member. Raises `NotFound`, and `Forbidden` where another address was invited, or whoever invited may
        not do so any more."""
        found = await self.invitation(token, origin)
        if found.email.lower() != user.email.lower():
            raise Forbidden("Another address was invited. Sign in with that one, or ask to be invited with yours.")
        if not await self._stands(found):
            raise Forbidden("Whoever invited you may not do so any more. Ask for another invitation.")
        audit.about("invitation", found.id, workspace_id=found.workspace_id)
        audit.changed(None, {"role": found.role})
        now = self._clock.now_ms()
        if not await self._store.accept(found, user.id, self._mails.delivers, now):
            raise NotFound("This invitation is not there any more.")
        return found

    async def _stands(self, found: Invitation) -> bool:
        """Might it be sent today? Else who is thrown out would come back by one that he sent himself."""
        gift = permissions_of(found.role)
        if found.role_id:
            gift = next(
                (
                    frozenset(one.permissions)
                    for one in await self._store.roles(found.workspace_id)
                    if one.id == found.role_id
                ),
                OWNER,
            )
        try:
            by = await self._workspaces.membership(found.invited_by, found.workspace_id)
        except NotFound:
            keys = await self._store.keys_of_workspace(found.workspace_id)
            has = next((frozenset(one.permissions) for one in keys if one.id == found.invited_by), frozenset[str]())
            return "member.invite" in has and may_give("", has, found.role, gift)
        return "member.invite" in by.permissions and may_give(by.workspace.role, by.permissions, found.role, gift)

    async def decline(self, token: str, origin: Origin) -> None:
        found = await self.invitation(token, origin)
        audit.about("invitation", found.id, workspace_id=found.workspace_id)
        audit.changed({"email": found.email, "role": found.role}, None)
        await self._store.withdraw(found.workspace_id, found.id)

    # The workspace

    async def transfer(self, who: Membership, user_id: str) -> None:
        """Make another member owner, and oneself an admin. Only an owner in person can."""
        if not who.is_person or who.scope or who.workspace.role != "owner":
            raise Forbidden("Only an owner hands a workspace over, in person.")
        heir = await self._workspaces.member(who, user_id)
        audit.about("member", user_id)
        audit.changed({"role": heir.role}, {"role": "owner"})
        if user_id == who.user_id or not await self._store.transfer(who.workspace_id, who.user_id, user_id):
            raise Conflict("Name another member of the workspace.")

    def _new_id(self) -> str:
        return uuid7(self._clock.now_ms(), self._clock.rand_bits(12), self._clock.rand_bits(62))


def _shown(role: Role) -> dict[str, object]:
    return {"name": role.name, "permissions": dict.fromkeys(role.permissions, True)}


def _taken(name: str) -> InvalidInput:
    fault = Problem("/name", "taken", f"There is a role {name} already.")
    return InvalidInput("The name is taken.", problems=[fault])
