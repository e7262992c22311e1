"""Commands of operators about task queues, on the stores themselves: queues belong to no workspace."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from linkflow.clock import SystemClock
from linkflow.config import Config
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.matching import ConfigureRequest, QueueRule, QueueSettings, QueuesRequest, QueueView, WorkerSeen
from linkflow.domain.errors import InvalidInput
from linkflow.domain.events import iso

from .admin import on_stores
from .client import say

LATE_MS = 10_000
"""From this age of its oldest task on a queue without workers is said to be served by nobody."""


def list_queues(home: str, as_json: bool) -> int:
    """1 where tasks wait in a queue that nobody serves."""

    async def work(frontend: FrontendApi) -> int:
        views = (await frontend.queues(QueuesRequest())).queues
        if as_json:
            print(json.dumps([_data(view) for view in views], indent=2))
        else:
            print(
                f"{'queue':<24} {'waiting':>9} {'leased':>7} {'dead':>6} {'oldest':>9} {'in/min':>8} {'out/min':>8} "
                f"{'workers':>8} {'parts':>6}"
            )
            for view in views:
                print(_line(view))
        return 1 if any(map(_is_forsaken, views)) else 0

    return _asking(home, work)


def workers(home: str, as_json: bool) -> int:
    """Who has asked for work within the hour."""

    async def work(frontend: FrontendApi) -> int:
        found = (await frontend.queues(QueuesRequest(with_workers=True))).workers
        if as_json:
            print(json.dumps([_worker(one) for one in found], indent=2))
            return 0
        now = SystemClock().now_ms()
        print(f"{'worker':<44} {'last seen':>12} {'places':>7}  queues")
        for one in found:
            age = _age(max(0, now - one.seen_at))
            print(f"{one.name:<44} {age:>8} ago {one.places or '-':>7}  {', '.join(one.queues)}")
        return 0

    return _asking(home, work)


def _worker(one: WorkerSeen) -> Any:
    return {"name": one.name, "queues": list(one.queues), "seen_at": iso(one.seen_at), "places": one.places}


def show(home: str, queue: str, as_json: bool) -> int:
    async def work(frontend: FrontendApi) -> int:
        [view] = (await frontend.queues(QueuesRequest(names=(queue,)))).queues
        print(json.dumps(_data(view), indent=2)) if as_json else _print(view)
        return 0

    return _asking(home, work)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of `set` say; None where nothing."""

    partitions: int | None = None
    backlog: int | None = None
    workspace: str = ""
    key: str = ""
    weight: float | None = None
    rate: float | None = None
    burst: int | None = None


def set_queue(home: str, queue: str, change: Change) -> int:
    """Change the numbers of a queue, and one rule of it: what is not said of the rule stays as it is."""

    async def work(frontend: FrontendApi) -> int:
        [view] = (await frontend.queues(QueuesRequest(names=(queue,)))).queues
        rules = _rule(view.settings, change)
        if not rules and change.partitions is None and change.backlog is None:
            say("Nothing to change: see `linkflow queues set --help`.")
            return 2
        backlog = -1 if change.backlog is None else change.backlog
        request = ConfigureRequest(queue, change.partitions or 0, rules, backlog, actor="operator:cli")
        await frontend.configure(request)
        _print((await frontend.queues(QueuesRequest(names=(queue,)))).queues[0])
        return 0

    return _asking(home, work)


def _rule(settings: QueueSettings, change: Change) -> tuple[QueueRule, ...]:
    said = {
        name: value
        for name, value in (("weight", change.weight), ("rate", change.rate), ("burst", change.burst))
        if value is not None
    }
    if not said:
        return ()
    fresh = QueueRule(change.workspace, change.key)
    name = (change.workspace, change.key)
    was = next((r for r in settings.rules if (r.workspace_id, r.fairness) == name and not r.own), fresh)
    return (msgspec.structs.replace(was, **said),)


def _asking(home: str, work: Callable[[FrontendApi], Awaitable[int]]) -> int:
    return on_stores(home, lambda config: asyncio.run(_ask(config, work)))


async def _ask(config: Config, work: Callable[[FrontendApi], Awaitable[int]]) -> int:
    from linkflow.bootstrap import System

    system = System(config, "queues")
    try:
        system.serve_all(("frontend", "history", "matching"))
        return await work(system.client(FrontendApi))
    except InvalidInput as error:
        for fault in error.problems:
            say(f"{fault.path or '/'}: {fault.message}")
        return 2
    finally:
        await system.close()


def _is_forsaken(view: QueueView) -> bool:
    return not view.workers and not view.invited and bool(view.waiting) and view.oldest_ms >= LATE_MS


def _line(view: QueueView) -> str:
    oldest = _age(view.oldest_ms) if view.waiting else "-"
    parts = f"{view.settings.partitions}" + (f"+{view.settings.draining}" if view.settings.draining else "")
    note = "  nobody serves it" if _is_forsaken(view) else ""
    return (
        f"{view.settings.queue:<24} {view.waiting:>9,} {view.leased:>7,} {view.dead:>6,} {oldest:>9} "
        f"{view.added_per_minute:>8,.1f} {view.taken_per_minute:>8,.1f} {view.workers:>8} {parts:>6}{note}"
    )


def _age(ms: int) -> str:
    seconds = ms / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{math.floor(seconds / 60):,} min"


def _print(view: QueueView) -> None:
    settings = view.settings
    print(_line(view).rstrip())
    if settings.revision:
        print(f"  revision {settings.revision}, last changed by {settings.changed_by}")
    print(f"  backlog: {f'{settings.max_backlog:,} tasks a partition' if settings.max_backlog else 'as configured'}")
    print(f"  live workers have places for {view.places:,} more tasks; {view.invited} workers are on their way")
    if settings.draining:
        print(f"  {settings.draining} earlier partitions still have tasks")
    for rule in settings.rules:
        about = f"workspace {rule.workspace_id}" if rule.workspace_id else "the queue"
        key = f", key {rule.fairness}" if rule.fairness else ""
        rate = f"{rule.rate:g}/s, burst {rule.burst or 'of a second'}" if rule.rate else "no rate"
        whose = " (its own)" if rule.own else ""
        print(f"  {about}{key}: weight {rule.weight:g}, {rate}{whose}")


def _data(view: QueueView) -> Any:
    return msgspec.to_builtins(view)
