"""Weights and rates of a queue, of workspaces in it, and of their fairness keys.

They are read by the claim itself (`lua/rules.lua`). In a cluster every partition has a copy beside it, with its part of
the rates: exact where work spreads evenly, and never more than the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from linkflow.contracts.matching import QueueRule

from .connection import Clients, reachable
from .partition import Place, home, tag, word

PLAIN = QueueRule()


class Rules:
    """The rules of all queues. Raises `Unavailable` while the store does not answer."""

    def __init__(self, clients: Clients, prefix: str) -> None:
        self._clients = clients
        self._prefix = prefix

    async def of(self, queue: str) -> list[QueueRule]:
        """A queue's rules, by workspace and key."""
        with reachable():
            rows = await self._clients.commands.execute_command("HGETALL", f"{home(self._prefix, queue)}:rules")
        pairs = rows.items() if isinstance(rows, dict) else zip(*[iter(rows)] * 2, strict=True)
        found = [_parse(name.decode(), text.decode()) for name, text in pairs]
        return sorted(found, key=lambda rule: (rule.workspace_id, rule.fairness))

    async def set(self, queue: str, rules: Sequence[QueueRule], places: Sequence[Place]) -> None:
        """Set rules; one without weight and rate is no rule any more. Renews the copies beside a cluster's partitions,
        and lets all that is held back in `places` be looked at again by the new rules."""
        await self._write(home(self._prefix, queue), rules, 1)
        if self._clients.cluster:
            every = await self.of(queue)
            for place in places:
                beside = tag(self._prefix, place)
                await self._execute("DEL", f"{beside}:rules")
                await self._write(beside, rules, len(places))  # for the buckets of rules that are no more
                await self._write(beside, every, len(places))
        for held in [f"{tag(self._prefix, place)}:held" for place in places] if rules else ():
            await self._execute("ZUNIONSTORE", held, 1, held, "WEIGHTS", 0)

    async def _write(self, at: str, rules: Sequence[QueueRule], parts: int) -> None:
        for rule in rules:
            name = _name(rule)
            await self._execute("DEL", f"{at}:bucket:{name}")
            if (rule.weight, rule.rate) == (PLAIN.weight, PLAIN.rate):
                await self._execute("HDEL", f"{at}:rules", name)
            else:
                burst = max(1, rule.burst // parts) if rule.burst else 0
                await self._execute("HSET", f"{at}:rules", name, f"{rule.weight!r} {rule.rate / parts!r} {burst}")

    async def _execute(self, *command: object) -> None:
        with reachable():
            await self._clients.commands.execute_command(*command)


def _name(rule: QueueRule) -> str:
    return f"{word(rule.workspace_id)}:{word(rule.fairness)}" if rule.fairness else word(rule.workspace_id)


def _parse(name: str, text: str) -> QueueRule:
    workspace, _, key = name.partition(":")
    weight, rate, burst = text.split()
    return QueueRule(unquote(workspace), unquote(key), float(weight), float(rate), int(burst))
