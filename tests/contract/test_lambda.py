"""What only Lambda has: timeouts, crashes, throttles, asynchronous events, and the doors' own work."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from linkflow.contracts.base import client
from linkflow.contracts.history import Task
from linkflow.domain.errors import DeadlineExceeded, LinkFlowError, RateLimited, Unavailable
from linkflow.domain.ids import uuid7
from linkflow.ports import Dispatcher, Invitations, Visit
from linkflow.streams.connection import connect
from linkflow.streams.queue import StreamQueue
from linkflow.transports.aws_lambda import AwsLambda
from linkflow.transports.dispatch import LambdaDispatcher, QueueDispatcher
from linkflow.transports.lambda_invoke import _from_answer, _from_runtime
from linkflow.transports.tokens import TokenSigner
from tests.contract.echo import SECRET, EchoApi, Pause, Value
from tests.contract.stands import CALLER, echo_function
from tests.lambda_pool import LambdaPool, NoEmulator, emulator


@pytest.fixture(scope="module")
def pool() -> Iterator[LambdaPool]:
    try:
        emulator()
    except NoEmulator as missing:
        pytest.fail(str(missing))
    functions = {
        "echo": echo_function(cap=2),
        "short": echo_function(cap=1, timeout=1),
        "single": echo_function(cap=1, throttle=True),
        "web": echo_function(handler="web.lambda_handler", cap=1),
        "worker": echo_function(cap=4, timeout=5),
    }
    with pytest.MonkeyPatch.context() as patch, LambdaPool(functions) as made:
        patch.setenv("AWS_REGION", "eu-central-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_ENDPOINT_URL_LAMBDA", made.url)  # where boto3 itself looks
        yield made
        print(made.report())


@pytest.fixture
async def reach(pool: LambdaPool) -> AsyncIterator[Callable[[str], Any]]:
    made = []

    def to(function: str) -> Any:
        made.append(AwsLambda(function))
        return client(EchoApi, made[-1], TokenSigner(SECRET), CALLER)

    yield to
    for transport in made:
        await transport.close()


async def test_a_door_answers_before_its_function_is_killed(reach: Any, pool: LambdaPool) -> None:
    answers: list[str] = []
    while not answers or (
        "its own timeout" in answers[-1] and len(answers) < 4
    ):  # the machine stood still for half a second
        with pytest.raises(DeadlineExceeded) as caught:
            await reach("short").pause(Pause(3.0))
        answers.append(str(caught.value))
    assert "ran into the function's timeout" in answers[-1]
    started = len(pool.cold_starts["short"])
    assert (await reach("short").echo(Value(1))).value == 1
    assert len(pool.cold_starts["short"]) == started <= len(answers)  # the same warm environment


async def test_a_function_that_is_killed_at_its_timeout(reach: Any) -> None:
    with pytest.raises(DeadlineExceeded, match="its own timeout"):
        await reach("short").block(Pause(3.0))
    assert (await reach("short").echo(Value(1))).value == 1


async def test_a_function_that_dies_is_unavailable(reach: Any) -> None:
    with pytest.raises(Unavailable):
        await reach("echo").die(Value(1))
    assert (await reach("echo").echo(Value(1))).value == 1


async def test_a_throttled_call_is_rate_limited(reach: Any) -> None:
    single = reach("single")
    await single.echo(Value("warm"))
    slow = asyncio.create_task(single.pause(Pause(0.5)))
    await asyncio.sleep(0.2)
    with pytest.raises(RateLimited) as caught:
        await single.echo(Value(1))
    assert caught.value.details["retry_after"] > 0
    await slow


async def test_a_function_that_is_not_there_is_unavailable_and_not_a_missing_workflow(reach: Any) -> None:
    with pytest.raises(Unavailable, match="nothing"):
        await reach("nothing").echo(Value(1))


async def test_warm_environments_are_used_again(reach: Any, pool: LambdaPool) -> None:
    before = pool.environments("echo")
    for n in range(5):
        await reach("echo").echo(Value(n))
    assert pool.environments("echo") <= max(before, 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"Task timed out after 3.00 seconds", "deadline_exceeded"),
        (b'{"errorMessage":"2026-01-01T00:00:00Z 1-2 Task timed out after 3.00 seconds"}', "deadline_exceeded"),
        (b'{"errorType":"Sandbox.Timedout","errorMessage":"x"}', "deadline_exceeded"),
        (b'{"errorType":"Runtime.ExitError","errorMessage":"signal: killed"}', "unavailable"),
        (b'{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"x"}', "payload_too_large"),
        (b'{"errorType":"Runtime.ImportModuleError","errorMessage":"secret"}', "internal"),
        (b"gibberish", "internal"),
    ],
)
def test_what_a_runtime_says_of_a_failure(body: bytes, code: str) -> None:
    error = _from_runtime(body, "f")
    assert error.code == code
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("TooManyRequestsException", 429, "rate_limited"),
        ("SomethingNewException", 429, "rate_limited"),
        ("ServiceException", 500, "unavailable"),
        ("EC2ThrottledException", 502, "unavailable"),
        ("ResourceNotFoundException", 404, "unavailable"),
        ("AccessDeniedException", 403, "internal"),
        ("RequestTooLargeException", 413, "payload_too_large"),
        ("InvalidParameterValueException", 400, "internal"),
    ],
)
def test_what_lambda_says_of_a_refusal(code: str, status: int, expected: str) -> None:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    assert _from_answer(answer, "f").code == expected


def test_a_door_does_its_own_work_within_its_time(pool: LambdaPool) -> None:
    seconds, queues, actor, _ = pool.invoke("echo", {"errand": {"seconds": 5, "queues": ["a", "b"]}})["ok"]["value"]
    assert (seconds, queues, actor) == (5.0, ["a", "b"], "lambda:echo")
    scheduled = {"version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"}
    seconds, *_ = pool.invoke("echo", scheduled)["ok"]["value"]
    assert 26 < seconds <= 27  # of the function's 30, less the margin
    seconds, *_ = pool.invoke("short", {"errand": {"seconds": 60}})["ok"]["value"]
    assert 0.3 < seconds <= 0.5


def test_one_loop_serves_all_invocations(pool: LambdaPool) -> None:
    assert len({pool.invoke("short", {})["ok"]["value"][3] for _ in range(3)}) == 1


def test_the_http_door_keeps_one_loop(pool: LambdaPool) -> None:
    event = {
        "version": "2.0",
        "rawPath": "/health",
        "rawQueryString": "",
        "headers": {"host": "x"},
        "requestContext": {"http": {"method": "GET", "path": "/health", "sourceIp": "127.0.0.1"}},
        "isBase64Encoded": False,
    }
    answers = [pool.invoke("web", event) for _ in range(3)]
    assert {answer["statusCode"] for answer in answers} == {200}
    assert len({json.loads(answer["body"])["loop"] for answer in answers}) == 1


async def test_an_asynchronous_event_is_tried_three_times(pool: LambdaPool) -> None:
    before = pool.invocations("echo")
    event = json.dumps({"errand": {"seconds": "not a number"}}).encode()
    assert pool.accept("echo", "Event", event).status == 202
    await _until(lambda: ("echo", event) in pool.dropped)
    assert pool.invocations("echo") == before + 3


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[StreamQueue]:
    clients = connect(redis_url)
    made = StreamQueue(clients, partitions=2, max_deliveries=3)
    yield made
    await made.close()
    await clients.close()


@pytest.fixture
async def woken(pool: LambdaPool) -> AsyncIterator[Callable[..., LambdaDispatcher]]:
    """Makes dispatchers, one for a process each."""
    made = []

    def make(invitations: Invitations, function: str = "worker", **options: Any) -> LambdaDispatcher:
        made.append(LambdaDispatcher(function, invitations, **options))
        return made[-1]

    yield make
    for dispatcher in made:
        await dispatcher.close()


def tasks(count: int, queue: str = "default", start: int = 0) -> list[Task]:
    return [Task(uuid7(n, 0, n), "w", "wf", 1, "node", 1, queue=queue) for n in range(start, start + count)]


async def test_a_burst_in_many_processes_makes_few_invocations(
    pool: LambdaPool, queue: StreamQueue, woken: Callable[..., LambdaDispatcher]
) -> None:
    """Each environment of the API starts runs, and each knows of the workers that the others have invoked."""
    processes: list[Dispatcher] = [woken(queue.invitations, capacity=100, invited=60.0) for _ in range(10)]
    before = pool.invocations("worker")

    async def add(dispatcher: Dispatcher, found: list[Task]) -> None:
        await queue.add(found)
        await dispatcher.wake({"default"})

    await asyncio.gather(*(add(processes[n % 10], [task]) for n, task in enumerate(tasks(100))))
    await _until(lambda: pool.invocations("worker") == before + 1)
    await add(processes[3], tasks(1, start=100))  # the hundred and first
    await _until(lambda: pool.invocations("worker") == before + 2)
    await asyncio.gather(*(add(processes[n], tasks(500, start=1000 + 500 * n)) for n in range(10)))
    await _until(lambda: pool.invocations("worker") >= before + 10)
    await asyncio.sleep(0.3)
    assert pool.invocations("worker") == before + 10, "never more than so many on their way"


async def test_an_invocation_carries_its_invitation(
    pool: LambdaPool, queue: StreamQueue, woken: Callable[..., LambdaDispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []

    def accept(name: str, kind: str, payload: bytes) -> Any:
        sent.append(json.loads(payload)["drain"])
        return LambdaPool.accept(pool, name, kind, payload)

    monkeypatch.setattr(pool, "accept", accept)
    await queue.add([*tasks(1), *tasks(250, "other")])
    await woken(queue.invitations, invited=60.0).wake(["default", "other"])
    assert {tuple(each["queues"]) for each in sent} == {("default", "other")}
    assert all(each["idle"] == 0.5 for each in sent)
    assert len(sent) == len({each["invitation"] for each in sent}) == 3
    for each in sent:
        await queue.claim(["default", "other"], "w1", 0, 0, 1, Visit(0, each["invitation"]))
    assert {row.invited for row in await queue.stats(["default", "other"])} == {0}


async def test_a_worker_that_could_not_be_invoked_stands_for_nothing(
    pool: LambdaPool, queue: StreamQueue, woken: Callable[..., LambdaDispatcher]
) -> None:
    await queue.add(tasks(1))
    broken = woken(queue.invitations, "nothing", invited=60.0)
    for _ in range(2):
        await broken.wake(["default"])
        assert {row.invited for row in await queue.stats(["default"])} == {0}
    before = pool.invocations("worker")
    await woken(queue.invitations, invited=60.0).wake(["default"])
    await _until(lambda: pool.invocations("worker") == before + 1)
    await broken.wake([])


async def test_without_the_store_everybody_invokes_for_himself(
    pool: LambdaPool, woken: Callable[..., LambdaDispatcher]
) -> None:
    clients = connect("redis://127.0.0.1:1/0")
    before = pool.invocations("worker")
    await woken(StreamQueue(clients, partitions=1, max_deliveries=3).invitations).wake(["default"])
    await _until(lambda: pool.invocations("worker") == before + 1)
    await clients.close()


async def test_a_queue_with_a_function_of_its_own_wakes_that_one(
    pool: LambdaPool, queue: StreamQueue, woken: Callable[..., LambdaDispatcher]
) -> None:
    await queue.add([*tasks(1), *tasks(1, "gpu"), *tasks(1, "video"), *tasks(1, "other")])
    common, gpu = woken(queue.invitations), woken(queue.invitations, "echo")
    dispatcher: Dispatcher = QueueDispatcher(common, {"gpu": gpu, "video": gpu})
    before = {name: pool.invocations(name) for name in ("worker", "echo")}
    await dispatcher.wake(["gpu", "default", "video"])
    await _until(lambda: pool.invocations("worker") > before["worker"] and pool.invocations("echo") > before["echo"])
    assert pool.invocations("worker") == before["worker"] + 1
    await dispatcher.wake(["other"])
    await _until(lambda: pool.invocations("worker") == before["worker"] + 2)


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("It did not happen.")
        await asyncio.sleep(0.02)


def test_the_error_tree_is_all_that_comes_out() -> None:
    assert all(isinstance(_from_runtime(body, "f"), LinkFlowError) for body in (b"", b"null", b"[]", b"\xff"))
