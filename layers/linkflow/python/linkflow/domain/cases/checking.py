"""How a run differs from what a test expects of it."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, Struct

from linkflow.domain.expressions import ExpressionError, Scope, compile_expression

from .facts import Facts, Ran
from .model import Case, NodeWish
from .paths import Place, fits, show

MISSING = "(missing)"
MOST = 200
"""Differences that are told of one test."""


class Difference(Struct, frozen=True):
    """One place where the run is otherwise. `expected` and `actual` are JSON values, or words with `said`."""

    path: str
    expected: Any
    actual: Any
    said: str = ""


def check(case: Case, facts: Facts) -> list[Difference]:
    """All differences, the most telling first."""
    return _Checker(case, facts).run()[:MOST]


class _Checker:
    def __init__(self, case: Case, facts: Facts) -> None:
        self.case = case
        self.facts = facts
        self.found: list[Difference] = []
        self.alike = [re.compile(pattern) for pattern in case.alike]

    def differ(self, place: Place, expected: Any, actual: Any, said: str = "") -> None:
        self.found.append(Difference(show(place), expected, actual, said))

    def run(self) -> list[Difference]:
        wish, facts = self.case.expect, self.facts
        if wish.status and wish.status != facts.status:
            self.differ(("status",), wish.status, facts.status, self._why())
        if wish.error:
            self._same("error", "code", wish.error, (facts.error or {}).get("code"))
        if wish.error_node:
            self._same("error", "node", wish.error_node, facts.node or None)
        if wish.error_message:
            self._same("error", "message", wish.error_message, (facts.error or {}).get("message"))
        if wish.result is not UNSET:
            self.exact(("result",), wish.result, facts.result)
        if wish.includes is not UNSET:
            self.subset(("result",), wish.includes, facts.result)
        for text in wish.check:
            self.expression(("check",), text, facts.result, {"result": facts.result, "status": facts.status})
        if wish.path is not UNSET:
            self._path(wish.path)
        for id, node in wish.nodes.items():
            self._node(id, node)
        return self.found

    def _same(self, *rest: Any) -> None:
        *place, expected, actual = rest
        if expected != actual:
            self.differ(tuple(place), expected, actual)

    def _why(self) -> str:
        """What is to be known of a run that ended otherwise."""
        facts = self.facts
        if facts.error:
            where = f"{facts.node}: " if facts.node else ""
            return f"{where}{facts.error.get('code')}: {facts.error.get('message')}"
        waiting = [f"{run.key} waits {run.waits}" for run in facts.runs.values() if run.waits]
        return f"{'; '.join(waiting)}: give it a mock." if waiting else ""

    def _path(self, wanted: tuple[str, ...]) -> None:
        """Nodes that ran, in any order: branches run beside each other."""
        taken = [id for id in self.facts.path if id != self.facts.trigger_node]
        wished = [id for id in wanted if id != self.facts.trigger_node]
        for id in wished:
            if id not in taken:
                self.differ(("path",), id, MISSING, f"{id!r} did not run")
        for id in taken:
            if id not in wished:
                self.differ(("path",), MISSING, id, f"{id!r} ran, which the test does not expect")

    def _node(self, id: str, wish: NodeWish) -> None:
        place: Place = ("nodes", id)
        runs = self.facts.of(id)
        count = sum(run.has_run for run in runs)
        if wish.runs is not UNSET and wish.runs != count:
            self.differ((*place, "runs"), wish.runs, count)
            return
        if wish.runs == 0:
            return
        if not runs:
            self.differ(place, "a run", MISSING, f"{id!r} did not run")
            return
        for run in runs:
            self._run(("nodes", run.key), run, wish)

    def _run(self, place: Place, run: Ran, wish: NodeWish) -> None:
        if wish.status and wish.status != run.status:
            self.differ((*place, "status"), wish.status, run.status, _error(run))
        if wish.error and wish.error != (code := (run.error or {}).get("code")):
            self.differ((*place, "error"), wish.error, code)
        if wish.attempts is not UNSET and wish.attempts != len(run.attempts):
            self.differ((*place, "attempts"), wish.attempts, len(run.attempts))
        if wish.outputs is not UNSET and set(wish.outputs) != set(run.outputs):
            self.differ((*place, "outputs"), list(wish.outputs), list(run.outputs))
        if wish.output is not UNSET:
            self.exact((*place, "output"), wish.output, run.output)
        if wish.includes is not UNSET:
            self.subset((*place, "output"), wish.includes, run.output)
        for text in wish.check:
            values = {"output": run.output, "status": run.status, "attempts": len(run.attempts)}
            self.expression((*place, "check"), text, run.output, values)

    def exact(self, place: Place, expected: Any, actual: Any) -> None:
        """Both are the same, but for what is ignored."""
        self._compare(place, expected, actual, whole=True)

    def subset(self, place: Place, expected: Any, actual: Any) -> None:
        """All that is expected is there; objects may have more. Lists have the same length."""
        self._compare(place, expected, actual, whole=False)

    def _compare(self, place: Place, expected: Any, actual: Any, *, whole: bool) -> None:
        if any(fits(pattern, place) for pattern in self.case.ignore):
            return
        if isinstance(expected, dict) and isinstance(actual, dict):
            for name in expected:
                self._compare((*place, name), expected[name], actual.get(name, MISSING), whole=whole)
            for name in actual if whole else ():
                if name not in expected:
                    self._compare((*place, name), MISSING, actual[name], whole=whole)
        elif isinstance(expected, list) and isinstance(actual, list):
            for index in range(max(len(expected), len(actual))):
                one, other = (part[index] if index < len(part) else MISSING for part in (expected, actual))
                self._compare((*place, index), one, other, whole=whole)
        elif not self._equal(expected, actual):
            self.differ(place, expected, actual)

    def _equal(self, expected: Any, actual: Any) -> bool:
        if isinstance(expected, bool) or isinstance(actual, bool):
            return expected is actual
        if isinstance(expected, str) and isinstance(actual, str) and expected != actual:
            return any(pattern.search(expected) and pattern.search(actual) for pattern in self.alike)
        return bool(expected == actual)

    def expression(self, place: Place, text: str, value: Any, values: dict[str, Any]) -> None:
        """An expression over what the run came to is true."""

        def node(name: str) -> dict[str, Any] | None:
            if name in values:  # the test's own names go before nodes'
                return None
            runs = self.facts.of(name)
            last = runs[-1] if runs else None
            return {"output": last.output, "status": last.status, "error": last.error} if last else None

        scope = Scope(trigger=self.facts.trigger, input=value, node=node, vars=values)
        try:
            came = compile_expression(text).evaluate(scope)
        except ExpressionError as error:
            self.differ(place, text, MISSING, f"it cannot be evaluated: {error}")
            return
        if came is not True:
            self.differ(place, text, came, "it is not true")


def _error(run: Ran) -> str:
    return f"{run.error.get('code')}: {run.error.get('message')}" if run.error else ""
