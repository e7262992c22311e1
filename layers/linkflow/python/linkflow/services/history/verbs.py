"""The control verbs of a run and their commands."""

from __future__ import annotations

from collections.abc import Callable

from linkflow.contracts.history import ControlRequest
from linkflow.domain import commands as c

VERBS: dict[str, Callable[[ControlRequest], c.Command]] = {
    "cancel": lambda r: c.Cancel(r.actor, r.reason),
    "terminate": lambda r: c.Terminate(r.actor, r.reason),
    "retry": lambda r: c.RetryFailed(r.actor),
    "pause": lambda r: c.Pause(r.actor, r.reason),
    "resume": lambda r: c.Resume(r.actor),
}
