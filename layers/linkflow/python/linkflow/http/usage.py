"""Statistics of a workspace's runs, and what they used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response

from linkflow.contracts.usage import MANY
from linkflow.domain.state import CLOSED
from linkflow.services.usage import Bucket, Statistics

from .executions import Viewer
from .moments import Moment
from .paging import id_cursor
from .replying import reply
from .routing import router as new_router
from .shapes import Json, at
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Executions"])

From = Annotated[Moment | None, Query(alias="from")]
To = Annotated[Moment | None, Query(alias="to")]


@router.get("/executions/stats")
async def stats(
    services: Given,
    who: Viewer,
    bucket: Literal["minute", "hour", "day"] = "hour",
    first: From = None,
    beyond: To = None,
    workflow_id: str = "",
) -> Response:
    """How runs went, by minute (two days back), hour or day (UTC): how many started and ended, error rate, p50 and p95
    of how long they took. A run that was retried has ended each time."""
    found = await services.usage.statistics(
        who, workflow_id=id_cursor(workflow_id), bucket=bucket, first=_ms(first), beyond=_ms(beyond)
    )
    return reply(
        {
            "stats": {
                "bucket": bucket,
                "from": at(found.first),
                "to": at(found.beyond),
                "open": {status: {"count": count, "more": count >= MANY} for status, count in found.open.items()},
                "total": _stats(found.total),
                "series": [{"at": at(one.span.at), **_stats(one)} for one in found.buckets],
            }
        }
    )


@router.get("/usage")
async def usage(services: Given, who: Viewer, first: From = None, beyond: To = None, workflow_id: str = "") -> Response:
    """What runs used, by day (UTC): executions, node runs, compute, stored bytes, tokens of language models."""
    found = await services.usage.statistics(
        who, workflow_id=id_cursor(workflow_id), bucket="day", first=_ms(first), beyond=_ms(beyond)
    )
    days = [{"date": (at(one.span.at) or "")[:10], **_usage(one)} for one in found.buckets]
    return reply({"usage": {**_range(found), "total": _usage(found.total), "days": days}})


def _range(found: Statistics) -> Json:
    return {"from": at(found.first), "to": at(found.beyond)}


def _stats(one: Bucket) -> Json:
    return {
        "started": one.span.started,
        "ended": sum(one.span.ended.values()),
        **{status: one.span.ended.get(status, 0) for status in CLOSED},
        "error_rate": one.error_rate,
        "p50_ms": one.p50_ms,
        "p95_ms": one.p95_ms,
    }


def _usage(one: Bucket) -> Json:
    return {
        "executions": one.span.started,
        "executions_ended": sum(one.span.ended.values()),
        "node_runs": one.span.nodes,
        "compute_ms": round(one.span.compute_us / 1000, 3),
        "payload_bytes": one.span.bytes,
        "ai": {
            "input_tokens": one.span.ai_input,
            "output_tokens": one.span.ai_output,
            "cost_usd": round(one.span.ai_cost / 1_000_000, 6),
        },
    }


def _ms(moment: datetime | None) -> int:
    return max(0, round(moment.timestamp() * 1000)) if moment else 0
