"""The command line's timeline of a run: events, and what nodes say between them."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from linkflow.cli.live import Timeline

AT = "2026-01-01T00:00:00Z"


def event(type: str, **attributes: Any) -> dict[str, Any]:
    return {"type": type, "at": AT, "attributes": {"node": "ask", "attempt": 1, **attributes}}


def said(text: str, kind: str = "text", attempt: int = 1) -> dict[str, Any]:
    return {"type": "words", "node": "ask", "attempt": attempt, "kind": kind, "text": text}


def drawn(*told: dict[str, Any]) -> str:
    timeline = Timeline({"ask": "Ask"}, "A run")
    for one in told:
        timeline.add(one)
    out = Console(file=io.StringIO(), width=400)
    out.print(timeline.table())
    return str(out.file.getvalue())  # type: ignore[attr-defined]


def test_text_grows_while_a_model_writes_it():
    begun = [event("NodeScheduled"), said("Once "), said("upon\n a")]
    assert "Once upon a" in drawn(*begun)
    assert "tool weather" in drawn(*begun, said("weather", "tool"))
    assert "… " not in drawn(*begun)
    assert f"…{'x' * 160} " in drawn(*begun, said("x" * 200))


def test_its_place_is_taken_by_what_is_recorded():
    step = event("StepCompleted", step="m/1", kind="model", name="gpt")
    assert "model gpt" in drawn(event("NodeScheduled"), said("Once "), step)
    assert "Once" not in drawn(event("NodeScheduled"), said("Once "), step, event("NodeCompleted"), said("upon"))


def test_another_attempt_begins_anew():
    first = [event("NodeScheduled"), said("Once ")]
    later = said("Twice ", attempt=2)
    assert "Once" not in drawn(*first, later)
    step = event("StepCompleted", step="m/1", kind="model", name="gpt")
    behind = drawn(*first, later, step, event("NodeScheduled", attempt=2), said("upon", attempt=2))
    assert "Twice upon" in behind, "events may come behind what was said after them"
    assert "Twice" not in drawn(event("NodeScheduled", attempt=3), later)
