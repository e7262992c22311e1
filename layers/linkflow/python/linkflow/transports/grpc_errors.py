"""The error tree on gRPC: a status code that any client understands, and trailing metadata that holds all of it."""

from __future__ import annotations

import grpc
import msgspec

from linkflow.domain import errors
from linkflow.domain.errors import ErrorData, LinkFlowError

TRAILER = "linkflow-error-bin"
METADATA_LIMIT = 1024 * 1024
"""Bytes of metadata that both ends accept; gRPC's own 8 KB would drop an error with many problems."""
_TRAILER_LIMIT = METADATA_LIMIT // 2

_STATUS: tuple[tuple[type[LinkFlowError], grpc.StatusCode], ...] = (  # the first that fits, so the narrow ones first
    (errors.InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.VersionConflict, grpc.StatusCode.ABORTED),
    (errors.Locked, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Conflict, grpc.StatusCode.ALREADY_EXISTS),
    (errors.LimitExceeded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
)

# What gRPC itself says, without our server having had a say.
_FOREIGN: dict[grpc.StatusCode, type[LinkFlowError]] = {
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: errors.Unavailable,  # the server gave the call up: it is stopping
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.PayloadTooLarge,
    grpc.StatusCode.UNIMPLEMENTED: errors.NotFound,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
}


def status(error: LinkFlowError) -> grpc.StatusCode:
    """The status code of `error`."""
    return next((code for kind, code in _STATUS if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def trailer(error: LinkFlowError) -> bytes:
    """`error` as JSON for the trailer, with as many of its problems and details as fit."""
    data = error.to_data()
    try:
        encoded = msgspec.json.encode(data)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):  # details that JSON cannot carry
        data = ErrorData(data.code, data.message, data.problems)
        encoded = msgspec.json.encode(data)
    problems = data.problems
    while len(encoded) > _TRAILER_LIMIT and problems:
        problems = problems[: len(problems) // 2]
        encoded = msgspec.json.encode(ErrorData(data.code, data.message, problems, data.details))
    if len(encoded) > _TRAILER_LIMIT:
        encoded = msgspec.json.encode(ErrorData(data.code, data.message[:1000]))
    return encoded


def from_rpc(error: grpc.aio.AioRpcError, service: str, method: str) -> LinkFlowError:
    """The error that a failed call means."""
    for key, value in error.trailing_metadata() or ():
        if key == TRAILER:
            try:
                return errors.error_from(msgspec.json.decode(value, type=ErrorData))
            except msgspec.MsgspecError:
                break
    kind = _FOREIGN.get(error.code(), errors.Internal)
    return kind(f"{service}.{method}: {error.details() or error.code().name}")
