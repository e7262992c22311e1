"""A test file's value, to a `Case`; every fault at once, with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from msgspec import UNSET

from linkflow.domain.errors import Problem
from linkflow.domain.expressions import ExpressionSyntaxError, compile_expression
from linkflow.domain.mocking import read_mocks
from linkflow.domain.state import CLOSED
from linkflow.domain.validation.places import step

from . import paths
from .model import Case, NodeWish, Source, Wish

FIELDS = (
    "name", "workflow", "trigger", "input", "mocks", "allow", "up_to", "now", "ignore", "expect",
)  # fmt: skip
_EXPECT = ("status", "result", "includes", "check", "error", "path", "nodes")
_NODE = ("status", "output", "includes", "check", "error", "runs", "attempts", "outputs", "not_run")
_STATUS = (*CLOSED, "running")
_NODE_STATUS = ("completed", "failed", "skipped", "cancelled", "waiting")


def read_case(value: Any, name: str) -> tuple[Case | None, list[Problem]]:
    """The test that a file's `value` means, and all that is wrong with how it is written; it may be run if nothing is.
    None where the value is no test at all. `name` is what it is called if it has none."""
    reader = _Reader()
    if not isinstance(value, Mapping):
        reader.fault("", "invalid_type", "A test is an object with workflow, input, mocks and expect.")
        return None, reader.problems
    return reader.case(value, name), reader.problems


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def fault(self, path: str, code: str, message: str) -> None:
        self.problems.append(Problem(path, code, message))

    def case(self, value: Mapping[str, Any], name: str) -> Case:
        self.unknown(value, FIELDS, "")
        mocks, problems = read_mocks(value.get("mocks"))
        self.problems += problems
        ignore, alike = self._ignore(value.get("ignore", []))
        if "expect" not in value:
            self.fault("", "missing_field", "A test needs `expect`: what the run should come to.")
        raw = value.get("mocks")
        return Case(
            name=self.text(value, "name", "") or name,
            source=self._source(value.get("workflow")),
            trigger=self.text(value, "trigger", ""),
            input=value.get("input", {}),
            mocks=mocks,
            raw_mocks=dict(raw) if isinstance(raw, Mapping) else {},
            allow=self.texts(value, "allow", ""),
            up_to=self.text(value, "up_to", ""),
            now=self._now(value.get("now")),
            ignore=ignore,
            alike=alike,
            expect=self._wish(value.get("expect", {})),
        )

    def unknown(self, value: Mapping[Any, Any], known: tuple[str, ...], path: str) -> None:
        for name in value:
            if name not in known:
                close = get_close_matches(str(name), known, 1)
                hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(known)}."
                self.fault(path + step(str(name)), "unknown_field", f"There is no field {str(name)!r}. {hint}")

    def text(self, value: Mapping[str, Any], name: str, path: str) -> str:
        found = value.get(name, "")
        if isinstance(found, str):
            return found
        self.fault(path + step(name), "invalid_type", "Must be a text.")
        return ""

    def texts(self, value: Mapping[str, Any], name: str, path: str) -> tuple[str, ...]:
        found = value.get(name, [])
        if isinstance(found, list) and all(isinstance(one, str) for one in found):
            return tuple(found)
        self.fault(path + step(name), "invalid_type", "Must be a list of texts.")
        return ()

    def _source(self, value: Any) -> Source:
        at = "/workflow"
        if isinstance(value, str) and value:
            return Source(file=value)
        if not isinstance(value, Mapping):
            fix = "Name a file ({file: order.json}), a workflow on the server ({id: …}), or write the workflow here."
            self.fault(at if value is not None else "", "missing_field", fix)
            return Source()
        if "nodes" in value or "workflow" in value:
            return Source(document=dict(value))
        self.unknown(value, ("file", "id", "version"), at)
        file, id = self.text(value, "file", at), self.text(value, "id", at)
        if bool(file) == bool(id):
            self.fault(at, "invalid_value", "Give `file` or `id`.")
        version = value.get("version", 0)
        if isinstance(version, bool) or not isinstance(version, int) or version < 0:
            self.fault(f"{at}/version", "invalid_value", "Must be a version's number.")
            version = 0
        return Source(file, id, version)

    def _now(self, value: Any) -> int:
        if value is None:
            return 0
        try:
            moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            self.fault("/now", "invalid_value", "Must be a time such as 2026-11-23T12:00:00Z.")
            return 0
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)

    def _ignore(self, value: Any) -> tuple[tuple[tuple[str | int, ...], ...], tuple[str, ...]]:
        places: list[tuple[str | int, ...]] = []
        alike: list[str] = []
        if not isinstance(value, list):
            self.fault("/ignore", "invalid_type", "Must be a list of paths, such as result.id or **.created_at.")
            return (), ()
        for index, one in enumerate(value):
            at = f"/ignore/{index}"
            try:
                if isinstance(one, str):
                    places.append(paths.parse(one))
                elif isinstance(one, Mapping) and list(one) == ["matching"] and isinstance(one["matching"], str):
                    re.compile(one["matching"])
                    alike.append(one["matching"])
                else:
                    self.fault(at, "invalid_value", 'Must be a path, or {"matching": a regular expression}.')
            except (ValueError, re.error) as error:
                self.fault(at, "invalid_value", str(error))
        return tuple(places), tuple(alike)

    def _wish(self, value: Any) -> Wish:
        at = "/expect"
        if not isinstance(value, Mapping):
            self.fault(at, "invalid_type", "Must be an object, such as {status: completed, result: …}.")
            return Wish()
        self.unknown(value, _EXPECT, at)
        if not value:
            self.fault(at, "missing_field", "Nothing is expected: say at least `status: completed`.")
        code, node, message = self._run_error(value.get("error"))
        nodes = value.get("nodes", {})
        if not isinstance(nodes, Mapping):
            self.fault(f"{at}/nodes", "invalid_type", "Must be an object: what is expected, by node id.")
            nodes = {}
        return Wish(
            status=self._status(value, at, _STATUS),
            result=value.get("result", UNSET),
            includes=value.get("includes", UNSET),
            check=self._checks(value, at),
            error=code,
            error_node=node,
            error_message=message,
            path=self.texts(value, "path", at) if "path" in value else UNSET,
            nodes={str(id): self._node(one, f"{at}/nodes{step(str(id))}") for id, one in nodes.items()},
        )

    def _run_error(self, value: Any) -> tuple[str, str, str]:
        at = "/expect/error"
        if value is None:
            return "", "", ""
        if isinstance(value, str):
            return value, "", ""
        if not isinstance(value, Mapping):
            self.fault(at, "invalid_type", "Must be an error's code, or {code, node, message}.")
            return "", "", ""
        self.unknown(value, ("code", "node", "message"), at)
        return self.text(value, "code", at), self.text(value, "node", at), self.text(value, "message", at)

    def _status(self, value: Mapping[str, Any], at: str, known: tuple[str, ...]) -> str:
        found = self.text(value, "status", at)
        if found and found not in known:
            self.fault(f"{at}/status", "invalid_value", f"Must be one of {', '.join(known)}.")
        return found

    def _checks(self, value: Mapping[str, Any], at: str) -> tuple[str, ...]:
        found = value.get("check", [])
        texts = [found] if isinstance(found, str) else found
        if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
            self.fault(f"{at}/check", "invalid_type", "Must be an expression, or a list of them.")
            return ()
        for index, text in enumerate(texts):
            place = f"{at}/check" if isinstance(found, str) else f"{at}/check/{index}"
            try:
                if compile_expression(text).scripts:
                    self.fault(place, "invalid_value", "This expression needs the JavaScript engine; write it simpler.")
            except ExpressionSyntaxError as error:
                for said in [problem.message for problem in error.problems] or [error.message]:
                    self.fault(place, "expression_syntax", said)
        return tuple(texts)

    def _node(self, value: Any, at: str) -> NodeWish:
        if value == "not_run":
            return NodeWish(runs=0)
        if not isinstance(value, Mapping):
            self.fault(at, "invalid_type", "Must be an object such as {output: …} or {runs: 2}, or not_run.")
            return NodeWish()
        self.unknown(value, _NODE, at)
        runs = self._count(value, "runs", at)
        if value.get("not_run") not in (None, True):
            self.fault(f"{at}/not_run", "invalid_value", "Must be true.")
        return NodeWish(
            status=self._status(value, at, _NODE_STATUS),
            output=value.get("output", UNSET),
            includes=value.get("includes", UNSET),
            check=self._checks(value, at),
            error=self.text(value, "error", at),
            runs=0 if value.get("not_run") else runs,
            attempts=self._count(value, "attempts", at),
            outputs=self.texts(value, "outputs", at) if "outputs" in value else UNSET,
        )

    def _count(self, value: Mapping[str, Any], name: str, at: str) -> Any:
        found = value.get(name, UNSET)
        if found is UNSET or (isinstance(found, int) and not isinstance(found, bool) and found >= 0):
            return found
        self.fault(at + step(name), "invalid_value", "Must be a number from 0.")
        return UNSET
