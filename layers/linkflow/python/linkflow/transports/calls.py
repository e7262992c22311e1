"""What all transports have in common: how long a call may take, its JSON, and errors that nobody meant."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.domain.errors import Internal, InvalidInput, LinkFlowError

DEADLINE = 30.0
"""Seconds that a call may take by default, on top of what the request itself asks to wait."""

_log = logging.getLogger("linkflow.transports")
_encoder = msgspec.json.Encoder()


def allowance(request: Struct, deadline: float) -> float:
    """Seconds that a call may take: long polls (``wait``) and loops (``seconds``) come on top of `deadline`."""
    asked: object = getattr(request, "wait", None) or getattr(request, "seconds", None)
    return deadline + asked if isinstance(asked, int | float) else deadline


def encode(service: str, method: str, request: Struct) -> bytes:
    """The request as JSON. Raises `InvalidInput` for what JSON cannot carry."""
    try:
        return _encoder.encode(request)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"Not a {service}.{method} request that JSON can carry: {error}") from None


def decode(service: str, method: str, body: Any, reply: type[Any]) -> Any:
    """The reply as an object. Raises `Internal` where the two ends do not agree on the contract."""
    try:
        return msgspec.json.decode(body, type=reply)
    except msgspec.MsgspecError as error:
        raise Internal(f"The answer of {service}.{method} does not fit the contract: {error}") from None


def own(error: Exception, service: str, method: str) -> LinkFlowError:
    """`error` as one of the tree. What is not of the tree is a fault of ours: logged here, told without its text,
    which may hold anything."""
    if isinstance(error, LinkFlowError):
        return error
    _log.error("%s.%s failed", service, method, exc_info=error)
    return Internal(f"The {service} service failed at {method}.")
