"""A closer look at a run: its node runs with payloads by size, its log, its timeline, its state at any event, and what
another run did otherwise."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query
from starlette.responses import Response

from linkflow.domain.comparison import NodeDifference, Side
from linkflow.domain.differences import Difference
from linkflow.domain.loglines import LogLine
from linkflow.domain.portions import at_pointer, portion
from linkflow.domain.state import State
from linkflow.domain.timelines import BACKOFF, QUEUED, RAN, WAITED, Track
from linkflow.services.executions import MAX_WAIT
from linkflow.services.inspecting import Drawn
from linkflow.services.noderuns import PUBLIC_STATUS

from . import shapes
from .bodies import Cursor
from .executions import EventId, Viewer
from .paging import id_cursor
from .payloads import INLINE, Shelf, segment, shown, unsegmented
from .replying import reply
from .routing import router as new_router
from .shapes import Json, at
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/executions/{execution_id}", tags=["Executions"])

Inline = Annotated[int, Query(ge=0, le=4 * 1024 * 1024)]
Level = Annotated[str, Query(pattern="^(debug|info|warning|error)?$")]
NodeKey = Annotated[str, Query(max_length=300)]
Wait = Annotated[float, Query(ge=0, le=MAX_WAIT)]
DIFFERENT_BYTES = 2000


@router.get("/nodes/{key}")
async def node(execution_id: str, key: str, services: Given, who: Viewer, inline: Inline = 262_144) -> Response:
    """One node run. Values larger than `inline` bytes come as previews, with where they are in full."""
    found = await services.inspecting.node(who, execution_id, unsegmented(key), inline)
    return reply({"node": shapes.node_run(found, who.workspace_id, execution_id, Shelf(who.workspace_id, inline))})


@router.get("/nodes/{key}/{side}")
async def payload(
    execution_id: str,
    key: str,
    side: str,
    services: Given,
    who: Viewer,
    pointer: Annotated[str, Query(max_length=2000)] = "",
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 100,
) -> Response:
    """A node run's `input` or `output`, a page at a time: items of an array, members of an object, characters of a
    string. `pointer` (a JSON pointer) leads to a part of it."""
    found = await services.inspecting.payload(who, execution_id, unsegmented(key), side)
    part = portion(at_pointer(found, pointer), offset, limit)
    meta = {"type": part.type, "total": part.total, "offset": part.offset, "next_offset": part.next}
    return reply({"data": shown(part.data, who.workspace_id), "meta": meta})


@router.get("/logs")
async def logs(
    execution_id: str,
    services: Given,
    who: Viewer,
    node: NodeKey = "",
    level: Level = "",
    cursor: Cursor = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    wait: Wait = 0.0,
) -> Response:
    """What its nodes have written, and which attempts failed; of at least a level, of one node or of all.

    `meta.cursor` goes on from here at any time. With `wait`, a run that goes on is waited for: so many seconds.
    """
    page = await services.inspecting.log(
        who, execution_id, node=node, level=level, cursor=cursor, limit=limit, wait=wait
    )
    meta = {"cursor": page.cursor, "more": page.more, "closed": page.closed}
    return reply({"data": [_line(line) for line in page.lines], "meta": meta})


@router.get("/timeline")
async def timeline(execution_id: str, services: Given, who: Viewer) -> Response:
    """When each node run was queued, ran and waited, attempt by attempt: what a Gantt chart draws."""
    return reply({"timeline": _drawn(await services.inspecting.timeline(who, execution_id), services.clock.now_ms())})


@router.get("/state")
async def state(execution_id: str, services: Given, who: Viewer, at: EventId = 0, inline: Inline = INLINE) -> Response:
    """The run's state right after event `at` (0: now), folded from its events."""
    found = await services.inspecting.state_at(who, execution_id, at)
    return reply({"state": _state(found, who.workspace_id, inline)})


