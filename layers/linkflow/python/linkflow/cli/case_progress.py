"""How far the tests are, where somebody is looking."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Progress:
    """A bar on stderr; nothing where that is no terminal, where rich is not installed, or where there is one test."""

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._total = total
        self._bar: Any = None
        self._task: Any = None
        self._quiet = quiet or total < 2 or not sys.stderr.isatty()

    def __enter__(self) -> Progress:
        if not self._quiet:
            try:
                from rich.console import Console
                from rich.progress import Progress as Bar
            except ImportError:
                return self
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("Tests", total=self._total)
            self._bar.start()
        return self

    def step(self, name: str) -> None:
        """One more is done."""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=name[:40])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
