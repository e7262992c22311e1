"""The matrix of roles is the original's."""

from __future__ import annotations

import pytest

from linkflow.domain.errors import Forbidden
from linkflow.services.control_ports import Workspace
from linkflow.services.permissions import ADMIN, MEMBER, OWNER, RANK, ROLES, VIEWER, permissions_of
from linkflow.services.workspaces import Membership


def test_sizes():
    assert [len(ROLES[role]) for role in ("owner", "admin", "member", "viewer")] == [43, 41, 21, 9]


def test_each_role_has_all_of_the_one_below():
    assert OWNER > ADMIN > MEMBER > VIEWER
    assert {"workspace.delete", "workspace.manage-billing"} == OWNER - ADMIN
    assert RANK["owner"] > RANK["admin"] > RANK["member"] > RANK["viewer"]


def test_viewers_only_look():
    assert {permission.split(".")[1] for permission in VIEWER} == {"view"}


def test_a_role_that_is_none_may_nothing():
    assert permissions_of("root") == frozenset()


def test_membership():
    member = Membership("u", Workspace("w", "W", "member", 0, 0))
    member.require("workflow.update")
    with pytest.raises(Forbidden, match=r"workflow\.activate"):
        member.require("workflow.activate")
    caller = member.caller()
    assert (caller.workspace_id, caller.actor) == ("w", "user:u")
    assert "workflow.execute" in caller.permissions
    assert "workflow.activate" not in caller.permissions
