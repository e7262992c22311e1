"""Who may do what: the permission matrix, as data. The roles and names are the original's."""

from __future__ import annotations

VIEWER = frozenset(
    {
        "workspace.view",
        "member.view",
        "workflow.view",
        "credential.view",
        "execution.view",
        "webhook.view",
        "variable.view",
        "tag.view",
        "environment.view",
    }
)

MEMBER = VIEWER | {
    "workflow.create",
    "workflow.update",
    "workflow.execute",
    "workflow.export",
    *(f"{thing}.{verb}" for thing in ("credential", "webhook", "variable", "tag") for verb in ("create", "update")),
}

ADMIN = MEMBER | {
    "workspace.update",
    "member.invite",
    "member.update",
    "member.remove",
    "workflow.delete",
    "workflow.activate",
    "workflow.import",
    "credential.delete",
    "webhook.delete",
    "variable.delete",
    "tag.delete",
    "execution.delete",
    "queue.limit",
    "egress.update",
    "audit.view",
    "key.view",
    "key.manage",
    "role.manage",
    "environment.create",
    "environment.deploy",
}

OWNER = ADMIN | {"workspace.delete", "workspace.manage-billing"}

ROLES: dict[str, frozenset[str]] = {"owner": OWNER, "admin": ADMIN, "member": MEMBER, "viewer": VIEWER}
"""Permissions by role, the most powerful role first."""

RANK = {role: rank for rank, role in enumerate(reversed(ROLES))}
"""How high a role stands: nobody gives or takes a role above his own."""

KEPT = OWNER - ADMIN
"""What no role of a workspace's own may have: it stays with the owners."""

WEBHOOK = frozenset({"workflow.execute", "execution.view"})
"""What a webhook may do in its workspace."""


def permissions_of(role: str) -> frozenset[str]:
    """The permissions of a role; none for a role that does not exist."""
    return ROLES.get(role, frozenset())


def may_give(granter: str, has: frozenset[str], role: str, permissions: frozenset[str]) -> bool:
    """Nobody gives or takes what he has not got himself. Owners are made by owners."""
    return granter == "owner" if role == "owner" else permissions <= has
