"""Expectations made new from what a run came to: those that a test has, and no others."""

from __future__ import annotations

import re
from typing import Any

from .facts import Facts
from .model import Case
from .paths import Place, fits


def updated(case: Case, expect: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """`expect` as the file has it, with today's values. What is ignored stays as it was; `includes` and `check` are
    for people to change."""
    new = dict(expect)
    if "status" in expect:
        new["status"] = facts.status
    if facts.status == "completed" and ("result" in expect or "includes" not in expect):
        new["result"] = _merged(case, ("result",), expect.get("result"), facts.result)
    else:
        new.pop("result", None)
    if facts.error is None:
        new.pop("error", None)
    elif "error" in expect or facts.status != expect.get("status", facts.status):
        new["error"] = {"code": facts.error.get("code"), **({"node": facts.node} if facts.node else {})}
    if "path" in expect:
        taken = [id for id in facts.path if id != facts.trigger_node]
        kept = [id for id in expect["path"] if id in taken]
        new["path"] = [*kept, *(id for id in taken if id not in kept)]
    if "nodes" in expect:
        new["nodes"] = {id: _node(case, id, one, facts) for id, one in expect["nodes"].items()}
    return new


def _node(case: Case, id: str, wish: Any, facts: Facts) -> Any:
    runs = [run for run in facts.of(id) if run.has_run]
    if not isinstance(wish, dict):  # not_run
        return {"runs": len(runs)} if runs else wish
    if not runs:
        return {"runs": 0}
    run = runs[-1]
    new = {name: value for name, value in wish.items() if name != "not_run"}
    if "runs" in wish or "not_run" in wish:
        new["runs"] = len(runs)
    if "status" in wish:
        new["status"] = run.status
    if "attempts" in wish:
        new["attempts"] = len(run.attempts)
    if "outputs" in wish:
        new["outputs"] = list(run.outputs)
    if "error" in wish:
        new["error"] = (run.error or {}).get("code", "")
        if not new["error"]:
            del new["error"]
    if "output" in wish:
        new["output"] = _merged(case, ("nodes", run.key, "output"), wish["output"], run.output)
    return new


def _merged(case: Case, place: Place, expected: Any, actual: Any) -> Any:
    """The actual value, but what is ignored or as good as the same stays as it was written."""
    if any(fits(pattern, place) for pattern in case.ignore):
        return expected
    if isinstance(expected, dict) and isinstance(actual, dict):
        return {name: _merged(case, (*place, name), expected.get(name), value) for name, value in actual.items()}
    if isinstance(expected, list) and isinstance(actual, list):
        olds = [*expected, *([None] * len(actual))]
        return [_merged(case, (*place, index), olds[index], value) for index, value in enumerate(actual)]
    texts = isinstance(expected, str) and isinstance(actual, str)
    alike = texts and any(re.search(text, expected) and re.search(text, actual) for text in case.alike)
    return expected if alike else actual
