"""A run's timeline and the difference of two runs, drawn as text."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

MARKS = {"queued": "·", "ran": "█", "waited": "░", "backoff": "~", "paused": "="}
LEGEND = "· queued  █ ran  ░ waited  ~ backoff"


def timeline(found: dict[str, Any], width: int) -> list[str]:
    """A line for each node run, its spans on one scale."""
    begin, end = _ms(found["started_at"]), _ms(found["ended_at"] or found["at"])
    span = max(1.0, end - begin)
    names = [_name(node) for node in found["nodes"]]
    left = min(40, max([4, *(len(name) for name in names)]))
    bar = max(20, width - left - 12)
    title = f"{found['execution']['id']}  {found['execution']['status']}  {took(span)}"
    rows = [title]
    for node, name in zip(found["nodes"], names, strict=True):
        cells = [" "] * bar
        for one in node["spans"]:
            first = int((_ms(one["start"]) - begin) / span * bar)
            last = int(((_ms(one["end"]) if one["end"] else end) - begin) / span * bar)
            for place in range(max(0, min(first, bar - 1)), min(max(last, first + 1), bar)):
                cells[place] = MARKS[one["phase"]]
        whole = sum(node[f"{phase}_ms"] for phase in ("ran", "waited", "backoff"))
        rows.append(f"{name[:left]:<{left}} {''.join(cells)} {took(whole):>9}")
    return [*rows, LEGEND]


def difference(found: dict[str, Any]) -> list[str]:
    """What the second run did otherwise, as lines: ``-`` of the first, ``+`` of the second."""
    before, after, nodes = found["before"], found["after"], found["nodes"]
    rows = [f"- {before['id']}  {before['status']}", f"+ {after['id']}  {after['status']}"]
    rows += [f"  {name}: {old} -> {new}" for name, (old, new) in found["execution"].items()]
    for title, part in (("trigger data", found["trigger_data"]), ("result", found["result"])):
        if part:
            rows += [title, *_places(part)]
    rows += [f"- {key}  (only in the first)" for key in nodes["only_before"]]
    rows += [f"+ {key}  (only in the second)" for key in nodes["only_after"]]
    for node in nodes["changed"]:
        rows.append(f"~ {node['key']}: {', '.join(node['changed'])}")
        for name in ("status", "attempt", "error"):
            if name in node["changed"]:
                rows += [f"  - {name} {_text(node['before'][name])}", f"  + {name} {_text(node['after'][name])}"]
        rows += _places(node["output"])
        if node["more"]:
            rows.append("  ... and more")
    if found["path"]:
        rows += [f"  way - {' '.join(found['path'][0])}", f"  way + {' '.join(found['path'][1])}"]
    return [*rows, f"{len(nodes['same'])} node runs came to the same."]


def took(ms: float) -> str:
    """A duration for people."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.1f} min"


def _places(found: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in found:
        place = one["path"] or "/"
        if "before" in one:
            rows.append(f"  - {place} {_text(one['before'])}")
        if "after" in one:
            rows.append(f"  + {place} {_text(one['after'])}")
    return rows


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "..."


def _name(node: dict[str, Any]) -> str:
    _, bracket, path = str(node["key"]).partition("[")
    return str(node["name"]) + bracket + path


def _ms(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000
