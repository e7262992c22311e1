"""Test runs: what stands in for nodes, how far a run goes, and which of its effects are left out. Values only.

A run whose start has a `Trial` is a test run (mode ``test``). All of it stands in the first event, so what a test run
did can be told, and replayed, from its history alone.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .outcomes import NodeError

TEST, MANUAL = "test", "manual"
PINNING = (TEST, MANUAL)
"""Modes of runs that people start to try a workflow: there pinned outputs stand in for their nodes. A fork or rerun of
such a run goes by them, too."""


class Answer(Struct, frozen=True, omit_defaults=True):
    """What one attempt comes to: `output`, by the `outputs` named (none: as a pinned node would), or an `error`."""

    output: Any = None
    outputs: tuple[str, ...] = ()
    error: NodeError | None = None


class Mock(Struct, frozen=True, omit_defaults=True):
    """Stands in for a node: `answers` by attempt, the last of them for all further ones; or, in a loop, `iterations`
    by index, outermost loop first."""

    answers: tuple[Answer, ...] = ()
    iterations: tuple[Mock, ...] = ()


class Trial(Struct, frozen=True, omit_defaults=True):
    """How a test run differs from others.

    `mocks` are by node id, or by the key of one iteration (``send[3]``). Only `up_to` and what leads to it runs, where
    that is set; only `alone`, with `input` in place of its own where `given`. A run that comes to a node of `blocked`
    fails: it would have an effect, and nothing stands in for it. With `skip_delays` delays and backoffs are over as
    they begin. The workflow's error workflow and its limits (concurrency, rate, collecting) hold only where asked for.
    """

    mocks: dict[str, Mock] = {}
    up_to: str = ""
    alone: str = ""
    given: bool = False
    input: Any = None
    blocked: tuple[str, ...] = ()
    skip_delays: bool = False
    error_workflow: bool = False
    limits: bool = False

    def answer(self, key: str, id: str, path: tuple[int, ...], attempt: int) -> Answer | None:
        """What stands in for this attempt of a node run; None where nothing does."""
        if path and (exact := self.mocks.get(key)) is not None:
            return _answer(exact, (), attempt)
        mock = self.mocks.get(id)
        return None if mock is None else _answer(mock, path, attempt)

    def has_mock(self, key: str, id: str) -> bool:
        return id in self.mocks or key in self.mocks

    def for_child(self) -> Trial:
        """A test run's sub-workflow is a test run as well, of its own nodes."""
        return Trial(skip_delays=self.skip_delays, error_workflow=self.error_workflow, limits=self.limits)


def _answer(mock: Mock, path: tuple[int, ...], attempt: int) -> Answer:
    for index in path:
        if not mock.iterations:
            break
        if index >= len(mock.iterations):
            return _exhausted(index, len(mock.iterations))
        mock = mock.iterations[index]
    return mock.answers[min(attempt, len(mock.answers)) - 1] if mock.answers else _exhausted(0, 0)


def _exhausted(index: int, count: int) -> Answer:
    message = f"The mock has nothing for iteration {index}: it has {count}, counted from 0."
    return Answer(error=NodeError("mock_exhausted", message, False))


def starts_freely(trial: Trial | None) -> bool:
    """Does the run start past the workflow's limits?"""
    return trial is not None and not trial.limits
