"""Workflows drawn from a seed: calls that fail at first, loops, delays, waits, children, branches that join again.

Each ends with the key that its run was started with, so a run's result says whether it went through all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.e2e.documents import edge, node, workflow

Json = dict[str, Any]
RETRY = {"max_attempts": 50, "initial_interval": 0.03, "backoff_coefficient": 1.2, "max_interval": 0.2}
"""Calls fail because their service is told to, and because processes die; neither ends a run."""


@dataclass
class Drawn:
    """A workflow, how many calls a run of it makes outside (node runs, not attempts), and the events it waits for."""

    document: Json
    calls: int = 0
    waits: tuple[str, ...] = ()


@dataclass
class _Drawing:
    chance: Random
    url: str
    child: Callable[[Json], str] | None
    nodes: list[Json] = field(default_factory=list)
    edges: list[Json] = field(default_factory=list)
    calls: int = 0
    waits: list[str] = field(default_factory=list)

    def add(self, kind: str, config: Json | None = None, **more: Any) -> str:
        id = f"{kind.removeprefix('action_').replace('_', '')}{len(self.nodes)}"
        self.nodes.append(node(id, kind, config, **more))
        return id

    def join(self, source: str, target: str, output: str = "main") -> None:
        self.edges.append(edge(source, target, output))

    def call(self, times: int = 1) -> str:
        self.calls += times
        timeout = {"timeout": {"start_to_close": 30}} if self.chance.random() < 0.3 else {}
        config = {"url": self.url, "method": "POST", "body": {"key": "{{ trigger.key }}"}}
        return self.add("action_http_request", config, retry=RETRY, **timeout)

    def block(self) -> tuple[str, str, str]:
        """Some nodes: the first, the last, and the output of the last that leads on."""
        drawn: Callable[[], tuple[str, str, str]] = self.chance.choice(
            [self.one_call, self.one_call, self.pure, self.delay, self.loop, self.wait, self.sub, self.fork]
        )
        return drawn()

    def one_call(self) -> tuple[str, str, str]:
        id = self.call()
        return id, id, "main"

    def pure(self) -> tuple[str, str, str]:
        first, last = self.add("noop"), self.add("transform", {"fields": {"n": 1}, "keep": False})
        self.join(first, last)
        return first, last, "main"

    def delay(self) -> tuple[str, str, str]:
        id = self.add("delay", {"milliseconds": self.chance.randint(1, 150)})
        return id, id, "main"

    def loop(self) -> tuple[str, str, str]:
        count = self.chance.randint(1, 4)
        id = self.add("loop", {"items": list(range(count)), "concurrency": self.chance.randint(0, 3)})
        inner = self.call(count) if self.chance.random() < 0.6 else self.delay()[0]
        after = self.add("noop")
        self.join(id, inner, "each")
        self.join(inner, after)
        return id, id, "done"

    def wait(self) -> tuple[str, str, str]:
        name = f"go{len(self.nodes)}"
        self.waits.append(name)
        id = self.add("wait_for_event", {"event": name, "key": "{{ trigger.key }}", "timeout": 60})
        return id, id, "main"

    def sub(self) -> tuple[str, str, str]:
        if self.child is None:
            return self.delay()
        inner = _Drawing(self.chance, self.url, None)
        drawn = inner.draw([inner.one_call, self.chance.choice([inner.pure, inner.delay])])
        self.calls += drawn.calls
        config = {"workflow_id": self.child(drawn.document), "input": {"key": "{{ trigger.key }}"}}
        id = self.add("sub_workflow", config)
        return id, id, "main"

    def fork(self) -> tuple[str, str, str]:
        first, last = self.add("noop"), self.add("noop")
        for _ in range(2):
            head, tail, output = self.chance.choice([self.one_call, self.delay, self.pure])()
            self.join(first, head)
            self.join(tail, last, output)
        return first, last, "main"

    def draw(self, blocks: list[Callable[[], tuple[str, str, str]]]) -> Drawn:
        last, output = self.add("trigger_manual"), "main"
        for each in blocks:
            head, tail, onward = each()
            self.join(last, head, output)
            last, output = tail, onward
        out = self.add("transform", {"keep": False, "fields": {"answer": "{{ trigger.key }}"}})
        self.join(last, out, output)
        return Drawn(workflow(*self.nodes, edges=self.edges), self.calls, tuple(self.waits))


def draw(chance: Random, url: str, child: Callable[[Json], str], blocks: int = 3) -> Drawn:
    """A workflow with one call at least and up to `blocks` other blocks; `child` saves a sub-workflow, and names it."""
    drawing = _Drawing(chance, url, child)
    chosen = [drawing.block for _ in range(chance.randint(1, blocks))]
    chosen.insert(chance.randint(0, len(chosen)), drawing.one_call)
    return drawing.draw(chosen)
