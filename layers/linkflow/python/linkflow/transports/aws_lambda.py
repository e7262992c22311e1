"""Calls between Lambda functions: a synchronous invoke, answered by `linkflow.transports.lambda_door`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from linkflow.domain.errors import ErrorData, Internal, error_from

from .calls import DEADLINE, allowance, decode, encode
from .lambda_invoke import Invoker


class Invocation(Struct):
    """The event of a call, as the door reads it."""

    service: str
    method: str
    token: str
    body: Raw


class Outcome(Struct):
    """The answer to a call: one of the two."""

    ok: Raw | UnsetType = UNSET
    error: ErrorData | UnsetType = UNSET


class AwsLambda:
    """`Transport` to one function. Region, credentials and endpoint come from the environment, as always with AWS."""

    def __init__(
        self, function: str, deadline: float = DEADLINE, *, concurrency: int = 32, endpoint: str | None = None
    ) -> None:
        """`function` is a name or ARN, `deadline` seconds on top of what a request itself asks to wait, `concurrency`
        how many calls are under way at once, `endpoint` a URL in place of the environment's."""
        self._deadline = deadline
        self._invoker = Invoker(function, deadline=deadline, concurrency=concurrency, endpoint=endpoint)

    async def call(self, service: str, method: str, request: Struct, reply: type[Any], token: str) -> Any:
        """Raises the error tree and nothing else."""
        body = Raw(encode(service, method, request))
        event = msgspec.json.encode(Invocation(service, method, token, body))
        answer = await self._invoker.invoke(event, allowance(request, self._deadline))
        outcome: Outcome = decode(service, method, answer, Outcome)
        if outcome.error is not UNSET:
            raise error_from(outcome.error)
        if outcome.ok is UNSET:
            raise Internal(f"{service}.{method} answered neither with a result nor with an error.")
        return decode(service, method, outcome.ok, reply)

    async def close(self) -> None:
        """Let go of threads and sockets."""
        await self._invoker.close()
