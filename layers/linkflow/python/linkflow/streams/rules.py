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

    async def set(self, queue: str, rules: Sequence[QueueRule]) -> None:
        """Set rules; one without weight and rate is no rule any more."""
        await self._write(f"{home(self._prefix, queue)}:rules", rules, 1)

    async def spread(self, queue: str, places: Sequence[Place]) -> None:
        """Renew the copies beside the partitions of a cluster."""
        if self._clients.cluster:
            rules = await self.of(queue)
            for place in places:
                key = f"{tag(self._prefix, place)}:rules"
                with reachable():
                    await self._clients.commands.execute_command("DEL", key)
                await self._write(key, rules, len(places))

    async def _write(self, key: str, rules: Sequence[QueueRule], parts: int) -> None:
        for rule in rules:
            name = _name(rule)
            with reachable():
                if (rule.weight, rule.rate) == (PLAIN.weight, PLAIN.rate):
                    await self._clients.commands.execute_command("HDEL", key, name)
                else:
                    burst = max(1, rule.burst // parts) if rule.burst else 0
                    text = f"{rule.weight!r} {rule.rate / parts!r} {burst}"
                    await self._clients.commands.execute_command("HSET", key, name, text)


def _name(rule: QueueRule) -> str:
    return f"{word(rule.workspace_id)}:{word(rule.fairness)}" if rule.fairness else word(rule.workspace_id)


def _parse(name: str, text: str) -> QueueRule:
    workspace, _, key = name.partition(":")
    weight, rate, burst = text.split()
    return QueueRule(unquote(workspace), unquote(key), float(weight), float(rate), int(burst))
