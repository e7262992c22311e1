"""Sending many in batches of ten, as SQS and EventBridge take them: what failed is told item by item."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from pydantic import Field

from linkflow.nodes.about import Fault
from linkflow.nodes.aws import AwsParams
from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.fields import ui

AT_ONCE = 10
TRIES = 3
"""How often what the service could not take is offered to it."""
PAUSE = 0.2
"""Seconds before it is offered again; twice as much each time."""
TOLD = 50
"""Failed items that an error's details list."""

PARTIAL = Fault("aws_partial", "Some were taken and some were not; `details.failed` lists those.")


class BatchParams(AwsParams):
    """Fields of nodes that send many."""

    on_failed: Literal["fail", "collect"] = Field(
        "fail",
        description="What becomes of a batch that was taken in part: fail the node, or hand on `failed`.",
        json_schema_extra=ui(group="Many"),
    )


class Answer(Struct, frozen=True):
    """What became of one item: `output` where it was taken, else a code, and whether it may be offered again."""

    output: dict[str, Any] | None = None
    code: str = ""
    message: str = ""
    retryable: bool = False


Send = Callable[[Sequence[tuple[int, Any]]], Awaitable[dict[int, Answer]]]
"""Sends up to ten (place, entry); answers by place."""


def chunks(entries: Sequence[tuple[int, Any]], most_bytes: int) -> Iterator[list[tuple[int, Any]]]:
    """Entries in tens, none of more than so many bytes together (an entry of its own is sent whatever it is)."""
    chunk: list[tuple[int, Any]] = []
    size = 0
    for place, entry in entries:
        weight = len(msgspec.json.encode(entry))
        if chunk and (len(chunk) == AT_ONCE or size + weight > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append((place, entry))
        size += weight
    if chunk:
        yield chunk


async def send_all(
    entries: Sequence[Any], send: Send, context: Context, *, most_bytes: int = 256 * 1024, collect: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Send `entries`; what the service could not take is offered again. Those that were taken, and those that were not.

    Raises `NodeFailure` ``aws_partial`` for any that was not, unless `collect`. It is not retried: another attempt
    would send again what was taken. Where a call as a whole fails before anything was taken, that error goes on.
    """
    done: dict[int, Answer] = {}
    left: list[tuple[int, Any]] = list(enumerate(entries))
    for turn in range(TRIES):
        if turn:
            import asyncio  # it brings TLS with it

            await asyncio.sleep(PAUSE * 2**turn)
        for chunk in chunks(left, most_bytes):
            done |= await _offer(chunk, send, any(one.output is not None for one in done.values()))
            await context.heartbeat({"done": sum(one.output is not None for one in done.values()), "of": len(entries)})
        left = [(place, entry) for place, entry in left if done[place].output is None and done[place].retryable]
        if not left:
            break
    taken = [{"index": place, **one.output} for place, one in sorted(done.items()) if one.output is not None]
    failed = [
        {"index": place, "code": one.code, "message": one.message, "retryable": one.retryable}
        for place, one in sorted(done.items())
        if one.output is None
    ]
    if failed and not collect:
        text = f"{len(failed)} of {len(entries)} were not taken; the first: {failed[0]['code']} {failed[0]['message']}"
        details = {"failed": failed[:TOLD], "failed_count": len(failed), "taken_count": len(taken)}
        raise NodeFailure("aws_partial", text.strip(), retryable=False, details=details)
    return taken, failed


async def _offer(chunk: Sequence[tuple[int, Any]], send: Send, begun: bool) -> dict[int, Answer]:
    """Answers for one chunk. An error of the whole call is theirs once others were taken."""
    try:
        return await send(chunk)
    except NodeFailure as failure:
        if not begun:
            raise
        error = failure.error
        code = str(error.details.get("code") or error.code)
        return {place: Answer(code=code, message=error.message, retryable=error.retryable) for place, _ in chunk}
