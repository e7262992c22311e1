"""Methods of texts. Positions count characters (code points), where JavaScript counts UTF-16 units."""

from __future__ import annotations

from typing import Any

from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.values import WHITESPACE, to_index, to_text


def to_upper(run: Run, text: str) -> str:
    return run.text(text.upper())


def to_lower(run: Run, text: str) -> str:
    return run.text(text.lower())


def trim(run: Run, text: str) -> str:
    return run.text(text.strip(WHITESPACE))


def trim_start(run: Run, text: str) -> str:
    return run.text(text.lstrip(WHITESPACE))


def trim_end(run: Run, text: str) -> str:
    return run.text(text.rstrip(WHITESPACE))


def split(run: Run, text: str, separator: Any = None, limit: Any = None) -> list[str]:
    run.read(text)
    if separator is None:
        parts = [text]
    else:
        by = to_text(separator, run)
        run.handle(text.count(by))
        parts = text.split(by) if by else list(text)
    return parts if limit is None else parts[: to_index(limit, run, 0) & 0xFFFFFFFF]


def replace(run: Run, text: str, old: Any, new: Any) -> str:
    """The first match only, as JavaScript's."""
    return _replaced(run, text, to_text(old, run), to_text(new, run), 1)


def replace_all(run: Run, text: str, old: Any, new: Any) -> str:
    return _replaced(run, text, to_text(old, run), to_text(new, run), -1)


def _replaced(run: Run, text: str, old: str, new: str, times: int) -> str:
    run.read(text)
    found = text.count(old)
    run.room(len(text) + (min(found, 1) if times == 1 else found) * max(0, len(new) - len(old)))
    return text.replace(old, new, times)


def starts_with(run: Run, text: str, start: Any, position: Any = None) -> bool:
    run.read(text)
    return text.startswith(to_text(start, run), _clamp(to_index(position, run, 0), text))


def ends_with(run: Run, text: str, end: Any, length: Any = None) -> bool:
    run.read(text)
    return text.endswith(to_text(end, run), 0, _clamp(to_index(length, run, len(text)), text))


def includes(run: Run, text: str, part: Any, position: Any = None) -> bool:
    return index_of(run, text, part, position) >= 0


def index_of(run: Run, text: str, part: Any, position: Any = None) -> int:
    run.read(text)
    return text.find(to_text(part, run), _clamp(to_index(position, run, 0), text))


def last_index_of(run: Run, text: str, part: Any) -> int:
    run.read(text)
    return text.rfind(to_text(part, run))


def pad_start(run: Run, text: str, width: Any, fill: Any = " ") -> str:
    return _padding(run, text, width, fill) + text


def pad_end(run: Run, text: str, width: Any, fill: Any = " ") -> str:
    return text + _padding(run, text, width, fill)


def _padding(run: Run, text: str, width: Any, fill: Any) -> str:
    wanted = to_index(width, run, 0)
    filler = " " if fill is None else to_text(fill, run)
    missing = wanted - len(text)
    if missing <= 0 or not filler:
        return ""
    run.room(wanted)
    return (filler * (missing // len(filler) + 1))[:missing]


def repeat(run: Run, text: str, times: Any) -> str:
    count = max(0, to_index(times, run, 0))
    run.room(len(text) * count)
    return text * count if text else ""


def substring(run: Run, text: str, start: Any, end: Any = None) -> str:
    low, high = _clamp(to_index(start, run, 0), text), _clamp(to_index(end, run, len(text)), text)
    return run.text(text[min(low, high) : max(low, high)])


def slice_text(run: Run, text: str, start: Any = None, end: Any = None) -> str:
    return run.text(text[to_index(start, run, 0) : to_index(end, run, len(text))])


def char_at(run: Run, text: str, position: Any = None) -> str:
    place = to_index(position, run, 0)
    return text[place] if 0 <= place < len(text) else ""


def at(run: Run, text: str, position: Any = None) -> str | None:
    place = to_index(position, run, 0)
    return text[place] if -len(text) <= place < len(text) else None


def concat(run: Run, text: str, *others: Any) -> str:
    texts = [text, *(to_text(other, run) for other in others)]
    run.room(sum(map(len, texts)))
    return "".join(texts)


def locale_compare(run: Run, text: str, other: Any) -> int:
    """Without regard to case first, then with it; no language's own order."""
    run.read(text)
    right = to_text(other, run)
    run.read(right)
    mine, theirs = (text.casefold(), text), (right.casefold(), right)
    return (mine > theirs) - (mine < theirs)


def _clamp(position: int, text: str) -> int:
    return max(0, min(len(text), position))
