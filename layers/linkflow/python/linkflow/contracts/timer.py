"""Timer: delays, backoffs, timeouts, schedules. In a container it loops; on Lambda a scheduled event calls `tick`."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class TickRequest(Struct, frozen=True, omit_defaults=True):
    """Fire what is due, and go on while further timers fall due within `seconds`; 0 means one pass."""

    seconds: float = 0.0
    look: bool = False
    """Look at the database also where it is said that nothing wants to be done: the word of something that does may be
    lost."""


class TickReply(Struct, frozen=True):
    timers: int
    schedules: int
    swept: int = 0
    rested: bool = False
    """Nothing was looked at, as it is known that nothing wants to be done."""


class TimerApi(Protocol):
    """Everything that happens because time passes."""

    async def tick(self, request: TickRequest) -> TickReply: ...
