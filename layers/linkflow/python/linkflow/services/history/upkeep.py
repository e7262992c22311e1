"""The sweep: whatever was lost between a commit and what it should have led to is found and done again."""

from __future__ import annotations

from linkflow.contracts.history import SweepReply, SweepRequest
from linkflow.contracts.matching import AddRequest, MatchingApi
from linkflow.ports import Clock, EventStore

from .messages import Messenger
from .world import World


class Sweeper:
    """`republish_after` is how long (ms) something may be under way before it counts as lost."""

    def __init__(
        self, store: EventStore, matching: MatchingApi, messenger: Messenger, world: World, clock: Clock,
        republish_after: int,
    ) -> None:  # fmt: skip
        self._store = store
        self._matching = matching
        self._messenger = messenger
        self._world = world
        self._clock = clock
        self._wait = republish_after

    async def sweep(self, request: SweepRequest) -> SweepReply:
        """Offer tasks, tell messages and deliver kept events that were lost; forget events that nobody took."""
        now, limit = self._clock.now_ms(), request.limit
        tasks = await self._store.lost_tasks(now, self._wait, limit)
        if tasks:
            await self._matching.add(AddRequest(tuple(tasks)))
        messages = await self._store.lost_messages(now, self._wait, limit)
        for message in messages:
            await self._messenger.tell(message)
        events = await self._world.look_again(limit)
        forgotten = await self._store.forget_events(now, limit)
        return SweepReply(len(tasks), len(messages), events, forgotten)
