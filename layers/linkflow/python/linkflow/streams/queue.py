"""The task queue on Redis Streams (`ports.TaskQueue`).

Four things differ from the usual loop of XREADGROUP, XACK and XAUTOCLAIM, each for a reason:

- A claim is one script that reads **and** writes the lease. Nothing can be read and not leased, so there is nothing to
  repair after a crash in between, and owner and deadline are there from the start.
- The lease is ours and renewable, in the server's time. A consumer group's list of pending entries (idle time, one
  consumer a worker for ever) would say the same a second time and less well; a stream's cursor is all we need of it.
- A partition is many streams, one for each line of a workspace, that take turns (`lua/turns.lua`). A stream exists only
  while it has tasks.
- Waiting is done on a bell and not by a blocking XREADGROUP. A reader that is cancelled or dies while it waits can lose
  a ring (the others look again within a second), never a task. One ring wakes one worker, and whoever leaves something
  behind rings again, so a fleet does not stampede.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from linkflow.contracts.history import Task
from linkflow.contracts.matching import DeadLetter, Lease, QueueRule, QueueSettings, QueueStats
from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Open, Visit

from .connection import Clients, reachable
from .copies import Copies
from .invitations import StreamInvitations
from .letters import Letters
from .partition import Held, Place, deliveries_of, home, line_of, parse, tag, token, word
from .rules import Rules
from .scripts import Call, Script
from .shapes import Shape, Shapes

RECHECK = 1.0
"""Seconds after which a waiting claim looks by itself: the price of a lost ring."""
BELIEVED = RECHECK + 1.5
"""Seconds for which a worker that asked for work counts as there. It asks again within `RECHECK` while it waits; one
that was killed, or is too busy to ask, is counted on no longer."""
PATIENCE = 5.0
"""Seconds for which the last worker stays, where a rate holds tasks back for no longer."""
STICKY = 0.2
"""Seconds for which a task is kept for the worker that it is meant for."""
MOST_AT_ONCE = 500
"""Tasks in one run of a script: it holds the server for a few ms at most."""
AGE_LOOKS = 100
"""Workspaces in which the oldest waiting task is looked for."""
DEAD_KEPT = 1_000
"""Dead letters kept per workspace and partition; the failure itself stays in the execution's history."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class StreamQueue:
    """Task queues with `partitions` partitions each, unless configured otherwise. Raises `Unavailable` while the store
    does not answer.

    Delivery is at least once: a task is taken over when its lease ran out, and becomes a dead letter after
    `max_deliveries` deliveries. Workspaces take turns, so a long backlog of one delays nobody else's first task; the
    priorities (> 0 before 0 before < 0) order the tasks of one workspace in one partition.
    """

    def __init__(self, clients: Clients, *, partitions: int, max_deliveries: int, prefix: str = "lf") -> None:
        self._clients = clients
        self._max_deliveries = max_deliveries
        self._prefix = prefix
        self._turn = 0
        self._behind: set[str] = set()
        self._background: set[asyncio.Task[Any]] = set()
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Task).decode
        self._add = Script("add", "turns")
        self._claim = Script("claim", "rules", "turns", "rooms")
        self._reclaim = Script("reclaim", "turns", "graves")
        self._heartbeat = Script("heartbeat")
        self._release = Script("release", "turns")
        self._open = Script("open", "turns")
        self._crowd = Script("crowd")
        self._stats = Script("stats", "turns")
        self._has = Script("has")
        self._letters = Letters(clients, prefix)
        self._shapes = Shapes(clients, prefix, partitions)
        self._rules = Rules(clients, prefix)
        self.copies = Copies(clients, prefix, self._shapes, self._rules)
        self.invitations = StreamInvitations(clients, self._keys)

    async def add(self, tasks: Sequence[Task]) -> int:
        """Queue tasks; returns how many were new. Safe to repeat after `Unavailable`."""
        groups: dict[Place, list[Any]] = {}
        shapes = {queue: await self._shapes.of(queue) for queue in {task.queue for task in tasks}}
        if any(len(shape.spans) > 1 for shape in shapes.values()):
            tasks = await self._not_earlier(tasks, shapes)
        for task in tasks:
            place = shapes[task.queue].place(task)
            groups.setdefault(place, []).extend((line_of(task), task.id, self._encode(task)))
        calls = [
            ([self._tag(place)], [_ms(STICKY), *args[start : start + 3 * MOST_AT_ONCE]])
            for place, args in groups.items()
            for start in range(0, len(args), 3 * MOST_AT_ONCE)
        ]
        await self._letters.know(place.queue for place in groups)
        return sum(await self._run_all(self._add, calls))

    async def _not_earlier(self, tasks: Sequence[Task], shapes: Mapping[str, Shape]) -> list[Task]:
        """Those that do not wait or run in a partition from before their queue's last change."""
        places = [(task, place) for task in tasks for place in shapes[task.queue].earlier(task)]
        found = await self._run_all(self._has, [([self._tag(place)], [task.id]) for task, place in places])
        there = {task.id for (task, _), known in zip(places, found, strict=True) if known}
        return [task for task in tasks if task.id not in there]

    async def claim(
        self, queues: Sequence[str], worker: str, limit: int, wait: float, lease: float, visit: Visit | None = None
    ) -> list[Lease]:
        """Lease up to `limit` tasks for `lease` seconds, waiting up to `wait` seconds for the first one. One that is
        leaving waits for none.

        A cancelled claim gives back what it had just been given.
        """
        visit = visit or Visit()
        deadline = time.monotonic() + wait
        while True:
            left = max(0.0, deadline - time.monotonic())
            work = self._take(queues, worker, min(limit, MOST_AT_ONCE), left, lease, visit)
            leases, ready = await self._kept(work, lambda taken: taken[0])
            if leases or left <= 0 or limit <= 0 or visit.leaving:
                return leases
            await self._wait_for_ring(queues, worker, min(left, RECHECK, ready / 1000 if ready >= 0 else RECHECK))

    def left_behind(self) -> frozenset[str]:
        """Queues in which claims of this process have left tasks that nobody there will take. Told once."""
        if not self._behind:
            return frozenset()
        found = frozenset(self._behind)
        self._behind.clear()
        return found

    def queues_of(self, tokens: Sequence[str]) -> frozenset[str]:
        """The queues whose tasks these leases are of."""
        return frozenset(held.place.queue for held in map(parse, tokens) if held)

    async def reclaim(
        self, queues: Sequence[str], worker: str, limit: int, lease: float
    ) -> tuple[list[Lease], list[Lease]]:
        """Take over up to `limit` tasks whose lease ran out; returns those claimed and those that are dead now."""
        work = self._take_over(queues, worker, min(limit, MOST_AT_ONCE), lease)
        return await self._kept(work, lambda found: found[0])

    async def heartbeat(self, worker: str, tokens: Sequence[str], lease: float) -> list[str]:
        """Renew for `lease` seconds from now, also after the deadline while nobody took the task over; returns the
        tokens whose lease is lost or somebody else's."""
        suffix = f"/{word(worker)}"
        groups = _by_place(tokens, lambda held: held.lease.endswith(suffix))
        args = [([self._tag(place)], [word(worker), _ms(lease), *group.values()]) for place, group in groups.items()]
        replies = await self._run_all(self._heartbeat, args)
        kept = {
            text
            for group, reply in zip(groups.values(), replies, strict=True)
            for text, held in zip(group, reply, strict=True)
            if held
        }
        return [text for text in tokens if text not in kept]

    async def release(self, done: Sequence[str], back: Sequence[str]) -> int:
        """End leases: `done` are removed, `back` wait again at the end of the queue, and that delivery does not count.
        Returns how many were still held; the others are left alone."""
        groups: dict[Place, list[str]] = {}
        for verb, tokens in (("done", done), ("back", back)):
            for held in filter(None, map(parse, tokens)):
                groups.setdefault(held.place, []).extend((verb, held.member))
        calls = [([self._tag(place)], args) for place, args in groups.items()]
        return sum(await self._run_all(self._release, calls))

    async def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        """The numbers of every partition. The oldest task is looked for among `AGE_LOOKS` workspaces of each."""
        places = await self._places(queues, drained=True)
        rows = await self._run_all(self._stats, [([self._tag(place)], (AGE_LOOKS,)) for place in places])
        return [QueueStats(*place, *row) for place, row in zip(places, rows, strict=True)]

    async def names(self) -> list[str]:
        """Queues that have been in use."""
        return await self._letters.queues()

    async def places(self, queues: Sequence[str]) -> dict[str, int]:
        """Workers that are there, and how many more tasks each would take."""
        return await self.invitations.there(queues)

    async def open_of(self, workspace_id: str, queues: Sequence[str]) -> dict[str, Open]:
        """A workspace's tasks in these queues; those that have none are absent."""
        found: dict[str, Open] = {}
        places = await self._places(queues)
        args = (word(workspace_id),)
        rows = await self._run_all(self._open, [([self._tag(place)], args) for place in places])
        for place, (tasks, oldest) in zip(places, rows, strict=True):
            if tasks:
                was = found.get(place.queue, Open(0))
                found[place.queue] = Open(was.tasks + tasks, max(was.oldest_ms, oldest))
        return found

    async def crowding(self, queue: str, bound: int) -> frozenset[str]:
        """Workspaces with more than their share in a partition that has more than `bound` tasks."""
        places = await self._places([queue])
        rows = await self._run_all(self._crowd, [([self._tag(place)], (bound,)) for place in places])
        return frozenset(unquote(name.decode()) for row in rows for name in row)

    async def dead_letters(self, queue: str, limit: int) -> list[DeadLetter]:
        """The newest dead letters of a queue, newest first."""
        return await self._letters.newest(await self._places([queue], drained=True), limit)

    async def letters(self, workspace_id: str, limit: int, before: str = "") -> list[DeadLetter]:
        """A workspace's dead letters in all queues, newest first, after the one whose id is `before`."""
        places = await self._places(await self._letters.queues(), drained=True)
        return await self._letters.newest(places, limit, workspace_id, before)

    async def find_letters(self, workspace_id: str, ids: Sequence[str]) -> list[DeadLetter]:
        """Those of a workspace's dead letters that exist."""
        return await self._letters.find(workspace_id, ids)

    async def drop_letters(self, workspace_id: str, ids: Sequence[str], execution_id: str = "") -> int:
        """Drop dead letters, and all those of an execution; returns how many there were."""
        places = await self._places(await self._letters.queues(), drained=True) if execution_id else []
        return await self._letters.drop(workspace_id, ids, [("run", execution_id, place) for place in places])

    async def purge_letters(self, workspace_id: str) -> int:
        """Drop all of a workspace's dead letters; returns how many there were."""
        places = await self._places(await self._letters.queues(), drained=True)
        return await self._letters.drop(workspace_id, (), [("all", "", place) for place in places])

    async def settings(self, queue: str) -> QueueSettings:
        """How a queue is set up now."""
        shape = await self._shapes.of(queue)
        draining = sum(span.count for span in shape.spans[:-1] if not span.drained)
        return QueueSettings(queue, shape.spans[-1].count, draining, tuple(await self._rules.of(queue)))

    async def configure(self, queue: str, partitions: int, rules: Sequence[QueueRule]) -> QueueSettings:
        """Change the number of `partitions` (0: leave it) and set `rules`. Other processes follow within a second."""
        shape = await (self._shapes.resize(queue, partitions) if partitions else self._shapes.of(queue))
        await self._rules.set(queue, rules, shape.places(queue))
        return await self.settings(queue)

    async def close(self) -> None:
        """Wait until what cancelled claims had been given is back."""
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _take(
        self, queues: Sequence[str], worker: str, limit: int, wait: float, lease: float, visit: Visit
    ) -> tuple[list[Lease], int]:
        """Leases, and in how many ms something that is held back may go; -1 where nothing is."""
        taken: list[Lease] = []
        ready = -1
        most = visit.places if visit.places >= 0 else limit
        told: dict[int, int] = {}
        rounds = list(await self._rounds(queues))
        for at in (*range(len(rounds)), *range(len(rounds) - 1)):
            got = len(taken)
            if at in told and told[at] == got:
                continue  # it knows how many places are left: only servers of a cluster are told a second time
            places = rounds[at]
            keys = [key for place in places for key in (self._tag(place), self._home(place))]
            leaving = int(visit.leaving and not got)
            args = (
                word(worker), 0 if at in told else limit - got, _ms(lease), _ms(wait), max(0, most - got),
                _ms(BELIEVED), visit.invitation, leaving, _ms(PATIENCE),
            )  # fmt: skip
            until, held_for, left, stay, *items = await self._claim.run(self._clients.commands, keys, args)
            ready = held_for if ready < 0 else min(ready, held_for) if held_for >= 0 else ready
            for index, held, payload in zip(*[iter(items)] * 3, strict=True):
                taken += self._lease(places[index], held, payload, until)
            told[at] = len(taken)
            visit.stays = visit.stays or bool(stay)
            if left:
                self._behind.update(place.queue for place in places)
        return taken, ready

    async def _take_over(
        self, queues: Sequence[str], worker: str, limit: int, lease: float
    ) -> tuple[list[Lease], list[Lease]]:
        claimed: list[Lease] = []
        dead: list[Lease] = []
        for places in await self._rounds(queues):
            room = limit - len(claimed) - len(dead)
            args = (word(worker), room, _ms(lease), self._max_deliveries, DEAD_KEPT)
            at = [self._tag(place) for place in places]
            until, *items = await self._reclaim.run(self._clients.commands, at, args)
            for what, index, held, payload in zip(*[iter(items)] * 4, strict=True):
                (dead if what == b"dead" else claimed).extend(self._lease(places[index], held, payload, until))
        return claimed, dead

    async def _kept(self, work: Coroutine[Any, Any, T], leases: Callable[[T], list[Lease]]) -> T:
        """Await `work`; where the caller is cancelled meanwhile, what it was given goes back when the reply is here."""
        call = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            task = asyncio.create_task(self._give_back(call, leases))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            raise

    async def _give_back(self, call: asyncio.Future[T], leases: Callable[[T], list[Lease]]) -> None:
        try:
            await self.release((), [lease.token for lease in leases(await call)])
        except LinkFlowError as error:
            _log.warning("A cancelled claim's tasks come back when their leases run out: %s", error)

    async def _wait_for_ring(self, queues: Sequence[str], worker: str, seconds: float) -> None:
        if self._clients.cluster:  # one BLPOP cannot wait on several servers
            await asyncio.sleep(min(seconds, 0.05))
            return
        tags = [self._tag(place) for place in await self._places(queues)]
        bells = [bell for tag in tags for bell in (f"{tag}:bell:{word(worker)}", f"{tag}:bell")]
        with reachable():
            await self._clients.blocking.execute_command("BLPOP", *bells, f"{max(seconds, 0.001):.3f}")

    async def _rounds(self, queues: Sequence[str]) -> Iterable[list[Place]]:
        """The partitions of each call, beginning with another one every time, so that none is always the last."""
        places = await self._places(queues)
        self._turn += 1
        start = self._turn % len(places) if places else 0
        places = places[start:] + places[:start]
        if self._clients.cluster:
            return [[place] for place in places]
        return [places] if places else []

    async def _places(self, queues: Sequence[str], *, drained: bool = False) -> list[Place]:
        shapes = [(queue, await self._shapes.of(queue)) for queue in dict.fromkeys(queues)]
        return [place for queue, shape in shapes for place in shape.places(queue, drained=drained)]

    async def _keys(self, queue: str) -> list[list[str]]:
        """Tag and rules' home of a queue's partitions, in one list, or where servers are many in one each."""
        places = await self._places([queue])
        groups = [[place] for place in places] if self._clients.cluster else [places]
        return [[key for place in group for key in (self._tag(place), self._home(place))] for group in groups]

    def _tag(self, place: Place) -> str:
        return tag(self._prefix, place)

    def _home(self, place: Place) -> str:
        """Where the partition's rules are: the queue's own, or a copy beside the partition where servers are many."""
        return self._tag(place) if self._clients.cluster else home(self._prefix, place.queue)

    async def _run_all(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        return await script.run_all(self._clients.commands, calls, one_by_one=self._clients.cluster)

    def _lease(self, place: Place, held: bytes, payload: bytes, until: int) -> list[Lease]:
        """The lease, or nothing for a task that this version cannot read: it runs out, and dies in the end."""
        try:
            task = self._decode(payload)
        except msgspec.MsgspecError as error:
            _log.error("A task in %s partition %d cannot be read: %s", place.queue, place.partition, error)
            return []
        text = held.decode()
        return [Lease(token(place, text), task, deliveries_of(text), until)]


def _by_place(tokens: Sequence[str], mine: Callable[[Held], bool]) -> dict[Place, dict[str, str]]:
    """Tokens and their leases, by partition."""
    groups: dict[Place, dict[str, str]] = {}
    for text in tokens:
        held = parse(text)
        if held is not None and mine(held):
            groups.setdefault(held.place, {})[text] = held.member
    return groups


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
