"""What the queues' store has of their settings (`ports.SettingsCopies`).

The truth is elsewhere. A mark of one line a queue says which revision of it the store goes by; where the mark is gone
the store was lost, and whoever notices writes the copy anew. While somebody changes the settings the mark says so, for
half a minute at most: then it is gone, and the next one to look writes what the truth has become.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from linkflow.contracts.matching import QueueRule, QueueSettings
from linkflow.ports import Copy

from .connection import Clients, reachable
from .partition import home
from .rules import Rules
from .scripts import Script
from .shapes import Shapes

UNSETTLED_MS = 30_000
_paced = msgspec.json.Decoder(frozenset[tuple[str, str]]).decode
_UNSETTLED = b"changing"


class Copies:
    """Raises `Unavailable` while the store does not answer."""

    def __init__(self, clients: Clients, prefix: str, shapes: Shapes, rules: Rules) -> None:
        self._clients = clients
        self._prefix = prefix
        self._shapes = shapes
        self._rules = rules
        self._mark = Script("copy")

    async def of(self, queue: str) -> Copy | None:
        """What the mark says; None where it is gone."""
        with reachable():
            text = await self._clients.commands.execute_command("GET", self._key(queue))
        if text is None:
            return None
        if text == _UNSETTLED:
            return Copy(0, settled=False)
        revision, bound, *paced = text.split(b" ", 2)
        if not paced:
            return None  # an earlier release's mark
        return Copy(int(revision), int(bound), paced=_paced(paced[0]))

    async def unsettle(self, queue: str) -> None:
        with reachable():
            await self._clients.commands.execute_command("SET", self._key(queue), _UNSETTLED, "PX", UNSETTLED_MS)

    async def put(self, settings: QueueSettings, rules: Sequence[QueueRule]) -> bool:
        """Number of partitions, rules, then the mark. Only rules that differ are touched: the others' rates go on
        from where they are. Of settings that nobody has made there is only the mark.

        False where a later mark is there, or where the store was lost meanwhile, which nobody would see behind a mark.
        """
        queue = settings.queue
        witness = f"{self._key(queue)}ing:{secrets.token_hex(8)}"
        with reachable():
            await self._clients.commands.execute_command("SET", witness, 1, "PX", UNSETTLED_MS)
        if settings.revision:
            shape = await (
                self._shapes.resize(queue, settings.partitions) if settings.partitions else self._shapes.of(queue)
            )
            wanted = {(rule.workspace_id, rule.fairness): rule for rule in rules}
            there = {(rule.workspace_id, rule.fairness): rule for rule in await self._rules.of(queue)}
            gone = [QueueRule(*name) for name in there if name not in wanted]
            other = [rule for name, rule in wanted.items() if there.get(name) != rule]
            await self._rules.set(queue, [*gone, *other], shape.places(queue))
        paced = msgspec.json.encode(sorted((rule.workspace_id, rule.fairness) for rule in rules if rule.rate))
        args = (settings.revision, settings.max_backlog, paced)
        return bool(await self._mark.run(self._clients.commands, [self._key(queue), witness], args))

    def _key(self, queue: str) -> str:
        return f"{home(self._prefix, queue)}:copy"
