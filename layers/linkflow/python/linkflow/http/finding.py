"""Which routes a request may be for, without a look at each of them: a tree of the segments of their paths.

FastAPI tries its routes one after the other, two hundred of them at a third of a microsecond each. It goes on doing so,
with the few that fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.routing import BaseRoute

ANY, REST = "{}", "{:path}"
_path: ContextVar[str | None] = ContextVar("path", default=None)


@contextmanager
def fitting(path: str) -> Iterator[None]:
    """While in here, `Routes` has only those that this path may be for, in their order."""
    token = _path.set(path)
    try:
        yield
    finally:
        _path.reset(token)


@dataclass(slots=True)
class _Branch:
    """`ends` are the places of routes that are over here, `rests` of those whose last name takes all that follows."""

    ends: list[int] = field(default_factory=list)
    rests: list[int] = field(default_factory=list)
    branches: dict[str, _Branch] = field(default_factory=dict)


class Routes(list[BaseRoute]):
    """A list of routes that, within `fitting`, gives those alone that the path may be for, and those without a
    `template`."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        super().__init__(routes)
        self._root = _Branch()
        self._always: list[int] = []
        for place, route in enumerate(super().__iter__()):
            template: Sequence[str] | None = getattr(route, "template", None)
            if template is None:
                self._always.append(place)
            else:
                self._plant(template, place)

    def __iter__(self) -> Iterator[BaseRoute]:
        path = _path.get()
        return super().__iter__() if path is None else iter(self.fitting(path))

    def fitting(self, path: str) -> list[BaseRoute]:
        """Every route that fits, and some that do not."""
        places = list(self._always)
        here = [self._root]
        for part in path.split("/"):
            for branch in here:
                places += branch.rests
            here = [next for branch in here for name in (part, ANY) if (next := branch.branches.get(name))]
        for branch in here:
            places += branch.ends
        return [self[place] for place in sorted(places)]

    def _plant(self, template: Sequence[str], place: int) -> None:
        branch = self._root
        for part in template:
            if ":path}" in part:
                branch.rests.append(place)
                return
            branch = branch.branches.setdefault(ANY if "{" in part else part, _Branch())
        branch.ends.append(place)
