"""Trying node types: their examples, or one input, in a rehearsal without stores."""

from __future__ import annotations

import asyncio
import atexit
import json
from collections.abc import Callable, Mapping
from difflib import unified_diff
from functools import cache, partial
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.config import Config
from linkflow.domain.drawers import Room
from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.importing import read
from linkflow.domain.outcomes import Completed, Failed, Iterate, Outcome, Repeat
from linkflow.domain.state import DONE
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Egress, NodeType
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.registry import Registry
from linkflow.ports import Clock
from linkflow.sandbox.pool import Pool
from linkflow.services.worker.filing import WorkspaceFiles
from linkflow.services.worker.rehearsal import Played, Rehearsal

from .drawer import MemoryFiles
from .stand_in import stand_in

NOW_MS = 1_800_000_000_000
"""When examples run: 2027-01-15T08:00:00Z."""

Connections = Mapping[str, Mapping[str, Any]]


class FixedClock:
    """Implements `linkflow.ports.Clock`: one moment, and the same chance every time."""

    def now_ms(self) -> int:
        return NOW_MS

    def random(self) -> float:
        return 0.25

    def rand_bits(self, bits: int) -> int:
        return (1 << bits) // 3

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Tried(Struct, frozen=True):
    """How an example went: `fault` is empty where it went as it says. `left_out` says why it was not run."""

    name: str
    fault: str = ""
    left_out: str = ""


async def try_example(registry: Registry, node: NodeType, example: Example, servers: Connections) -> Tried:
    """Run an example and compare. `servers` are connections by family, for examples that need one."""
    if example.needs and example.needs not in servers:
        return Tried(example.name, left_out=f"it needs a connection {example.needs!r} (LINKFLOW_CONNECTIONS)")
    connections = {**({example.needs: servers[example.needs]} if example.needs else {}), **example.connections}
    async with stand_in(example.calls) as peer:
        client = EgressClient(peer.egress)
        try:
            document = example.workflow(node.type, node.version)
            definition, _ = read(document, registry)
            rehearsal = Rehearsal(
                registry, FixedClock(), client, connections, scripts=scripts(), files=files(FixedClock())
            )
            played = await rehearsal.play(definition, example.input)
        except InvalidDefinition as error:
            text = "; ".join(f"{problem.path}: {problem.message}" for problem in error.problems)
            return Tried(example.name, f"The workflow is refused: {text}")
        finally:
            await client.aclose()
        faults = [*peer.faults, *(f"nobody called {call.method} {call.url}" for call in peer.left)]
    return Tried(example.name, "\n".join(filter(None, [_difference(example, node, played), *faults])))


def try_refusal(registry: Registry, node: NodeType, refusal: Refusal) -> str:
    """Is this config refused as it says? What is wrong, else nothing."""
    faults = registry.check(node.type, refusal.config, node.version)
    found = [(fault.path, fault.code) for fault in faults if fault.severity == "error"]
    return "" if (refusal.path, refusal.code) in found else f"{refusal.config} gives {found}"


async def try_input(registry: Registry, node: NodeType, config: dict[str, Any], data: Any, egress: Egress,
                    connections: Connections) -> Outcome:  # fmt: skip
    """What the node comes to with this config and input. Raises `InvalidDefinition` for a bad config."""
    example = Example(name="Try", config=config)
    definition, _ = read(example.workflow(node.type, node.version), registry)
    rehearsal = Rehearsal(registry, FixedClock(), egress, connections, scripts=scripts(), files=files(FixedClock()))
    played = await rehearsal.play(definition, data)
    if "it" in played.outcomes:
        return played.outcomes["it"]
    return Completed(output=played.state.trigger)  # a trigger hands on what it was given


def files(clock: Clock) -> Callable[[str], WorkspaceFiles]:
    """Files in memory, of whichever workspace."""
    config = Config()
    room = Room(config.max_file, config.max_files_bytes, config.max_files)
    return partial(WorkspaceFiles, MemoryFiles(), room, clock)


@cache
def scripts() -> Pool:
    """What runs the scripts of examples: one for this process, ended with it."""
    pool = Pool(1)
    atexit.register(pool.shut)
    return pool


def as_text(value: Any) -> str:
    """JSON, indented, with names in order: what two values are compared by."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _difference(example: Example, node: NodeType, played: Played) -> str:
    outcome = played.outcomes.get("it")
    if example.outcome:
        return _compared(example.outcome, msgspec.to_builtins(outcome), ())
    if isinstance(outcome, Failed):
        return f"The node failed: {outcome.error.code}: {outcome.error.message}"
    if outcome is None:  # a trigger
        return _compared(example.output, played.state.trigger, example.varies)
    run = played.state.runs["it"]
    if run.status != DONE:
        others = [
            f"{key}: {other.error.message}" for key, other in played.outcomes.items() if isinstance(other, Failed)
        ]
        return "; ".join(others) or f"The node did not complete; it came to {msgspec.to_builtins(outcome)}."
    ports = outcome.ports if isinstance(outcome, Completed) else ("done",)
    if example.port not in ports and not isinstance(outcome, Iterate | Repeat):
        return f"It took the output {', '.join(ports)}, not {example.port}."
    return _compared(example.output, run.output, example.varies)


def _compared(wanted: Any, found: Any, varies: tuple[str, ...]) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        missing = [name for name in varies if name not in found]
        if missing:
            return f"The output has no {', '.join(missing)}."
        found = {name: value for name, value in found.items() if name not in varies}
        wanted = {name: value for name, value in wanted.items() if name not in varies}
    first, second = as_text(wanted), as_text(msgspec.to_builtins(found))
    if first == second:
        return ""
    return "\n".join(unified_diff(first.splitlines(), second.splitlines(), "expected", "found", lineterm="", n=2))
