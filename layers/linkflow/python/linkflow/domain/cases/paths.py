"""Places in JSON values, as people write them: ``result.items[0].id``, with ``*`` for any one name or index and ``**``
for any number of them."""

from __future__ import annotations

import re
from typing import Any

Place = tuple[str | int, ...]
_STEP = re.compile(r'\*\*|\*|[^.\[\]"]+|\[(?:\d+|\*)\]|\["(?:[^"\\]|\\.)*"\]')
_PLAIN = re.compile(r'[^\s.\[\]"*$](?:[^.\[\]"*]*[^\s.\[\]"*])?')
ANY, MANY = "*", "**"


def parse(text: str) -> tuple[str | int, ...]:
    """The steps of a pattern. Raises `ValueError` with what is wrong."""
    steps: list[str | int] = []
    at = 0
    text = text.strip().removeprefix("$.")
    while at < len(text):
        if text[at] == "." and steps:
            at += 1
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(f"{text!r} is no path (at {text[at:][:20]!r}): write it like result.items[0].id or **.id")
        steps.append(_step(found[0]))
        at = found.end()
    if not steps:
        raise ValueError("A path needs a name, as in result.id.")
    return tuple(steps)


def _step(text: str) -> str | int:
    if text.startswith('["'):
        return re.sub(r"\\(.)", r"\1", text[2:-2])
    if text.startswith("["):
        return ANY if text == "[*]" else int(text[1:-1])
    return text


def fits(pattern: tuple[str | int, ...], place: Place) -> bool:
    """Is `place` what the pattern means?"""
    if not pattern:
        return not place
    if pattern[0] == MANY:
        return any(fits(pattern[1:], place[skip:]) for skip in range(len(place) + 1))
    return bool(place) and pattern[0] in (ANY, place[0]) and fits(pattern[1:], place[1:])


def show(place: Place) -> str:
    """The place in words."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return text


def walk(value: Any, place: Place = ()) -> Any:
    """Every place of a value with what is there, outermost first."""
    stack = [(place, value)]
    while stack:
        at, found = stack.pop()
        yield at, found
        if isinstance(found, dict):
            stack += [((*at, str(name)), inner) for name, inner in found.items()]
        elif isinstance(found, list):
            stack += [((*at, index), inner) for index, inner in enumerate(found)]
