"""Workspaces, their members, and what a member may do."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from linkflow.contracts.base import Caller
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem, Unauthenticated
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

from . import audit
from .control_ports import Deleted, Entering, Member, OwnRole, User, UserStore, Workspace, WorkspaceStore
from .permissions import ROLES, may_give, permissions_of
from .together import Together
from .tokens import Identity, Scope

DAY_MS = 86_400_000


class Membership(Struct, frozen=True):
    """Somebody who is signed in, in one of his workspaces; or an API key (`scope`) there. A workspace's own key stands
    for no person: `user_id` is the key's id then."""

    user_id: str
    workspace: Workspace
    scope: Scope | None = None
    is_person: bool = True

    @property
    def workspace_id(self) -> str:
        return self.workspace.id

    @property
    def actor(self) -> str:
        """How the history names him."""
        return f"{'user' if self.is_person else 'key'}:{self.user_id}"

    @property
    def permissions(self) -> frozenset[str]:
        """Those of the role, as far as the key goes."""
        if not self.is_person:
            return self.scope.permissions if self.scope else frozenset()
        own = granted(self.workspace)
        return own & self.scope.permissions if self.scope and self.scope.permissions else own

    def require(self, permission: str) -> None:
        """Raises `Forbidden` without the permission."""
        if permission in self.permissions:
            return
        if self.scope:
            raise Forbidden(f"This API key has no permission {permission}.")
        raise Forbidden(f"A {self.workspace.role} of this workspace has no permission {permission}.")

    def require_gift(self, role: str, permissions: frozenset[str]) -> None:
        """Raises `Forbidden` for a role that is more than one's own."""
        granter = self.workspace.role if self.scope is None else ""
        if not may_give(granter, self.permissions, role, permissions):
            whose = "This API key" if self.scope else f"A {self.workspace.role}"
            raise Forbidden(f"{whose} cannot give or take the role {role}.")

    def caller(self) -> Caller:
        """The identity of calls to the execution plane on his behalf."""
        return Caller(self.workspace_id, self.permissions, self.actor)


def granted(workspace: Workspace) -> frozenset[str]:
    """What somebody's role allows in this workspace."""
    return permissions_of(workspace.role) if workspace.grants is None else frozenset(workspace.grants)


