"""JavaScript in this process: QuickJS, a fresh realm for each request. Runs inside the child only."""

from __future__ import annotations

import json
import re
from typing import Any

import _quickjs

STACK = 512 * 1024
_PRELUDE_BEGINS = 20_000
"""Lines before the prelude, so that its places are told from those of a script."""
ONCE, EACH = ("$input", "$json"), ("$input", "item", "index", "$json")
"""Names beside those of the request; `$input` is its `input`, `$json` that or the item."""
_PLACE = re.compile(r"<input>:(\d+):(\d+)")
_KINDS = (
    ("interrupted", "timeout"), ("out of memory", "memory"), ("string too long", "memory"),
    ("invalid array length", "error"), ("Maximum call stack", "stack"), ("stack overflow", "stack"),
)  # fmt: skip


class JavaScript:
    """Requests: ``{"kind": "expressions", "codes", …}`` or ``{"kind": "script", "code", …}``."""

    def __init__(self, prelude: str, memory: int) -> None:
        self._prelude = "\n" * _PRELUDE_BEGINS + prelude
        self._memory = memory
        self._spare: tuple[Any, Any] | None = None

    def rest(self) -> None:
        """Make the next realm."""
        if self._spare is None:
            context = _quickjs.Context()
            context.set_memory_limit(self._memory)
            context.set_max_stack_size(STACK)
            self._spare = context, context.eval(self._prelude)

    def _realm(self, request: dict[str, Any]) -> tuple[Any, Any]:
        self.rest()
        assert self._spare is not None  # noqa: S101 - what rest() has just made
        context, enter = self._spare
        self._spare = None
        context.set_time_limit(request["seconds"])
        enter("begin", None, None, request["now"], request["seed"])
        return context, enter

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["kind"] == "script":
            return self._script(request)
        return {"answers": [self._expression(request, code, data) for code, data in request["codes"]]}

    def _expression(self, request: dict[str, Any], code: str, data: str) -> dict[str, Any]:
        """Each has a realm of its own, so that its result depends on nothing but its data."""
        context, enter = self._realm(request)
        try:
            made = context.eval(f'"use strict"; (($lf) => ({code}))')
            return _told(enter("expression", made, data, None, None), request, "")
        except (_quickjs.JSException, _quickjs.StackOverflow) as error:
            return {"error": _failure(str(error), "")}

    def _script(self, request: dict[str, Any]) -> dict[str, Any]:
        context, enter = self._realm(request)
        code, names = request["code"], ", ".join([*request["names"], *(EACH if request["each"] else ONCE)])
        found, head = "", f"(async function ({names}) {{"
        try:
            made = context.eval(f"{head}{code}\n}})")
            enter("each" if request["each"] else "script", made, request["data"], None, None)
            while context.execute_pending_job():
                pass
        except (_quickjs.JSException, _quickjs.StackOverflow) as error:
            found = str(error)
        context.set_time_limit(1.0)  # the log is wanted also where the script's own time is over
        answer = _told(enter("result", None, None, None, None), request, code, len(head))
        if found:
            answer |= {"error": _failure(found, code, len(head))}
            answer.pop("json", None)
        return answer


def _told(text: str, request: dict[str, Any], code: str, before: int = 0) -> dict[str, Any]:
    """The realm's word on how a script ended, as an answer. `before`: characters before it on its first line."""
    answer = _own(text)
    if answer.pop("pending", None):
        answer["error"] = {"kind": "error", "message": "the script waits for something that never comes"}
    elif failure := answer.get("error"):
        at = f"item {failure['at']}: " if "at" in failure else ""
        message = f"{at}{failure['name']}: {failure['message']}"
        answer["error"] = _failure(f"{message}\n{failure['stack']}", code, before)
    elif len(answer["json"]) > request["output"]:
        limit = request["output"]
        answer = {"error": {"kind": "output", "message": f"the result is over {limit:,} characters"}} | {
            name: answer[name] for name in ("logs", "dropped")
        }
    return answer


def _own(text: str) -> dict[str, Any]:
    """What the realm wrote: a script that changed how JSON is written has changed only its own answer."""
    try:
        answer = json.loads(text)
        found = {"logs": [str(line) for line in answer["logs"]], "dropped": int(answer["dropped"])}
        if "error" in answer:
            known = {name: str(answer["error"][name]) for name in ("name", "message", "stack")}
            at = {"at": int(answer["error"]["at"])} if "at" in answer["error"] else {}
            return found | {"error": known | at}
        return found | ({"json": str(answer["json"])} if "json" in answer else {"pending": True})
    except (ValueError, TypeError, KeyError, RecursionError):
        broken = {"name": "Error", "message": "the script broke its own answer", "stack": ""}
        return {"error": broken, "logs": [], "dropped": 0}


def _failure(text: str, code: str, before: int = 0) -> dict[str, Any]:
    """An error as the engine tells it: its kind, message and, in a script, the line."""
    message, _, stack = text.partition("\n")
    kind = next((kind for words, kind in _KINDS if words in message), "error")
    found: dict[str, Any] = {"kind": kind, "message": message[:1000]}
    last = code.count("\n") + 1
    for place in _PLACE.finditer(stack):
        line = int(place[1])
        if code and line <= last + 1:
            found |= {"line": min(line, last), "column": max(1, int(place[2]) - (before if line == 1 else 0))}
            break
    return found
