"""Steps inside a node: what one node run has done so far, recorded piece by piece.

A node that does several costly things (an agent: model and tool calls) records each as it is done. A later attempt, or
another worker after a crash, finds them and does none of them again. What is recorded stays in the state until the node
run is over, and in the history for ever.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from .outcomes import NodeError

MAX_STEPS = 1000
"""Steps of one node run."""

MOST = 10**12
"""Tokens of one call, and billionths of a dollar, that are believed."""

BILLIONTH = 1_000_000_000


class Usage(Struct, frozen=True, omit_defaults=True):
    """What one call of a model used. Tokens in include cached ones. `cost` is billionths of a US dollar, None where
    nobody knows the price."""

    model: str = ""
    provider: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: int | None = None

    @property
    def bounded(self) -> Usage:
        """The same in numbers and names that can be counted with, whatever a peer said."""
        return Usage(
            _name(self.model), _name(self.provider), _count(self.input_tokens), _count(self.output_tokens),
            _count(self.cached_tokens), None if self.cost is None else _count(self.cost),
        )  # fmt: skip


def _count(number: int) -> int:
    return max(0, min(number, MOST))


def _name(text: str) -> str:
    return "".join(sign for sign in text if sign >= " ")[:200]


class Spent(Struct, frozen=True, omit_defaults=True):
    """The sum of all calls. `cost` leaves the `unpriced` ones out."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: int = 0
    unpriced: int = 0

    def and_(self, usage: Usage) -> Spent:
        """With one call more."""
        return Spent(
            self.calls + 1,
            self.input_tokens + usage.input_tokens,
            self.output_tokens + usage.output_tokens,
            self.cached_tokens + usage.cached_tokens,
            self.cost + (usage.cost or 0),
            self.unpriced + (usage.cost is None),
        )


class Stepped(Struct, frozen=True, omit_defaults=True):
    """A step that was done, as a worker reports it. `id` names it within its node run. One that failed and is not to be
    tried again has an `error`. `started_at` is ms since the epoch."""

    id: str
    kind: str = ""
    name: str = ""
    input: Any = None
    output: Any = None
    error: NodeError | None = None
    usage: Usage | None = None
    started_at: int = 0
    duration_us: int = 0


class Step(Struct, frozen=True, omit_defaults=True):
    """What a later attempt needs of a step."""

    id: str
    output: Any = None
    error: NodeError | None = None


class Calling(Struct, frozen=True, omit_defaults=True):
    """The step that a call of another workflow is, since `at` (ms)."""

    step: str
    name: str = ""
    at: int = 0


class Progress(Struct, frozen=True, omit_defaults=True):
    """What a node run's attempts have recorded. `called` is the latest attempt that ended by calling another workflow:
    those up to it do not count against the retry policy. `calling` is that call while it lasts."""

    steps: tuple[Step, ...] = ()
    called: int = 0
    calling: Calling | None = None

    def with_step(self, step: Step) -> Progress:
        return replace(self, steps=(*self.steps, step), calling=None)

    def has(self, id: str) -> bool:
        return any(step.id == id for step in self.steps)


NO_PROGRESS = Progress()