class Workspaces:
    """Workspaces and members. Another tenant's workspace is not there, whoever asks. `only_verified`: nobody becomes a
    member by an address that he has not verified, so it has to be one where mails can."""

    def __init__(
        self, store: WorkspaceStore, users: UserStore, clock: Clock, *, only_verified: bool = False,
        restore_days: int = 30,
    ) -> None:  # fmt: skip
        self._restore_days = restore_days
        self._store = store
        self._users = users
        self._clock = clock
        self._only_verified = only_verified
        self._entering = Together(self._enter)

    async def membership(self, user_id: str, workspace_id: str) -> Membership:
        """Raises `NotFound` where there is no such workspace, or the user is no member of it."""
        found = await self._store.get(workspace_id, user_id) if is_uuid(workspace_id) else None
        if found is None:
            raise NotFound("There is no such workspace.")
        return Membership(user_id, found)

    async def enter(self, identity: Identity, workspace_id: str) -> Membership:
        """As `membership`, for whoever calls. Raises `Unauthenticated` where the session is over."""
        scope = identity.scope
        if not is_uuid(workspace_id) or (scope and scope.workspace_id not in ("", workspace_id)):
            raise NotFound("There is no such workspace.")
        if scope is None:
            alive, found = await self._entered(Entering(workspace_id, identity.user_id, identity.family))
            if not alive:
                raise Unauthenticated("This session is over. Sign in again.")
        elif identity.user_id:
            found = await self._store.get(workspace_id, identity.user_id)
        else:
            found = await self._store.plain(workspace_id)
        if found is None:
            raise NotFound("There is no such workspace.")
        if not identity.user_id and scope:
            return Membership(scope.key_id, found, scope, is_person=False)
        return Membership(identity.user_id, found, scope)

    async def _entered(self, who: Entering) -> tuple[bool, Workspace | None]:
        """Read after it was asked for, with those who ask at the same time."""
        return await self._entering.find(" ".join(who)) or (False, None)

    async def _enter(self, keys: Sequence[str]) -> dict[str, tuple[bool, Workspace | None]]:
        return dict(zip(keys, await self._store.enter([Entering(*key.split(" ")) for key in keys]), strict=True))

    async def of(self, identity: Identity) -> list[Workspace]:
        """Those that the caller may enter."""
        scope = identity.scope
        if not identity.user_id:
            found = await self._store.plain(scope.workspace_id) if scope else None
            return [found] if found else []
        mine = await self._store.of_user(identity.user_id)
        return [one for one in mine if not scope or scope.workspace_id in ("", one.id)]

    async def of_user(self, user_id: str) -> list[Workspace]:
        return await self._store.of_user(user_id)

    async def create(self, user_id: str, name: str) -> Workspace:
        now = self._clock.now_ms()
        id = uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        audit.about("workspace", id, workspace_id=id)
        audit.changed(None, {"name": name})
        await self._store.add(id, name, user_id, now)
        return Workspace(id, name, "owner", now, now)

    async def rename(self, who: Membership, name: str) -> Workspace:
        now = self._clock.now_ms()
        await self._store.rename(who.workspace_id, name, now)
        return structs.replace(who.workspace, name=name, updated_at=now)

    async def delete(self, who: Membership) -> int:
        """Switch everything off and hide it. Runs under way end by themselves; when it cannot be restored any more, the
        rest is ended and all of it purged (services/history/purging.py). Returns until when (ms) that is."""
        now = self._clock.now_ms()
        await self._store.delete(who.workspace_id, now)
        return now + self._restore_days * DAY_MS

    async def deleted(self, user_id: str) -> list[Deleted]:
        """Those that somebody may restore."""
        return await self._store.deleted(user_id, self._restore_days * DAY_MS)

    async def restore(self, user_id: str, workspace_id: str) -> int:
        """Bring one back, with everything in it but switched off; how many workflows came along. Only an owner can,
        and only until its purge has begun: else `NotFound`."""
        now = self._clock.now_ms()
        audit.about("workspace", workspace_id, workspace_id=workspace_id if is_uuid(workspace_id) else "")
        audit.changed({"deleted": True}, {"deleted": False})
        came = await self._store.restore(workspace_id, user_id, now) if is_uuid(workspace_id) else None
        if came is None:
            raise NotFound("There is no such workspace of yours that could be restored.")
        return came

    async def members(self, who: Membership) -> list[Member]:
        return await self._store.members(who.workspace_id)

    async def add_member(self, who: Membership, email: str, role: str) -> Member:
        """Take in somebody who has an account. Raises `Conflict` where he is in already."""
        user = await self._users.by_email(email)
        if user is None or (self._only_verified and not user.email_verified_at):
            # In the same words: whoever registers somebody else's address must not be taken for him.
            unknown = Problem("/email", "unknown", "Nobody has registered with this e-mail address yet: invite him.")
            raise InvalidInput("There is no such account.", problems=[unknown])
        if any(member.user_id == user.id for member in await self._store.members(who.workspace_id)):
            raise Conflict("This person is a member already.")
        found = await self.role(who, role)
        audit.about("member", user.id)
        audit.changed(None, {"email": user.email, "role": found.name})
        return await self._put(who, user, found)

    async def set_role(self, who: Membership, user_id: str, role: str) -> Member:
        member = await self.member(who, user_id)
        self._check_rank(who, member)
        found = await self.role(who, role)
        audit.about("member", user_id)
        audit.changed({"role": member.role}, {"role": found.name})
        user = User(member.user_id, member.email, member.first_name, member.last_name, "", 0)
        return await self._put(who, user, found)

    async def remove_member(self, who: Membership, user_id: str) -> Member:
        member = await self.member(who, user_id)
        self._check_rank(who, member)
        audit.about("member", user_id)
        audit.changed({"email": member.email, "role": member.role}, None)
        await self._remove(who, user_id)
        return member

    async def leave(self, who: Membership) -> None:
        if not who.is_person:
            raise Conflict("A workspace's own key is no member of it: revoke it.")
        audit.about("member", who.user_id)
        audit.changed({"role": who.workspace.role}, None)
        await self._remove(who, who.user_id)

    async def member(self, who: Membership, user_id: str) -> Member:
        """Raises `NotFound`."""
        for member in await self._store.members(who.workspace_id):
            if member.user_id == user_id:
                return member
        raise NotFound("There is no such member.")

    async def role(self, who: Membership, name: str) -> OwnRole:
        """A role by its name, built in (`id` empty) or the workspace's own, which `who` may give. Raises
        `InvalidInput`, `Forbidden`."""
        if name in ROLES:
            found = OwnRole("", name, permissions_of(name))
        else:
            own = await self._store.own_role(who.workspace_id, name)
            if own is None:
                known = f"There is no role {name!r}. Built in are {', '.join(ROLES)}; see GET …/roles."
                raise InvalidInput("There is no such role.", problems=[Problem("/role", "unknown_role", known)])
            found = own
        who.require_gift(found.name, found.permissions)
        return found

    @staticmethod
    def _check_rank(who: Membership, member: Member) -> None:
        has = permissions_of(member.role) if member.grants is None else frozenset(member.grants)
        who.require_gift(member.role, has)

    async def _put(self, who: Membership, user: User, role: OwnRole) -> Member:
        now = self._clock.now_ms()
        base = "viewer" if role.id else role.name
        if not await self._store.put_member(who.workspace_id, user.id, base, now, role.id):
            raise Conflict("A workspace needs an owner. Make somebody else owner first.")
        grants = tuple(sorted(role.permissions)) if role.id else None
        return Member(user.id, user.email, user.first_name, user.last_name, role.name, now, grants)

    async def _remove(self, who: Membership, user_id: str) -> None:
        if not await self._store.remove_member(who.workspace_id, user_id):
            raise Conflict("A workspace needs an owner. Make somebody else owner first.")
