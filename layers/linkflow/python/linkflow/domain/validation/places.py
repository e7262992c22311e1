"""Where the stored form of a definition came from in the document that its author wrote.

Importing moves things: config out of `data`, a trigger's settings out of `trigger_config`. A `Places` keeps the way
back, so a fault found in the stored form is shown where the author can mend it.
"""

from __future__ import annotations

MAX_SHOWN = 80
"""Characters of a foreign text that a message repeats."""


class Places:
    """JSON Pointers (RFC 6901) into the stored form, mapped to pointers into the document as given."""

    __slots__ = ("_given", "_reported")

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._reported: set[str] = set()

    def note(self, stored: str, given: str) -> None:
        """What the stored form has at `stored`, and below it, the author wrote at `given`."""
        self._given[stored] = given

    def mark(self, stored: str) -> None:
        """What stands at `stored` could not be read and was reported: further faults there would only be noise."""
        self._reported.add(stored)

    def given(self, stored: str) -> str:
        """The author's place for a pointer into the stored form: the nearest noted one above it, and the rest."""
        above, rest = stored, ""
        while above not in self._given:
            if not above:
                return stored
            cut = above.rindex("/")
            above, rest = above[:cut], above[cut:] + rest
        return self._given[above] + rest

    def is_marked(self, stored: str) -> bool:
        """Was this place, or one above it, reported already?"""
        while stored:
            if stored in self._reported:
                return True
            stored = stored[: stored.rindex("/")]
        return False


def step(key: str | int) -> str:
    """One step of a JSON Pointer."""
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def show(value: object) -> str:
    """A foreign value for a message: quoted, without raw control characters, and never long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= MAX_SHOWN else repr(value[:MAX_SHOWN]) + "…"
    if value is None or isinstance(value, (bool, int, float)):
        return str(value) if not isinstance(value, int) or value.bit_length() < 200 else "a huge number"
    return f"a {_KINDS.get(type(value), 'value that JSON does not have')}"


_KINDS: dict[type, str] = {dict: "JSON object", list: "JSON list"}


def printable(text: str) -> str:
    """`text` as UTF-8 can carry it: a lone surrogate becomes its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
