"""Lambda on this machine: the Invoke API in front of AWS's own runtime interface emulator.

boto3 with `endpoint_url` pointing here meets what it meets at AWS: one request at a time in each environment, new
environments on demand up to a cap, cold starts, timeouts, function errors, and asynchronous invocations with two
retries. The emulator itself takes one function, one request, and crashes at a second one; hence the pool.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.lambda_environment import Answer, Environment, Function, NoEmulator, emulator, failure

MAX_SYNC = 6 * 1024 * 1024
MAX_ASYNC = 1024 * 1024

__all__ = ["Answer", "Function", "LambdaPool", "NoEmulator", "emulator"]


class _Pool:
    """The environments of one function."""

    def __init__(self, name: str, function: Function, log: Path | None) -> None:
        self.name, self.function = name, function
        self.cold_starts: list[float] = []
        self.invocations = 0
        self._log = log
        self._places = threading.Semaphore(function.cap)
        self._idle: list[Environment] = []
        self._all: list[Environment] = []
        self._lock = threading.Lock()
        self._closed = False

    def invoke(self, payload: bytes) -> Answer:
        if not self._places.acquire(blocking=not self.function.throttle):
            return Answer(
                429, b'{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","message":"Rate exceeded"}'
            )
        try:
            with self._lock:
                self.invocations += 1
            environment = self._take()
            answer = environment.invoke(payload)
            with self._lock:
                if not environment.warm:
                    environment.warm = True
                    self.cold_starts.append(time.perf_counter() - environment.started)
                if environment.alive and not self._closed:
                    self._idle.append(environment)
            return answer
        finally:
            self._places.release()

    def _take(self) -> Environment:
        with self._lock:
            while self._idle:
                found = self._idle.pop()
                if found.alive:
                    return found
                self._all.remove(found)
            if self._closed:
                raise ConnectionAbortedError(f"{self.name} is closed")
            environment = Environment(self.name, self.function, self._log)
            self._all.append(environment)
            return environment

    @property
    def size(self) -> int:
        return len(self._all)

    @contextlib.contextmanager
    def throttled(self, leaving: int) -> Iterator[None]:
        taken = 0
        self.function.throttle = True
        try:
            while taken < self.function.cap - leaving and self._places.acquire(blocking=False):
                taken += 1
            yield
        finally:
            self.function.throttle = False
            for _ in range(taken):
                self._places.release()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            everyone, self._all, self._idle = self._all, [], []
        for environment in everyone:
            environment.kill()


class LambdaPool:
    """Functions behind Lambda's Invoke API at `url`.

    ``with LambdaPool({"echo": Function(folder)}) as pool: boto3.client("lambda", endpoint_url=pool.url, …)``
    """

    def __init__(
        self, functions: dict[str, Function], *, port: int = 0, retry_delay: float = 0.2, logs: Path | None = None
    ) -> None:
        """`retry_delay` seconds between the tries of an asynchronous event (AWS waits minutes); `logs` a folder."""
        emulator()  # say at once that it is missing
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
        self._pools = {n: _Pool(n, f, logs / f"{n}.log" if logs else None) for n, f in functions.items()}
        self._events: queue.SimpleQueue[tuple[_Pool, bytes] | None] = queue.SimpleQueue()
        self._retry_delay = retry_delay
        self._under_way = 0
        self._counting = threading.Lock()
        self.copies: Callable[[], int] = lambda: 1
        """How often an asynchronous event is delivered: at least once, says AWS."""
        self.dropped: list[tuple[str, bytes]] = []
        """Asynchronous events that failed three times: function and payload."""
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._threads = [threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)]
        # As many as may run at once, or a long drain would hold back the events after it.
        self._threads += [
            threading.Thread(target=self._work, daemon=True) for _ in range(sum(f.cap for f in functions.values()))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def url(self) -> str:
        """For boto3's `endpoint_url`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def cold_starts(self) -> dict[str, list[float]]:
        """Seconds from the start of an environment to its first answer, by function."""
        return {name: list(pool.cold_starts) for name, pool in self._pools.items()}

    def invocations(self, name: str) -> int:
        """How often a function was run, retries included."""
        return self._pools[name].invocations

    def environments(self, name: str) -> int:
        """How many environments a function has now."""
        return self._pools[name].size

    def throttled(self, name: str, leaving: int = 0) -> contextlib.AbstractContextManager[None]:
        """Refuse with 429 whatever comes beyond `leaving` invocations at once, as AWS does when others use them up."""
        return self._pools[name].throttled(leaving)

    def living(self, name: str) -> list[Environment]:
        """The environments of a function, for a test that does them harm."""
        return [environment for environment in self._pools[name]._all if environment.alive]

    def report(self) -> str:
        """Cold starts as text, a line a function."""
        return "\n".join(
            f"{name}: {len(times)} cold starts, median {sorted(times)[len(times) // 2] * 1000:.0f} ms"
            for name, times in self.cold_starts.items()
            if times
        )

    def invoke(self, name: str, event: Any) -> Any:
        """Invoke without the HTTP in between; for tests of events that are no calls."""
        return json.loads(self._pools[name].invoke(json.dumps(event).encode()).body)

    def close(self) -> None:
        """End every process and thread that this pool has started."""
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        for _ in self._threads:
            self._events.put(None)
        for pool in self._pools.values():
            pool.close()

    def __enter__(self) -> LambdaPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def accept(self, name: str, kind: str, payload: bytes) -> Answer:
        """One request to the Invoke API."""
        with self._count():
            return self._accept(name, kind, payload)

    @property
    def quiet(self) -> bool:
        """Nothing runs, and no asynchronous event waits."""
        return self._under_way == 0

    @contextlib.contextmanager
    def _count(self) -> Iterator[None]:
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def _add(self, count: int) -> None:
        with self._counting:
            self._under_way += count

    def _accept(self, name: str, kind: str, payload: bytes) -> Answer:
        pool = self._pools.get(name.rpartition(":")[2])
        if pool is None:
            return Answer(404, json.dumps({"Message": f"Function not found: {name}"}).encode())
        if len(payload) > (MAX_ASYNC if kind == "Event" else MAX_SYNC):
            return Answer(413, b'{"message":"Request must be smaller than the limit for the InvokeFunction operation"}')
        if kind == "Event":
            for _ in range(self.copies()):
                self._add(1)
                self._events.put((pool, payload))
            return Answer(202, b"")
        answer = pool.invoke(payload)
        if len(answer.body) > MAX_SYNC:
            body = failure("Function.ResponseSizeTooLarge", "Response payload size exceeded the maximum.")
            return Answer(200, body, "Unhandled")
        return answer

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            pool, payload = event
            for _ in range(3):
                try:
                    answer = pool.invoke(payload)
                except ConnectionAbortedError:
                    return
                if answer.status == 200 and not answer.error and not answer.body.startswith(b"Task timed out"):
                    break
                time.sleep(self._retry_delay)
            else:
                self.dropped.append((pool.name, payload))
            self._add(-1)


class _Server(ThreadingHTTPServer):
    """One that can hang up: clients keep their connections, and a server that is gone must not answer on those."""

    daemon_threads = True
    request_queue_size = 128  # bursts of connections must not be reset

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connections: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


_CODES = {404: "ResourceNotFoundException", 413: "RequestTooLargeException", 429: "TooManyRequestsException"}


def _handler(pool: LambdaPool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            payload = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = self.path.partition("?")[0].split("/")
            kind = self.headers.get("x-amz-invocation-type", "RequestResponse")
            if len(parts) != 5 or parts[1:3] != ["2015-03-31", "functions"] or parts[4] != "invocations":
                answer = Answer(404, b'{"Message":"Not the Invoke API"}')
            else:
                try:
                    answer = pool.accept(parts[3].replace("%3A", ":"), kind, payload)
                except ConnectionAbortedError:
                    self.close_connection = True
                    return
            headers = {"content-length": str(len(answer.body)), "x-amzn-requestid": str(uuid.uuid4())}
            if answer.error:
                headers["x-amz-function-error"] = answer.error
            if answer.status in _CODES:
                headers["x-amzn-errortype"] = _CODES[answer.status]
            with contextlib.suppress(OSError):  # the caller has gone
                self.send_response(answer.status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
