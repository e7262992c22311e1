"""Workspaces, their members, and what a member may do."""

from __future__ import annotations

from msgspec import Struct

from linkflow.contracts.base import Caller
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

from .control_ports import Member, User, UserStore, Workspace, WorkspaceStore
from .permissions import RANK, permissions_of


class Membership(Struct, frozen=True):
    """Somebody who is signed in, in one of his workspaces."""

    user_id: str
    workspace: Workspace

    @property
    def workspace_id(self) -> str:
        return self.workspace.id

    @property
    def actor(self) -> str:
        """How the history names him."""
        return f"user:{self.user_id}"

    def require(self, permission: str) -> None:
        """Raises `Forbidden` without the permission."""
        if permission not in permissions_of(self.workspace.role):
            raise Forbidden(f"A {self.workspace.role} of this workspace has no permission {permission}.")

    def caller(self) -> Caller:
        """The identity of calls to the execution plane on his behalf."""
        return Caller(self.workspace_id, permissions_of(self.workspace.role), self.actor)


class Workspaces:
    """Workspaces and members. Another tenant's workspace is not there, whoever asks."""

    def __init__(self, store: WorkspaceStore, users: UserStore, clock: Clock) -> None:
        self._store = store
        self._users = users
        self._clock = clock

    async def membership(self, user_id: str, workspace_id: str) -> Membership:
        """Raises `NotFound` where there is no such workspace, or the user is no member of it."""
        found = await self._store.get(workspace_id, user_id) if is_uuid(workspace_id) else None
        if found is None:
            raise NotFound("There is no such workspace.")
        return Membership(user_id, found)

    async def of_user(self, user_id: str) -> list[Workspace]:
        return await self._store.of_user(user_id)

    async def create(self, user_id: str, name: str) -> Workspace:
        now = self._clock.now_ms()
        id = uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        await self._store.add(id, name, user_id, now)
        return Workspace(id, name, "owner", now, now)

    async def rename(self, who: Membership, name: str) -> Workspace:
        now = self._clock.now_ms()
        await self._store.rename(who.workspace_id, name, now)
        return Workspace(who.workspace_id, name, who.workspace.role, who.workspace.created_at, now)

    async def delete(self, who: Membership) -> None:
        """Switch everything off and hide it. Runs under way end by themselves."""
        await self._store.delete(who.workspace_id, self._clock.now_ms())

    async def members(self, who: Membership) -> list[Member]:
        return await self._store.members(who.workspace_id)

    async def add_member(self, who: Membership, email: str, role: str) -> Member:
        """Take in somebody who has an account. Raises `Conflict` where he is in already."""
        user = await self._users.by_email(email)
        if user is None:
            unknown = Problem("/email", "unknown", "Nobody has registered with this e-mail address yet.")
            raise InvalidInput("There is no such account.", problems=[unknown])
        if any(member.user_id == user.id for member in await self._store.members(who.workspace_id)):
            raise Conflict("This person is a member already.")
        self._within_rank(who, role)
        return await self._put(who, user, role)

    async def set_role(self, who: Membership, user_id: str, role: str) -> Member:
        member = await self._member(who, user_id)
        self._within_rank(who, member.role)
        self._within_rank(who, role)
        user = User(member.user_id, member.email, member.first_name, member.last_name, "", 0)
        return await self._put(who, user, role)

    async def remove_member(self, who: Membership, user_id: str) -> None:
        member = await self._member(who, user_id)
        self._within_rank(who, member.role)
        await self._remove(who, user_id)

    async def leave(self, who: Membership) -> None:
        await self._remove(who, who.user_id)

    async def _member(self, who: Membership, user_id: str) -> Member:
        for member in await self._store.members(who.workspace_id):
            if member.user_id == user_id:
                return member
        raise NotFound("There is no such member.")

    async def _put(self, who: Membership, user: User, role: str) -> Member:
        now = self._clock.now_ms()
        if not await self._store.put_member(who.workspace_id, user.id, role, now):
            raise Conflict("A workspace needs an owner. Make somebody else owner first.")
        return Member(user.id, user.email, user.first_name, user.last_name, role, now)

    async def _remove(self, who: Membership, user_id: str) -> None:
        if not await self._store.remove_member(who.workspace_id, user_id):
            raise Conflict("A workspace needs an owner. Make somebody else owner first.")

    @staticmethod
    def _within_rank(who: Membership, role: str) -> None:
        if RANK[role] > RANK[who.workspace.role]:
            raise Forbidden(f"A {who.workspace.role} cannot give or take the role {role}.")
