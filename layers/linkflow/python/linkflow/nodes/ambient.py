"""The worker's own AWS role, for operators who let workflows use it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from linkflow.nodes.base import NodeFailure

_session: Any = None


async def keys() -> dict[str, str]:
    """Keys of the role that this process runs as. Raises `NodeFailure` ``no_credential`` where it has none."""
    found = await asyncio.to_thread(_ask)
    if not found:
        text = "The worker has no AWS role, though its connection `aws` says that workflows use it."
        raise NodeFailure("no_credential", text, retryable=False)
    return found


def _ask() -> dict[str, str]:
    """boto3 knows all the places where a role's keys are found, and renews them."""
    global _session
    try:
        import boto3
    except ImportError:  # without it: what the environment says
        names = ("access_key_id", "secret_access_key", "session_token")
        found = {name: os.environ.get(f"AWS_{name.upper()}", "") for name in names}
        return found if found["access_key_id"] and found["secret_access_key"] else {}
    if _session is None:
        _session = boto3.session.Session()
    held = _session.get_credentials()
    if held is None:
        return {}
    frozen = held.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "session_token": frozen.token or "",
    }