@router.get("/diff")
async def diff(
    execution_id: str, services: Given, who: Viewer, other: Annotated[str, Query(alias="with", max_length=36)]
) -> Response:
    """What the run `with` did otherwise than this one: which nodes ran, what they came to, by which way, and the
    results."""
    found = await services.inspecting.compare(who, execution_id, id_cursor(other))
    compared = found.nodes
    before, after = shapes.execution(found.before), shapes.execution(found.after)
    names = ("workflow_id", "workflow_version", "status", "mode")
    return reply(
        {
            "diff": {
                "before": before,
                "after": after,
                "execution": {name: [before[name], after[name]] for name in names if before[name] != after[name]},
                "nodes": {
                    "same": compared.same,
                    "changed": [_changed(one) for one in compared.changed],
                    "only_before": compared.only_before,
                    "only_after": compared.only_after,
                },
                "path": list(compared.path) if compared.path else None,
                "trigger_data": [_difference(one) for one in found.trigger],
                "result": [_difference(one) for one in found.results],
            }
        }
    )


def _line(line: LogLine) -> Json:
    return {
        "event_id": line.event_id,
        "at": at(line.at),
        "node": line.node,
        "attempt": line.attempt,
        "level": line.level,
        "source": line.source,
        "message": line.message,
    }


def _drawn(found: Drawn, now: int) -> Json:
    drawn, execution = found.timelines, found.execution
    return {
        "execution": shapes.execution(execution),
        "started_at": at(drawn.started_at),
        "ended_at": at(drawn.closed_at),
        "at": at(drawn.closed_at or now),
        "run": [{"phase": one.phase, "start": at(one.start), "end": at(one.end)} for one in drawn.run],
        "nodes": [_track(track, found, drawn.closed_at or now) for track in drawn.tracks.values()],
    }


def _track(track: Track, found: Drawn, now: int) -> Json:
    node = found.nodes.get(track.key.rpartition("[")[0] if track.key.endswith("]") else track.key)
    return {
        "key": track.key,
        "node_id": node.id if node else track.key,
        "name": node.label if node else track.key,
        "type": node.type if node else None,
        "status": track.status,
        "attempt": track.attempt,
        "kept": track.kept,
        "spans": [
            {"phase": one.phase, "start": at(one.start), "end": at(one.end), "attempt": one.attempt}
            for one in track.spans
        ],
        **{f"{phase}_ms": track.total(phase, now) for phase in (QUEUED, RAN, WAITED, BACKOFF)},
    }


def _state(state: State, workspace_id: str, inline: int) -> Json:
    """All that the run knows, but for where its caller is rung. Large values come as previews."""
    shelf = Shelf(workspace_id, inline)
    run = f"/api/v1/workspaces/{workspace_id}/executions/{state.execution_id}"
    document: Json = msgspec.to_builtins(state)
    document.pop("reply_to", None)
    for name in ("trigger", "result"):
        if name in document:
            document[name] = shelf.put(document[name], run)
    for key, found in document.get("runs", {}).items():
        found["status"] = PUBLIC_STATUS.get(found["status"], found["status"])
        if "output" in found:
            found["output"] = shelf.put(found["output"], f"{run}/nodes/{segment(key)}/output")
    for key, loop in document.get("loops", {}).items():
        loop["items"] = shelf.put(loop.get("items", []), f"{run}/nodes/{segment(key)}/input")
        if "results" in loop:
            loop["results"] = shelf.put(loop["results"], f"{run}/nodes/{segment(key)}")
    return _linked(document, workspace_id)


def _linked(document: Json, workspace_id: str) -> Json:
    return {
        name: value if name in ("trigger", "result", "runs", "loops") else shown(value, workspace_id)
        for name, value in document.items()
    }


def _changed(one: NodeDifference) -> Json:
    return {
        "key": one.key,
        "changed": one.changed,
        "before": _side(one.before),
        "after": _side(one.after),
        "output": [_difference(found) for found in one.output],
        "more": one.more,
    }


def _side(side: Side) -> Json:
    return {
        "status": side.status, "attempt": side.attempt, "error": side.error, "duration_ms": side.duration_ms
    }  # fmt: skip


def _difference(found: Difference) -> Json:
    told: Json = {"path": found.path}
    for name, value in (("before", found.before), ("after", found.after)):
        if value is not msgspec.UNSET:
            told[name] = _short(value)
    return told


def _short(value: Any) -> Any:
    """One value of a difference; a large one is cut."""
    text = msgspec.json.encode(value)
    return value if len(text) <= DIFFERENT_BYTES else {"$cut": text[:DIFFERENT_BYTES].decode(errors="ignore")}
