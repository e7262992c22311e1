"""Roles as somebody names them, and as they are kept: built-in ones by name, the workspace's own by id.

A name is no hold: whoever may manage roles can give it to another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from linkflow.domain.errors import Problem

from .people_ports import Role
from .permissions import ROLES


class RoleStore(Protocol):
    async def roles(self, workspace_id: str) -> list[Role]:
        """The workspace's own."""
        ...


async def role_refs(
    store: RoleStore, workspace_id: str, wanted: Sequence[str], before: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[Problem]]:
    """The roles that are wanted, by name or id: what is kept of each, and its name; and a problem at ``/roles/{n}`` for
    each that is not there. What is in `before` (the same) may stay, be it gone or not."""
    before = before or {}
    own = [] if set(wanted) <= ROLES.keys() else await store.roles(workspace_id)
    ids = {one.id: one.name for one in own}
    names = {one.name.lower(): one.id for one in own}
    found: dict[str, str] = {}
    problems = []
    for place, text in enumerate(wanted):
        if text in ROLES:
            found[text] = text
        elif text in ids:
            found[text] = ids[text]
        elif id := names.get(text.lower()):
            found[id] = ids[id]
        elif text in before:
            found[text] = before[text]
        else:
            known = ", ".join((*ROLES, *(one.name for one in own)))
            problems.append(Problem(f"/roles/{place}", "unknown_role", f"There is no such role; there are {known}."))
    return found, problems
