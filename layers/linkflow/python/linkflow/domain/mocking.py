"""Reading mocks as people write them: by node, each an output, an error, or one of these by attempt or iteration.

{"output": {…}}                                  every run of the node comes to this
{"output": {…}, "outputs": ["rejected"]}         … and takes these outputs
{"error": {"code": "http_status", …}}            every attempt fails with this
{"error": "http_status", "fail_first": 2, "output": {…}}
{"attempts": [{"error": …}, {"output": …}]}      by attempt; the last holds for all further ones
{"iterations": [{"output": 1}, {"error": …}]}    in a loop, by index; in loops within loops, lists within lists
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .definition import Definition
from .errors import Problem
from .graph import Graph
from .hints import did_you_mean
from .outcomes import NodeError
from .state import split_key
from .trial import Answer, Mock
from .validation.places import step

MAX_ANSWERS = 10_000
_FIELDS = ("output", "outputs", "error", "fail_first", "attempts", "iterations")
_ERROR_FIELDS = ("code", "message", "retryable", "details")


class _Reader:
    """Collects every fault with its place; what is faulty reads as an empty answer."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def fault(self, path: str, code: str, message: str) -> None:
        self.problems.append(Problem(path, code, message))

    def unknown(self, value: Mapping[Any, Any], known: tuple[str, ...], path: str) -> None:
        for name in value:
            if name not in known:
                hint = did_you_mean(str(name), known) or f" There is {', '.join(known)}."
                self.fault(path + step(str(name)), "unknown_field", f"There is no such field.{hint}")

    def mock(self, value: Any, path: str) -> Mock:
        if not isinstance(value, Mapping):
            self.fault(path, "invalid_type", 'A mock is an object, such as {"output": …} or {"error": {"code": …}}.')
            return Mock()
        self.unknown(value, _FIELDS, path)
        kinds = [name for name in ("attempts", "iterations") if name in value]
        others = [name for name in _FIELDS if name in value and name not in kinds]
        if len(kinds) + bool(others) > 1:
            given = ", ".join((*kinds, *others))
            self.fault(path, "invalid_value", f"Give attempts, or iterations, or one answer; not {given} together.")
            return Mock()
        if "attempts" in value:
            return Mock(tuple(self.answer(one, at) for one, at in self._list(value["attempts"], f"{path}/attempts")))
        if "iterations" in value:
            inner = self._list(value["iterations"], f"{path}/iterations")
            return Mock(iterations=tuple(self._iteration(one, at) for one, at in inner))
        return self._once(value, path)

    def _iteration(self, value: Any, path: str) -> Mock:
        if isinstance(value, list):  # of an inner loop
            return Mock(iterations=tuple(self._iteration(one, at) for one, at in self._list(value, path)))
        return self.mock(value, path)

    def _list(self, value: Any, path: str) -> list[tuple[Any, str]]:
        if not isinstance(value, list) or not value:
            self.fault(path, "invalid_type", "Must be a list with at least one entry.")
            return []
        if len(value) > MAX_ANSWERS:
            self.fault(path, "too_long", f"May have {MAX_ANSWERS:,} entries.")
            return []
        return [(one, path + step(place)) for place, one in enumerate(value)]

    def _once(self, value: Mapping[Any, Any], path: str) -> Mock:
        if "fail_first" not in value:
            known = {name: value[name] for name in _FIELDS if name in value}  # of others it is told already
            return Mock((self.answer(known, path),))
        count, outputs = value["fail_first"], {name: value[name] for name in ("output", "outputs") if name in value}
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 100:
            self.fault(f"{path}/fail_first", "invalid_value", "Must be a number of attempts from 1 to 100.")
            return Mock()
        if "error" not in value:
            self.fault(path, "missing_field", "With fail_first the mock needs an error, and an output that follows.")
            return Mock()
        failing = self.answer({"error": value["error"]}, path)
        return Mock((*(failing for _ in range(count)), self.answer({"output": None, **outputs}, path)))

    def answer(self, value: Any, path: str) -> Answer:
        if not isinstance(value, Mapping):
            self.fault(path, "invalid_type", 'Must be an object: {"output": …} or {"error": …}.')
            return Answer()
        self.unknown(value, _FIELDS[:3], path)
        if ("output" in value) == ("error" in value):
            self.fault(path, "invalid_value", "Must have an output or an error, and not both.")
            return Answer()
        if "error" in value:
            return Answer(error=self.error(value["error"], f"{path}/error"))
        outputs = value.get("outputs", [])
        if not isinstance(outputs, list) or not all(isinstance(name, str) for name in outputs):
            self.fault(f"{path}/outputs", "invalid_type", "Must be a list of the node's output names.")
            outputs = []
        return Answer(value["output"], tuple(outputs))

    def error(self, value: Any, path: str) -> NodeError:
        if isinstance(value, str) and value:
            return NodeError(value, f"Mocked: {value}.")
        code = value.get("code") if isinstance(value, Mapping) else None
        if not isinstance(code, str) or not code:
            self.fault(path, "invalid_value", 'Must be a code such as "http_timeout", or {"code", "message", …}.')
            return NodeError("error", "")
        self.unknown(value, _ERROR_FIELDS, path)
        kinds = {"message": str, "retryable": bool, "details": dict}
        for name, kind in kinds.items():
            if name in value and not isinstance(value[name], kind):
                words = {str: "text", bool: "true or false", dict: "an object"}[kind]
                self.fault(path + step(name), "invalid_type", f"Must be {words}.")
                return NodeError(code, "")
        return NodeError(
            code, value.get("message", f"Mocked: {code}."), value.get("retryable", True), value.get("details", {})
        )


