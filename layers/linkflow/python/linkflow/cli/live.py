"""A run's timeline as a table that grows while it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table

from linkflow.domain.steps import BILLIONTH, Spent, Usage

_STYLE = {
    "completed": "green", "failed": "red", "running": "yellow", "waiting": "cyan", "retrying": "yellow",
    "skipped": "dim", "cancelled": "magenta",
}  # fmt: skip
_TURNS = {
    "NodeScheduled": "running", "TimerStarted": "waiting", "ChildStarted": "waiting", "LoopStarted": "running",
    "WaitStarted": "waiting", "ApprovalRequested": "waiting",
    "NodeCompleted": "completed", "NodeSkipped": "skipped", "NodeCancelled": "cancelled", "NodeFailed": "failed",
    "NodeTimedOut": "failed", "NodeRetryScheduled": "retrying",
}  # fmt: skip


_OVER = ("completed", "failed", "skipped", "cancelled")
TAIL = 160
"""Characters of a text that is being written which are shown."""


class _Row:
    def __init__(self, node: str) -> None:
        self.node = node
        self.status = ""
        self.attempt = 1
        self.began = 0.0
        self.ended = 0.0
        self.detail = ""
        self.said = ""
        self.saying = 0
        """The attempt that said it: events may come later than what was said behind them."""


class Timeline:
    """Folds events into rows and draws them."""

    def __init__(self, names: dict[str, str], title: str) -> None:
        self._names = names
        self._title = title
        self._rows: dict[str, _Row] = {}
        self.status = "running"
        self.result: Any = None
        self.error: Any = None
        self.spent = Spent()

    def hear(self, words: dict[str, Any]) -> None:
        """What a node says while it runs."""
        row = self._rows.setdefault(words["node"], _Row(words["node"]))
        if row.status in _OVER or words["attempt"] < row.attempt:
            return  # it has come late
        before = row.said if words["attempt"] == row.saying else ""
        row.said, row.saying = before + words["text"] if words["kind"] == "text" else "", words["attempt"]
        tail = " ".join(row.said.split())
        row.detail = (f"…{tail[-TAIL:]}" if len(tail) > TAIL else tail) or f"{words['kind']} {words['text']}"

    def add(self, event: dict[str, Any]) -> None:
        if event["type"] == "words":
            self.hear(event)
            return
        kind, what, at = event["type"], event["attributes"], _seconds(event.get("kept_at") or event["at"])
        if kind == "ExecutionStarted":
            row = self._rows.setdefault(what["trigger_node"], _Row(what["trigger_node"]))
            row.status, row.began, row.ended = "completed", at, at
            self.status = "running"
        elif kind == "ExecutionHeld":
            self.status = "queued"
        elif kind in ("ExecutionForked", "ExecutionRetried", "ExecutionResumed"):
            self.status = "running"
        elif kind == "ExecutionCancelRequested":
            self.status = "cancelling"
        elif kind.startswith("Execution"):
            self.status = kind.removeprefix("Execution").lower()
            self.result, self.error = what.get("result"), what.get("error")
        elif kind in _TURNS:
            row = self._rows.setdefault(what["node"], _Row(what["node"]))
            row.status, row.attempt = _TURNS[kind], what.get("attempt", row.attempt)
            row.began = row.began or at
            row.ended = at if row.status in _OVER else 0.0
            error = what.get("error")
            row.detail = error["message"] if error else "" if row.status == "completed" else row.detail
            if event.get("kept_at"):
                row.detail = "kept"
        elif kind == "StepCompleted":
            self._step(what)

    def _step(self, what: dict[str, Any]) -> None:
        row = self._rows.setdefault(what["node"], _Row(what["node"]))
        if what.get("attempt", 1) >= row.saying:
            row.said = ""
            row.detail = f"{what.get('kind') or 'step'} {what.get('name') or what['step']}".strip()
        if what.get("usage"):
            self.spent = self.spent.and_(msgspec.convert(what["usage"], Usage))

    @property
    def cost(self) -> str:
        """What calls of models used, in a line; nothing where there were none."""
        spent = self.spent
        if not spent.calls:
            return ""
        priced = spent.unpriced < spent.calls
        cost = f", ${spent.cost / BILLIONTH:.6f}" if priced else ", price unknown"
        more = f" without {spent.unpriced} calls of unknown price" if priced and spent.unpriced else ""
        return f"{spent.calls} model calls: {spent.input_tokens:,} tokens in, {spent.output_tokens:,} out{cost}{more}"

    def table(self) -> Table:
        table = Table(
            title=self._title, title_justify="left", header_style="bold", expand=False, caption=self.cost or None,
            caption_justify="left",
        )  # fmt: skip
        table.add_column("Node")
        table.add_column("Status")
        table.add_column("Attempt", justify="right")
        table.add_column("Duration", justify="right")
        if any(row.detail for row in self._rows.values()):
            table.add_column("Note", overflow="fold")
        for row in self._rows.values():
            node = row.node.split("[", 1)
            label = self._names.get(node[0], node[0]) + (f" [{node[1]}" if len(node) > 1 else "")
            style = _STYLE.get(row.status, "")
            status = f"[{style}]{row.status}[/{style}]" if style else row.status
            cells = [label.replace("[", "\\["), status, str(row.attempt), _duration(row)]
            table.add_row(*cells, *([row.detail] if len(table.columns) > 4 else []))
        return table


def show(timeline: Timeline, batches: Iterable[list[dict[str, Any]]]) -> None:
    """Draw until the events end: live on a terminal, once at the end elsewhere."""
    console = Console(stderr=True)
    with _drawing(timeline, console) as draw:
        for batch in batches:
            for event in batch:
                timeline.add(event)
                if not console.is_terminal and event["type"] != "words":
                    _line(event)
            draw()
    if not console.is_terminal:
        console.print(timeline.table())


class _drawing:
    def __init__(self, timeline: Timeline, console: Console) -> None:
        self._timeline = timeline
        self._live = (
            Live(get_renderable=timeline.table, console=console, refresh_per_second=8)
            if (console.is_terminal)
            else None
        )

    def __enter__(self) -> Any:
        if self._live:
            self._live.__enter__()
        return self._refresh

    def _refresh(self) -> None:
        if self._live:
            self._live.refresh()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)


def _line(event: dict[str, Any]) -> None:
    what = event["attributes"]
    if event["type"] in ("ExecutionQueued", "ExecutionCollecting", "ExecutionHeld"):
        print(
            f"  {event['at'][11:23]}  the run waits: {what['line']} {what.get('key', '')}", file=sys.stderr, flush=True
        )
    status = _TURNS.get(event["type"])
    if event["type"] == "NodeCompleted" and event.get("kept_at"):
        status = "kept"
    elif event.get("kept_at"):
        return
    if status:
        print(f"  {event['at'][11:23]}  {what['node']:<16} {status:<10} attempt {what.get('attempt', 1)}",
              file=sys.stderr, flush=True)  # fmt: skip


def _duration(row: _Row) -> str:
    end = row.ended or (time.time() if row.status in ("running", "waiting", "retrying") else row.began)
    seconds = max(0.0, end - row.began)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
