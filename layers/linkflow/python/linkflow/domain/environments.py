"""Environments of a workspace: where which version of a workflow runs.

`PRODUCTION` is there always, and is stored as the empty name: what belongs to it looks as it did before there were
environments. Triggers of the others are kept under a key of node and environment.
"""

from __future__ import annotations

import re

PRODUCTION = "production"
MOST = 20
"""Environments of a workspace, besides `PRODUCTION`."""

BETWEEN = "\x1f"
"""Between node and environment in a trigger's key; no id of a node has it."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?")


def is_name(name: str) -> bool:
    """Lower-case letters, digits, ``-`` and ``_``, up to 40."""
    return _NAME.fullmatch(name) is not None


def stored(name: str) -> str:
    """How an environment is written down."""
    return "" if name == PRODUCTION else name


def shown(environment: str) -> str:
    """What people call it."""
    return environment or PRODUCTION


def trigger_key(node_id: str, environment: str) -> str:
    """The key of a trigger's row."""
    return f"{node_id}{BETWEEN}{environment}" if environment else node_id


def trigger_of(key: str) -> tuple[str, str]:
    """Node and environment of a trigger's row."""
    node_id, _, environment = key.partition(BETWEEN)
    return node_id, environment
