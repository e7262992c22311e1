"""Regular expressions that no pattern can make slow.

Workflow authors and the data they match are strangers, and a backtracking matcher takes exponential time on patterns
such as ``(a+)+$``. This one walks all alternatives at once (Thompson 1968; Pike's form with a set of program counters),
so the time is bounded by pattern size times text size, and a step budget bounds that product too. The syntax is RE2's,
which the original used: no back-references, no look-around. Single characters and classes are left to `re`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

MAX_PATTERN = 500
MAX_TEXT = 20_000
MAX_STATES = 1_000
MAX_STEPS = 500_000

_Node = tuple[
    str, object
]  # ("char", test) | ("assert", kind) | ("cat", [..]) | ("alt", [..]) | ("repeat", (node, min, max))
_Test = Callable[[str], object]
_COUNT = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")
_GROUP = re.compile(r"\?(:|P?<[A-Za-z_]\w*>)")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?(\\.|[^\]\\])*\]", re.DOTALL)
_FLAGS = re.compile(r"\(\?([ims]+)\)")


class BadPattern(ValueError):
    """The pattern is not one this matcher takes; the message says why."""


class TooMuchWork(ValueError):
    """Text and pattern together are over the step budget."""


class _Parser:
    """Recursive descent over the pattern text."""

    def __init__(self, pattern: str) -> None:
        self.text, self.at, self.flags = pattern, 0, 0
        if found := _FLAGS.match(pattern):
            self.at = found.end()
            for letter in found[1]:
                self.flags |= {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}[letter]

    def parse(self) -> _Node:
        node = self._alternatives()
        if self.at < len(self.text):
            raise BadPattern(f"unexpected ')' at character {self.at + 1}")
        return node

    def _alternatives(self) -> _Node:
        branches = [self._sequence()]
        while self.at < len(self.text) and self.text[self.at] == "|":
            self.at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else ("alt", branches)

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._quantified(self._atom()))
        return ("cat", parts)

    def _quantified(self, node: _Node) -> _Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        low, high = bounds
        if high is not None and high < low:
            raise BadPattern("a repeat's end is before its start")
        if self.at < len(self.text) and self.text[self.at] == "?":
            self.at += 1  # lazy or not, the same texts match
        if self.at < len(self.text) and (self.text[self.at] in "*+?" or _COUNT.match(self.text, self.at)):
            raise BadPattern(f"nothing to repeat at character {self.at + 1}")
        return ("repeat", (node, low, high))

    def _bounds(self) -> tuple[int, int | None] | None:
        sign = self.text[self.at : self.at + 1]
        if sign and sign in "*+?":
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        if found := _COUNT.match(self.text, self.at):
            self.at = found.end()
            low = int(found[1])
            return (low, low) if not found[2] else (low, int(found[3]) if found[3] else None)
        return None

    def _atom(self) -> _Node:
        sign = self.text[self.at]
        if sign == "(":
            return self._group()
        if sign in "*+?":
            raise BadPattern(f"nothing to repeat at character {self.at + 1}")
        if sign in "^$":
            self.at += 1
            return ("assert", sign)
        if sign == "[" or sign == "\\":
            return self._set_or_escape(_CLASS if sign == "[" else _ESCAPE)
        self.at += 1
        return ("char", self._test("." if sign == "." else re.escape(sign)))

    def _group(self) -> _Node:
        self.at += 1
        if self.text[self.at : self.at + 1] == "?":
            found = _GROUP.match(self.text, self.at)
            if not found:
                raise BadPattern("look-around, flags in the middle and other (?…) groups are not supported")
            self.at = found.end()
        node = self._alternatives()
        if self.at >= len(self.text):
            raise BadPattern("a '(' is not closed")
        self.at += 1
        return node

    def _set_or_escape(self, form: re.Pattern[str]) -> _Node:
        found = form.match(self.text, self.at)
        if not found:
            raise BadPattern(f"unfinished {self.text[self.at]!r} at character {self.at + 1}")
        self.at = found.end()
        atom = found[0]
        if atom in (r"\b", r"\B", r"\A", r"\Z", r"\z"):
            return ("assert", r"\Z" if atom == r"\z" else atom)
        if atom[0] == "\\" and atom[1].isdecimal():
            raise BadPattern("back-references are not supported")
        return ("char", self._test(atom))

    def _test(self, atom: str) -> _Test:
        try:
            return re.compile(atom, self.flags).fullmatch
        except re.error as error:
            raise BadPattern(f"{atom}: {error.msg}") from None


class Pattern:
    """A compiled pattern; `search` says whether it matches anywhere in a text."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise BadPattern(f"the pattern is longer than {MAX_PATTERN} characters")
        parser = _Parser(pattern)
        try:
            tree = parser.parse()
            self._multiline = bool(parser.flags & re.MULTILINE)
            self._code: list[tuple[str, object, int, int]] = []  # op, argument, next, other next
            self._start = self._emit(tree, self._add("match", None))
        except RecursionError:
            raise BadPattern("the pattern is nested too deeply") from None

    def _add(self, op: str, argument: object, following: int = 0, other: int = -1) -> int:
        if len(self._code) >= MAX_STATES:
            raise BadPattern("the pattern is too big: use smaller repeats")
        self._code.append((op, argument, following, other))
        return len(self._code) - 1

    def _emit(self, node: _Node, following: int) -> int:
        """Code for `node` that goes on at `following`; back to front, so the answer is where it starts."""
        kind, value = node
        if kind in ("char", "assert"):
            return self._add(kind, value, following)
        if kind == "cat":
            for part in reversed(value):  # type: ignore[call-overload]
                following = self._emit(part, following)
            return following
        if kind == "alt":
            starts = [self._emit(branch, following) for branch in value]  # type: ignore[attr-defined]
            start: int = starts.pop()
            while starts:
                start = self._add("split", None, starts.pop(), start)
            return start
        return self._emit_repeat(value, following)  # type: ignore[arg-type]

    def _emit_repeat(self, repeat: tuple[_Node, int, int | None], following: int) -> int:
        node, low, high = repeat
        if high is None:
            loop = self._add("split", None, 0, following)
            self._code[loop] = ("split", None, self._emit(node, loop), following)
            following = loop
        else:
            end = following
            for _ in range(high - low):
                following = self._add("split", None, self._emit(node, following), end)
        for _ in range(low):
            following = self._emit(node, following)
        return following

    def search(self, text: str) -> bool:
        """Does the pattern match somewhere in `text`? Raises `TooMuchWork` over the budget."""
        if len(text) > MAX_TEXT:
            raise TooMuchWork(f"the text is longer than {MAX_TEXT} characters")
        budget = MAX_STEPS
        waiting: list[int] = []
        for at in range(len(text) + 1):
            reached = self._follow([*waiting, self._start], text, at)
            if reached is None:
                return True
            budget -= len(reached) + 1
            if budget < 0:
                raise TooMuchWork("the text is too long for this pattern")
            if at < len(text):
                sign, waiting = text[at], []
                for state in reached:
                    _, test, following, _ = self._code[state]
                    if test(sign):  # type: ignore[operator]
                        waiting.append(following)
        return False

    def _follow(self, states: list[int], text: str, at: int) -> list[int] | None:
        """The states that wait for the character at `at`; None if the match is complete."""
        seen: set[int] = set()
        reached: list[int] = []
        while states:
            state = states.pop()
            if state in seen:
                continue
            seen.add(state)
            op, argument, following, other = self._code[state]
            if op == "match":
                return None
            if op == "char":
                reached.append(state)
            elif op == "split":
                states += (other, following)
            elif self._holds(str(argument), text, at):
                states.append(following)
        return reached

    def _holds(self, kind: str, text: str, at: int) -> bool:
        if kind == "^":
            return at == 0 or (self._multiline and text[at - 1] == "\n")
        if kind == "$":
            return at == len(text) or (self._multiline and text[at] == "\n")
        if kind in (r"\A", r"\Z"):
            return at == (0 if kind == r"\A" else len(text))
        before = at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")
        after = at < len(text) and (text[at].isalnum() or text[at] == "_")
        return (before != after) == (kind == r"\b")


@lru_cache(maxsize=512)
def compile(pattern: str) -> Pattern:
    """The compiled form of `pattern`. Raises `BadPattern`."""
    return Pattern(pattern)
