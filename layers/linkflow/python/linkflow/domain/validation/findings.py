"""The problems found so far, told where the author wrote things."""

from __future__ import annotations

from linkflow.domain.errors import Problem
from linkflow.domain.validation.places import Places, printable

MAX_PROBLEMS = 1_000
"""Problems kept for one document; a document with more gets one that says how many more."""


class Findings:
    """Collects problems. Paths given to it point into the stored form; what was reported before is not repeated."""

    def __init__(self, places: Places) -> None:
        self.problems: list[Problem] = []
        self._places = places

    def error(self, path: str, code: str, message: str) -> None:
        """A fault for which the definition is refused."""
        self._add(path, code, message, "error")

    def warn(self, path: str, code: str, message: str) -> None:
        """Something that is probably not meant."""
        self._add(path, code, message, "warning")

    @property
    def is_full(self) -> bool:
        """Are there so many that looking for more is of no use?"""
        return len(self.problems) > MAX_PROBLEMS

    def is_reported(self, path: str) -> bool:
        """Was this place found unreadable before checking began?"""
        return self._places.is_marked(path)

    def _add(self, path: str, code: str, message: str, severity: str) -> None:
        if not self._places.is_marked(path):
            given = printable(self._places.given(path))
            self.problems.append(Problem(given, code, printable(message), severity=severity))


def capped(problems: list[Problem], dropped: int = 0) -> list[Problem]:
    """The first problems, errors before warnings where some must go, and one that tells of the rest."""
    more = len(problems) + dropped - MAX_PROBLEMS
    if more <= 0:
        return problems
    kept = sorted(problems, key=lambda problem: problem.severity != "error")[:MAX_PROBLEMS]
    return [*kept, Problem("", "too_many_problems", f"There are {more} more problems.", severity=kept[0].severity)]
