"""Charts as SVG text: lines over evenly spaced places, and horizontal bars. Axes begin at zero. Colours fit a light page
and a dark one; a background of its own keeps the text readable on any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 720
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 66, 46
PLOT = 210
ROW, BAR = 30, 16
NEAR = 26
"""Two points nearer than this have no room for a figure in between."""
LIGHT = ("#2563eb", "#c2410c", "#047857")
DARK = ("#79aefc", "#f59e5b", "#4cc38a")


class Series(NamedTuple):
    """A line: its name and its values, one a place."""

    name: str
    values: Sequence[float]


class Bar(NamedTuple):
    """`group` picks the colour; `text` stands behind the bar, `below` in small letters under its name."""

    name: str
    value: float
    text: str
    group: int = 0
    below: str = ""


class Words(NamedTuple):
    """What stands above a chart, and what its figures are."""

    title: str
    unit: str
    small: str = ""


def lines(words: Words, below: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """Each point has its figure; of two that are close the lower one has it below, or both have them above."""
    top = round_up(max((value for line in series for value in line.values), default=1.0))
    wide, height = WIDTH - LEFT - RIGHT, TOP + PLOT + BOTTOM
    xs = [LEFT + wide * (at + 0.5) / max(1, len(labels)) for at in range(len(labels))]

    def y(value: float) -> float:
        return TOP + PLOT * (1 - value / top)

    parts = []
    for step in range(5):
        value = top * step / 4
        parts.append(f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(_text(LEFT - 8, y(value) + 4, f"{value:,.4g}", "m", "end"))
    for x, label in zip(xs, labels, strict=True):
        parts.append(_text(x, TOP + PLOT + 18, label, "m", "middle"))
    parts.append(_text(LEFT + wide / 2, height - 8, below, "m", "middle"))
    for at, line in enumerate(series):
        points = " ".join(f"{x:.1f},{y(value):.1f}" for x, value in zip(xs, line.values, strict=True))
        parts.append(f'<polyline class="s{at}" points="{points}"/>')
    for at, line in enumerate(series):
        for place, (x, value) in enumerate(zip(xs, line.values, strict=True)):
            parts.append(f'<circle class="f{at}" cx="{x:.1f}" cy="{y(value):.1f}" r="3.5"/>')
            lift = _lift(y(value), [y(other.values[place]) for other in series if other is not line])
            parts.append(_text(x, y(value) + lift, figure(value), f"l f{at}", "middle"))
    if len(series) > 1:
        parts.append(_legend([line.name for line in series]))
    return _page(words, height, parts)


def bars(words: Words, rows: Sequence[Bar], groups: Sequence[str], left: int = 190) -> str:
    """One row each, as they come; `groups` are the colours' names, `left` the room for the rows' names."""
    top = max((bar.value for bar in rows), default=1.0) or 1.0
    room, height = WIDTH - left - RIGHT - 80, TOP + ROW * len(rows) + 14
    parts = [f'<line class="g" x1="{left}" x2="{left}" y1="{TOP - 4}" y2="{height - 10}"/>']
    for at, bar in enumerate(rows):
        y, wide = TOP + ROW * at, max(1.0, room * bar.value / top)
        parts.append(f'<rect class="f{bar.group}" x="{left}" y="{y:.1f}" width="{wide:.1f}" height="{BAR}" rx="2"/>')
        parts.append(_text(left - 8, y + (9 if bar.below else 12), bar.name, "h", "end"))
        if bar.below:
            parts.append(_text(left - 8, y + 21, bar.below, "e", "end"))
        parts.append(_text(left + wide + 8, y + 12, bar.text, "h", "start"))
    parts.append(_legend(groups))
    return _page(words, height, parts)


def _lift(y: float, others: Sequence[float]) -> float:
    """Where a point's figure stands: above it; below it where another line is close above; and where there is no room
    for that over the axis, under the other's figure, which makes room."""
    above, below = any(0 < y - other < NEAR for other in others), any(0 <= other - y < NEAR for other in others)
    cramped = max([y, *(other for other in others if abs(other - y) < NEAR)]) + 20 > TOP + PLOT
    if cramped and below:
        return -23
    if above:
        return min(other for other in others if 0 < y - other < NEAR) - y - 10 if cramped else 18
    return -9


def figure(value: float) -> str:
    """With three digits that mean something, and no more behind the point than that takes."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def round_up(value: float) -> float:
    """The next of 1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8 and 10 times a power of ten, with room for a label above."""
    size = 10 ** math.floor(math.log10(value * 1.08)) if value > 0 else 1.0
    return next(size * step for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if size * step >= value * 1.08)


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(names: Sequence[str]) -> str:
    parts, x = [], float(WIDTH - RIGHT)
    for at, name in reversed(list(enumerate(names))):
        parts.append(_text(x, 24, name, "h", "end"))
        x -= 6.6 * len(name) + 18
        parts.append(f'<rect class="f{at}" x="{x:.1f}" y="15" width="10" height="10" rx="2"/>')
        x -= 14
    return "".join(parts)


def _style() -> str:
    def colours(names: Sequence[str], page: str, text: str, soft: str, grid: str) -> str:
        series = "".join(f".s{at}{{stroke:{one}}}.f{at}{{fill:{one}}}" for at, one in enumerate(names))
        return (
            f".b{{fill:{page}}}.t,.h{{fill:{text}}}.m,.e{{fill:{soft}}}.g{{stroke:{grid}}}text{{stroke:{page}}}{series}"
        )

    return (
        "text{font:12px system-ui,sans-serif;stroke-width:3px;paint-order:stroke;stroke-linejoin:round}"
        ".t{font-size:15px;font-weight:600}.e{font-size:10px}polyline{fill:none;stroke-width:2.5}"
        + colours(LIGHT, "#ffffff", "#1f2328", "#59636e", "#d8dee4")
        + "@media(prefers-color-scheme:dark){"
        + colours(DARK, "#0d1117", "#e6edf3", "#9198a1", "#30363d")
        + "}"
    )


def _page(words: Words, height: int, parts: Sequence[str]) -> str:
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape(words.title)}, {escape(words.unit)}</title><style>{_style()}</style>",
        f'<rect class="b" width="{WIDTH}" height="{height}" rx="6"/>',
        _text(16, 25, f"{words.title}, {words.unit}", "t", "start"),
        _text(16, 44, words.small, "m", "start"),
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