def read_mocks(value: Any, path: str = "/mocks") -> tuple[dict[str, Mock], list[Problem]]:
    """Mocks by node, and every fault of how they are written."""
    reader = _Reader()
    if value is None:
        return {}, []
    if not isinstance(value, Mapping):
        reader.fault(path, "invalid_type", "Must be an object: mocks by node id.")
        return {}, reader.problems
    return {str(id): reader.mock(one, path + step(str(id))) for id, one in value.items()}, reader.problems


def read_error(value: Any, path: str) -> tuple[NodeError, list[Problem]]:
    """An error as people write it: a code, or an object with one."""
    reader = _Reader()
    return reader.error(value, path), reader.problems


def check_mocks(mocks: Mapping[str, Mock], graph: Graph, path: str = "/mocks") -> list[Problem]:
    """Mocks of nodes that are not there, or not in as many loops."""
    found: list[Problem] = []
    for key, mock in mocks.items():
        id, iteration = (key, ()) if key in graph.nodes else split_key(key)
        node, at = graph.nodes.get(id), path + step(key)
        if node is None:
            hint = did_you_mean(id, graph.nodes)
            found.append(Problem(at, "unknown_node", f"{graph.trigger!r} leads to no node {id!r}.{hint}"))
            continue
        loops = len(node.path)
        if iteration and len(iteration) != loops:
            found.append(Problem(at, "invalid_value", f"{id!r} is in {loops} loops: name as many indexes, or none."))
        elif _depth(mock) > loops - len(iteration):
            found.append(Problem(f"{at}/iterations", "invalid_value", f"{id!r} is in {loops} loops, no more."))
    return found


def blocked(
    definition: Definition, mocks: Mapping[str, Any], acts: Callable[[str, int], bool], allow: Sequence[str] = (),
    runs: str = "",
) -> tuple[str, ...]:  # fmt: skip
    """Nodes that need the world outside and that nothing stands in for; `acts` tells of a type and version whether it
    does. `allow` names nodes or types that may run all the same, `runs` the one that is to be run."""
    stood_for = {split_key(key)[0] for key in mocks} | set(mocks) | {runs}
    return tuple(
        node.id
        for node in definition.nodes
        if node.id not in stood_for and node.id not in allow and node.type not in allow and not node.disabled
        and node.pinned_output is None and node.pinned_error is None and acts(node.type, node.version)
    )  # fmt: skip


def _depth(mock: Mock) -> int:
    return 1 + max(map(_depth, mock.iterations)) if mock.iterations else 0
