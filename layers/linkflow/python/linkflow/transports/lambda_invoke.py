"""Lambda's Invoke API through boto3, as coroutines that raise the error tree."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.domain.errors import (
    DeadlineExceeded,
    Internal,
    LinkFlowError,
    PayloadTooLarge,
    RateLimited,
    Unavailable,
)

MAX_PAYLOAD = 6 * 1024 * 1024
"""Bytes of a synchronous request or answer; emulators let more pass, AWS does not."""
LONGEST_WAIT = 60.0
"""Seconds that a request may ask to wait on top of the deadline before the socket is given up."""

_log = logging.getLogger("linkflow.transports")


class _Failure(Struct):
    """What a runtime says of a function that failed."""

    error_type: str = msgspec.field(name="errorType", default="")
    error_message: str = msgspec.field(name="errorMessage", default="")


class Invoker:
    """Invokes one function. boto3 blocks, so calls run in threads: at most `concurrency`, the others wait."""

    def __init__(self, function: str, *, deadline: float, concurrency: int, endpoint: str | None) -> None:
        self.function = function
        self._read_timeout = deadline + LONGEST_WAIT
        self._concurrency = concurrency
        self._endpoint = endpoint
        self._threads: ThreadPoolExecutor | None = None
        self._client: Any = None
        self._making = threading.Lock()

    async def invoke(self, payload: bytes, timeout: float, kind: str = "RequestResponse") -> bytes:
        """The function's answer; `kind` is Lambda's InvocationType. Raises the error tree and nothing else."""
        if len(payload) > MAX_PAYLOAD:
            raise PayloadTooLarge(f"A Lambda call takes at most {MAX_PAYLOAD} bytes; this one has {len(payload)}.")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix=f"lambda-{self.function}")
        # A thread cannot be stopped: after the timeout it ends with its socket, and the call counts against the bound.
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._invoke, payload, kind)
        try:
            async with asyncio.timeout(timeout):
                return await work
        except TimeoutError:
            raise DeadlineExceeded(f"The function {self.function} did not answer within {timeout:g} s.") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancelled us: close() did it to the call.
            raise Unavailable(f"The function {self.function} was not invoked: the connection was closed.") from None

    async def close(self) -> None:
        """Let go of threads and sockets; a later call makes new ones."""
        threads, self._threads = self._threads, None
        client, self._client = self._client, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        if client is not None:
            client.close()

    def _invoke(self, payload: bytes, kind: str) -> bytes:
        try:
            answer = self._boto().invoke(FunctionName=self.function, InvocationType=kind, Payload=payload)
            body: bytes = answer["Payload"].read()
        except Exception as error:
            raise _from_boto(error, self.function) from None
        if "FunctionError" in answer or body.startswith(b"Task timed out"):
            raise _from_runtime(body, self.function)
        return body

    def _boto(self) -> Any:
        with self._making:
            if self._client is None:
                import boto3  # 100 ms or more: only where a function is really called
                from botocore.config import Config

                # No retries: whether a call may be made twice is for its caller to know.
                config = Config(
                    connect_timeout=5,
                    read_timeout=self._read_timeout,
                    retries={"total_max_attempts": 1},
                    max_pool_connections=self._concurrency,
                    tcp_keepalive=True,
                )
                session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))  # it knows only the old name
                self._client = session.client("lambda", endpoint_url=self._endpoint, config=config)
            return self._client


_CODES: dict[str, type[LinkFlowError]] = {
    "TooManyRequestsException": RateLimited,
    "RequestTooLargeException": PayloadTooLarge,
    "RequestEntityTooLargeException": PayloadTooLarge,
    # A function that is missing or forbidden is no `NotFound` or `Forbidden` of the domain: those mean a workflow.
    "ResourceNotFoundException": Unavailable,
    "AccessDeniedException": Internal,
    "UnrecognizedClientException": Internal,
    "InvalidSignatureException": Internal,
    "ExpiredTokenException": Unavailable,
}


def _from_boto(error: Exception, function: str) -> LinkFlowError:
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        return _from_answer(error.response, function)
    if isinstance(error, boto.ReadTimeoutError):
        return DeadlineExceeded(f"The function {function} did not answer in time.")
    if isinstance(error, boto.NoCredentialsError | boto.NoRegionError | boto.ParamValidationError):
        return Internal(f"Cannot invoke the function {function}: {error}")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return Unavailable(f"The function {function} cannot be reached: {type(error).__name__}.")
    _log.error("invoking %s failed", function, exc_info=error)
    return Internal(f"Cannot invoke the function {function}.")


def _from_answer(answer: dict[str, Any], function: str) -> LinkFlowError:
    code = str(answer.get("Error", {}).get("Code", ""))
    metadata = answer.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 500))
    if status == 429:
        kind: type[LinkFlowError] = RateLimited
    else:
        kind = _CODES.get(code, Unavailable if status >= 500 else Internal)
    details = {}
    if kind is RateLimited:
        text = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
        details = {"retry_after": int(text) if text.isdigit() else 1}
    return kind(f"Lambda refused to invoke {function}: {code}.", details=details)


def _from_runtime(body: bytes, function: str) -> LinkFlowError:
    try:
        failure = msgspec.json.decode(body, type=_Failure)
    except msgspec.MsgspecError:  # the emulator says a timeout in plain text
        failure = _Failure(error_message=body[:500].decode(errors="replace"))
    if failure.error_type == "Sandbox.Timedout" or "Task timed out" in failure.error_message:
        return DeadlineExceeded(f"The function {function} ran into its own timeout.")
    if failure.error_type in ("Function.ResponseSizeTooLarge", "Function.ResponseSizeTooBig"):
        return PayloadTooLarge(f"The answer of the function {function} is larger than Lambda carries.")
    if failure.error_type in ("Runtime.ExitError", "Sandbox.Failure", "Runtime.OutOfMemory", "InternalFailure"):
        return Unavailable(f"The function {function} died during the call.")
    _log.error("the function %s failed: %s: %s", function, failure.error_type, failure.error_message)
    return Internal(f"The function {function} failed ({failure.error_type or 'without a reason'}).")
