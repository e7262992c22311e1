"""Where a node's secrets come from: its credential, or the worker's default connection of that family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linkflow.nodes.base import Context

ANY = "default"
"""The slot of a credential that was given without one, as the original's `credentialId` is."""


def credential(context: Context, slot: str) -> Mapping[str, Any] | None:
    """The credential in `slot`, or the one given without a slot."""
    found = context.credentials.get(slot)
    return context.credentials.get(ANY) if found is None else found


def connection(context: Context, family: str) -> Mapping[str, Any]:
    """The credential in the slot `family`, else the worker's default connection, else nothing."""
    found = credential(context, family)
    return context.connections.get(family, {}) if found is None else found
