"""``python -m bench.pictures``: draws what ``bench/results/latest.json`` holds as SVG, for docs/performance.md."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from .children import ROOT
from .report import RESULTS

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 40, 45
COLOURS = ("#2563eb", "#d97706", "#059669")
STYLE = "text{font:12px sans-serif;fill:#374151}.t{font-size:14px;font-weight:600}.g{stroke:#e5e7eb}.b{fill:#fff}"


class Series(NamedTuple):
    name: str
    values: Sequence[float]


def draw(title: str, below: str, labels: Sequence[str], series: Sequence[Series], unit: str) -> str:
    """Lines over evenly spaced places, from zero; each point has its figure."""
    top = _round_up(max((value for line in series for value in line.values), default=1.0))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    xs = [LEFT + wide * (at + 0.5) / max(1, len(labels)) for at in range(len(labels))]

    def y(value: float) -> float:
        return TOP + high * (1 - value / top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="b" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="t" x="{LEFT}" y="20">{escape(title)}</text>',
    ]
    for step in range(5):
        value = top * step / 4
        parts.append(f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.4g}</text>')
    for x, label in zip(xs, labels, strict=True):
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(label)}</text>')
    parts.append(f'<text x="{LEFT + wide / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(below)}</text>')
    for at, line in enumerate(series):
        colour = COLOURS[at % len(COLOURS)]
        points = " ".join(f"{x:.1f},{y(value):.1f}" for x, value in zip(xs, line.values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, value in zip(xs, line.values, strict=True):
            parts.append(f'<circle cx="{x:.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>')
            parts.append(f'<text x="{x:.1f}" y="{y(value) - 7:.1f}" text-anchor="middle">{value:,.4g}</text>')
        key = f"{line.name}, {unit}" if unit else line.name
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{20 + 14 * at}" text-anchor="end" style="fill:{colour}">{escape(key)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten, with room above."""
    size = 10 ** math.floor(math.log10(value * 1.1)) if value > 0 else 1.0
    return next(size * step for step in (1, 2, 2.5, 5, 10) if size * step >= value * 1.1)


def pictures(result: dict[str, Any]) -> dict[str, str]:
    """The pictures that the figures allow, by file name."""
    found, workloads = {}, result["workloads"]
    if levels := workloads.get("in-flight", {}).get("levels"):
        labels = [str(level["in_flight"]) for level in levels]
        rates = [Series("chain-pure", [level["rate"] for level in levels])]
        found["throughput.svg"] = draw("Throughput", "executions in flight", labels, rates, "executions/s")
        spread = [Series(name, [level[f"{name}_ms"] for level in levels]) for name in ("p50", "p99")]
        found["latency.svg"] = draw("Latency, start to completed", "executions in flight", labels, spread, "ms")
    if levels := workloads.get("growth", {}).get("levels"):
        labels = [f"{level['stored']:,}" for level in levels]
        watched = [name for name in ("LinkFlow", "Postgres") if name.lower() in levels[0]["cpu_ms_per_unit"]]
        costs = [Series(name, [level["cpu_ms_per_unit"][name.lower()] for level in levels]) for name in watched]
        found["growth.svg"] = draw("CPU of one chain-pure run", "stored executions", labels, costs, "ms")
    return found


def main() -> None:
    """Draw, and say what was drawn."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description="Pictures of a benchmark's figures.")
    parser.add_argument("--result", type=Path, default=RESULTS / "latest.json")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in pictures(json.loads(options.result.read_text())).items():
        (options.folder / name).write_text(text)
        print(options.folder / name)


if __name__ == "__main__":
    main()
