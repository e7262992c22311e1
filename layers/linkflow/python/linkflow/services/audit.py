"""The audit log: who changed what, from where, and what it was before.

A request that may change something has an `Entry` in its context from its first line on. A store writes it in the
transaction of the change (`postgres.audit_log.recorded`); what no store has written, because the change is elsewhere,
is written right after it. `changed` adds what it was and what it is: secrets never get that far.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

MOST_CHANGES, LONGEST = 200, 500
"""Changes of one entry, and characters of one value: what is longer is cut."""

HIDDEN = "(secret)"
_SECRET = re.compile(
    r"pass(word|phrase|wd)?|secret|token|api_?key|private_?key|credential_?data|authorization|cookie|hash$|^key$"
    r"|header_value|signature|recovery_codes|client_secret|^data$",
    re.IGNORECASE,
)


class Change(Struct, frozen=True, rename={"was": "from", "now": "to"}):
    """`path` is a JSON Pointer into the thing. `was` is null where it was not there, `now` where it is gone."""

    path: str
    was: Any = None
    now: Any = None


class Entry(Struct):
    """What is on record of one request, filled in as it goes along."""

    action: str
    actor: str = ""
    via: str = "public"
    via_id: str = ""
    workspace_id: str = ""
    user_id: str = ""
    target_type: str = ""
    target_id: str = ""
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""
    changes: tuple[Change, ...] = ()
    written: bool = False
    asked: Callable[[], tuple[Change, ...]] = tuple
    """What was asked for: told where nobody has said what it was and what it is."""

    def told(self) -> tuple[Change, ...]:
        return self.changes or self.asked()


class Line(Struct, frozen=True):
    """An entry as it is stored. `id` is a UUIDv7, which has the time."""

    id: str
    workspace_id: str
    user_id: str
    actor: str
    actor_name: str
    via: str
    via_id: str
    action: str
    target_type: str
    target_id: str
    ip: str
    user_agent: str
    request_id: str
    changes: bytes


class Asked(Struct, frozen=True):
    """What one wants to see, newest first; what is left empty does not narrow. Times are ms."""

    workspace_id: str = ""
    user_id: str = ""
    actor: str = ""
    action: str = ""
    target_id: str = ""
    after: int = 0
    before: int = 0
    cursor: str = ""
    limit: int = 100


class AuditStore(Protocol):
    async def write(self, entry: Entry, id: str) -> None: ...
    async def read(self, asked: Asked) -> list[Line]: ...


_current: ContextVar[Entry | None] = ContextVar("linkflow_audit", default=None)


@contextmanager
def recording(entry: Entry) -> Iterator[Entry]:
    """Until the end, this is the entry of whatever is done here."""
    token = _current.set(entry)
    try:
        yield entry
    finally:
        _current.reset(token)


def current() -> Entry | None:
    return _current.get()


def about(kind: str, id: str, *, user_id: str = "", workspace_id: str = "", action: str = "") -> None:
    """Say what the request is about, where its address does not."""
    entry = _current.get()
    if entry is None:
        return
    entry.target_type, entry.target_id = kind, id
    entry.user_id = user_id or entry.user_id
    entry.workspace_id = workspace_id or entry.workspace_id
    entry.action = action or entry.action
    if user_id and not entry.actor:
        entry.actor = f"user:{user_id}"


def changed(before: Any, after: Any) -> None:
    """Say what it was and what it is: structs, dicts or None."""
    if (entry := _current.get()) is not None:
        entry.changes = tuple(difference(before, after))[:MOST_CHANGES]


def difference(before: Any, after: Any) -> list[Change]:
    """What differs, by JSON Pointer. Lists of things with an id are compared by it. Values under names that may be
    secrets' are said to have changed, and no more."""
    was, now = (None if value is None else msgspec.to_builtins(value) for value in (before, after))
    return list(_differences("", was, now, False))


def _differences(path: str, was: Any, now: Any, secret: bool) -> Iterator[Change]:
    if was == now:
        return
    if _by_name(was) is not None or _by_name(now) is not None:
        olds, news = _by_name(was) or {}, _by_name(now) or {}
        if (was is None or _by_name(was) is not None) and (now is None or _by_name(now) is not None):
            for name in sorted({*olds, *news}):
                hidden = secret or bool(_SECRET.search(name))
                place = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
                yield from _differences(place, olds.get(name), news.get(name), hidden)
            return
    yield Change(path, _told(was, secret), _told(now, secret))


def _by_name(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "id" in one for one in value):
        return {str(one["id"]): one for one in value}
    return None


def _told(value: Any, secret: bool) -> Any:
    if value in (None, ""):
        return None
    if secret:
        return HIDDEN
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST] + "…"
    if isinstance(value, list | dict):
        text = msgspec.json.encode(value)
        return value if len(text) <= LONGEST and not _SECRET.search(text.decode()) else f"({len(value)} entries)"
    return value


class Audit:
    """Reading the log, and writing what no store has written."""

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def write(self, entry: Entry) -> None:
        await self._store.write(entry, new_id(self._clock))
        entry.written = True

    async def note(self, action: str, user_id: str, **more: Any) -> None:
        """Write an entry of its own beside the request's, such as that of a failed sign-in."""
        now = _current.get() or Entry(action)
        said = Entry(
            action, actor=f"user:{user_id}", via=now.via, user_id=user_id, target_type="user", target_id=user_id,
            ip=now.ip, user_agent=now.user_agent, request_id=now.request_id,
            changes=tuple(difference(None, more)) if more else (),
        )  # fmt: skip
        await self._store.write(said, new_id(self._clock))

    async def of_workspace(self, workspace_id: str, asked: Asked) -> list[Line]:
        return await self._store.read(msgspec.structs.replace(checked(asked), workspace_id=workspace_id))

    async def of_account(self, user_id: str, asked: Asked) -> list[Line]:
        """What was done to one's account: sign-ins, keys, passwords."""
        return await self._store.read(msgspec.structs.replace(checked(asked), user_id=user_id, workspace_id=""))


def checked(asked: Asked) -> Asked:
    """Raises `InvalidInput` for a cursor that no page has handed out."""
    if asked.cursor and not is_uuid(asked.cursor):
        fault = Problem("/cursor", "bad_cursor", "Use a page's meta.next_cursor.")
        raise InvalidInput("This is no cursor.", problems=[fault])
    return asked


def new_id(clock: Clock) -> str:
    return uuid7(clock.now_ms(), clock.rand_bits(12), clock.rand_bits(62))
