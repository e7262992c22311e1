"""The Frontend over a History that is a script, and a clock that the test owns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from linkflow.config import Config
from linkflow.contracts import base
from linkflow.contracts.base import Caller
from linkflow.contracts.frontend import RedriveRequest, RunReply, RunRequest
from linkflow.contracts.history import (
    NO_STATE,
    ApprovalsReply,
    ApprovalsRequest,
    Closed,
    ControlReply,
    ControlRequest,
    DecideRequest,
    DescribeReply,
    DescribeRequest,
    Execution,
    HistoryReply,
    HistoryRequest,
    ListRequest,
    PublishReply,
    PublishRequest,
    SignalRequest,
    StartBatch,
    Started,
    StartReply,
    StartRequest,
    Task,
)
from linkflow.contracts.matching import (
    ConfigureRequest,
    DeadLetter,
    DeadReply,
    DeadRequest,
    DropReply,
    DropRequest,
    LettersRequest,
    QueueSettings,
    SettingsRequest,
    StatsReply,
    StatsRequest,
)
from linkflow.domain.errors import (
    Conflict,
    ErrorData,
    Forbidden,
    Internal,
    InvalidInput,
    LinkFlowError,
    NotFound,
    RateLimited,
    Unavailable,
)
from linkflow.domain.ids import is_uuid, shard_of_execution, shard_of_workflow, uuid7
from linkflow.services.frontend import Frontend
from tests.contract.fakes import MemoryDoorbell, MemoryLimiter

ID = uuid7(1, 2, 3)
OTHER = uuid7(4, 5, 6)
MEMBER = Caller("w", frozenset({"workflow.execute", "execution.view", "execution.delete"}))
LETTER = DeadLetter(Task(ID, "w", "wf", 1, "node", 1), 3, "Delivered 3 times.", 5, "letter")


class TestClock:
    """Sleeping takes no time at all; how long was slept is counted."""

    __test__ = False

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000
        self.slept: list[float] = []
        self._bits = 0

    def now_ms(self) -> int:
        return self.ms

    def random(self) -> float:
        return 0.5

    def rand_bits(self, bits: int) -> int:
        self._bits += 1
        return self._bits

    async def sleep(self, seconds: float) -> None:
        for _ in range(20):  # whoever rings meanwhile is heard
            await asyncio.sleep(0)
        self.slept.append(seconds)
        self.ms += round(seconds * 1000)


class ScriptedHistory:
    def __init__(self, doorbell: MemoryDoorbell) -> None:
        self.doorbell = doorbell
        self.batches: list[tuple[StartRequest, ...]] = []
        self.callers: list[Caller | None] = []
        self.controls: list[ControlRequest] = []
        self.refuse: LinkFlowError | None = None
        self.answers: dict[str, Started | LinkFlowError] = {}
        self.closing: dict[str, Closed] = {}
        self.states: dict[str, list[dict[str, Any] | LinkFlowError]] = {}
        self.in_the_air = self.most_in_the_air = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.described = 0
        self.looked = asyncio.Event()

    async def start(self, request: StartBatch) -> StartReply:
        self.batches.append(request.items)
        self.callers.append(base._caller.get())
        self.in_the_air += 1
        self.most_in_the_air = max(self.most_in_the_air, self.in_the_air)
        await self.gate.wait()
        self.in_the_air -= 1
        results = [self._answer(item) for item in request.items]
        for item in request.items:
            if item.reply_to and item.workflow_id in self.closing:
                notice = msgspec.structs.replace(self.closing[item.workflow_id], execution_id=item.execution_id)
                await self.doorbell.ring(item.reply_to, msgspec.json.encode(notice))
        return StartReply(tuple(results))

    def _answer(self, item: StartRequest) -> Started:
        answer = self.answers.get(item.workflow_id, Started(item.execution_id))
        if isinstance(answer, LinkFlowError):
            raise answer
        return answer

    async def describe(self, request: DescribeRequest) -> DescribeReply:
        self.described += 1
        self.looked.set()
        found = []
        for id in request.execution_ids:
            script = self.states.get(id, self.states.get("*", []))
            if not script:
                continue
            state = script.pop(0) if len(script) > 1 else script[0]
            if isinstance(state, LinkFlowError):
                raise state
            raw = msgspec.Raw(msgspec.json.encode(state)) if request.with_state else NO_STATE
            found.append(Execution(id, "w", "wf", 1, state["status"], "api", 1, 0, state=raw))
        return DescribeReply(tuple(found))

    async def control(self, request: ControlRequest) -> ControlReply:
        self.callers.append(base._caller.get())
        if self.refuse is not None:
            raise self.refuse
        self.controls.append(request)
        return ControlReply("cancelled")

    async def signal(self, request: SignalRequest) -> ControlReply:
        self.callers.append(base._caller.get())
        return ControlReply("running")

    async def publish(self, request: PublishRequest) -> PublishReply:
        self.callers.append(base._caller.get())
        return PublishReply((ID,))

    async def decide(self, request: DecideRequest) -> ControlReply:
        self.callers.append(base._caller.get())
        return ControlReply("running")

    async def approvals(self, request: ApprovalsRequest) -> ApprovalsReply:
        self.callers.append(base._caller.get())
        return ApprovalsReply(())

    async def list(self, request: ListRequest) -> DescribeReply:
        return DescribeReply(())

    async def history(self, request: HistoryRequest) -> HistoryReply:
        known = request.execution_id == ID
        return HistoryReply(msgspec.Raw(b"[]"), 3 if known and not request.after else request.after)


class ScriptedMatching:
    def __init__(self) -> None:
        self.dropped: list[DropRequest] = []
        self.callers: list[Caller | None] = []

    async def stats(self, request: StatsRequest) -> StatsReply:
        self.callers.append(base._caller.get())
        return StatsReply(())

    async def dead(self, request: DeadRequest) -> DeadReply:
        return DeadReply(())

    async def settings(self, request: SettingsRequest) -> QueueSettings:
        self.callers.append(base._caller.get())
        return QueueSettings(request.queue, 2)

    async def configure(self, request: ConfigureRequest) -> QueueSettings:
        self.callers.append(base._caller.get())
        return QueueSettings(request.queue, 2)

    async def letters(self, request: LettersRequest) -> DeadReply:
        self.callers.append(base._caller.get())
        return DeadReply((LETTER,) if not request.ids or LETTER.id in request.ids else ())

    async def drop(self, request: DropRequest) -> DropReply:
        self.callers.append(base._caller.get())
        self.dropped.append(request)
        return DropReply(int(LETTER.id in request.ids or bool(request.execution_id) or request.all))


class Stand:
    def __init__(self, *, deaf: bool = False, limiter: Any = None, **config: Any) -> None:
        self.doorbell = MemoryDoorbell(deaf=deaf)
        self.history = ScriptedHistory(self.doorbell)
        self.matching = ScriptedMatching()
        self.clock = TestClock()
        self.frontend = Frontend(
            self.history,  # type: ignore[arg-type]
            self.matching,  # type: ignore[arg-type]
            limiter or MemoryLimiter(),
            self.doorbell,
            self.clock,
            Config(**config),
        )

    async def run(self, workflow_id: str = "wf", **options: Any) -> RunReply:
        return await self.frontend.run(RunRequest("w", workflow_id, 1, "trigger", **options))


@pytest.fixture
def called_by() -> Iterator[Any]:
    yield base._caller.set
    base._caller.set(None)


@pytest.fixture
def stand(called_by: Any) -> Stand:
    called_by(MEMBER)
    return Stand()


class TestRun:
    async def test_it_makes_an_id_in_the_workflows_shard(self, stand: Stand) -> None:
        reply = await stand.run(trigger={"a": 1}, idempotency_key="k", actor="me", mode="webhook")
        assert is_uuid(reply.execution_id)
        assert shard_of_execution(reply.execution_id) == shard_of_workflow("wf")
        assert (reply.created, reply.closed, reply.status) == (True, False, "running")
        [[sent]] = stand.history.batches
        assert sent.execution_id == reply.execution_id
        assert (sent.trigger, sent.idempotency_key, sent.actor, sent.mode) == ({"a": 1}, "k", "me", "webhook")
        assert sent.reply_to == ""

    async def test_a_given_id_is_kept_and_an_odd_one_refused(self, stand: Stand) -> None:
        assert (await stand.run(execution_id=ID)).execution_id == ID
        with pytest.raises(InvalidInput, match="UUIDv7"):
            await stand.run(execution_id="mine")

    async def test_an_idempotent_repeat_names_the_run_that_was_there(self, stand: Stand) -> None:
        stand.history.answers["wf"] = Started(OTHER, created=False)
        reply = await stand.run(idempotency_key="k")
        assert (reply.execution_id, reply.created) == (OTHER, False)


class TestBatches:
    async def test_runs_that_come_together_go_together(self, stand: Stand) -> None:
        await asyncio.gather(*(stand.run() for _ in range(20)))
        assert [len(batch) for batch in stand.history.batches] == [20]
        assert stand.history.callers == [None], "as the Frontend itself, not as one of the callers"

    async def test_one_batch_is_in_the_air_and_the_rest_gathers(self, stand: Stand) -> None:
        stand.history.gate.clear()
        runs = []
        for _ in range(1200):
            runs.append(asyncio.create_task(stand.run()))
            if len(runs) < 10:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert [len(batch) for batch in stand.history.batches] == [1]
        stand.history.gate.set()
        ids = {reply.execution_id for reply in await asyncio.gather(*runs)}
        assert len(ids) == 1200
        assert stand.history.most_in_the_air == 1
        assert max(len(batch) for batch in stand.history.batches) == 500
        assert len(stand.history.batches) <= 6

    async def test_one_bad_item_fails_alone(self, stand: Stand) -> None:
        stand.history.answers["taken"] = Started(error=ErrorData("conflict", "The key is taken."))
        results = await asyncio.gather(stand.run(), stand.run("taken"), stand.run(), return_exceptions=True)
        assert isinstance(results[1], Conflict)
        assert isinstance(results[0], RunReply)
        assert isinstance(results[2], RunReply)

    @pytest.mark.parametrize("error", [InvalidInput("Not a valid request."), Internal("A bug.")])
    async def test_an_item_that_sinks_its_batch_fails_alone(self, stand: Stand, error: LinkFlowError) -> None:
        stand.history.answers["bad"] = error
        names = ["wf"] * 9
        names[4] = "bad"
        results = await asyncio.gather(*(stand.run(name) for name in names), return_exceptions=True)
        assert [type(result) for result in results].count(RunReply) == 8
        assert results[4] is error

    async def test_when_history_is_away_everybody_hears_it_once(self, stand: Stand) -> None:
        stand.history.answers["wf"] = Unavailable("History is away.")
        results = await asyncio.gather(*(stand.run() for _ in range(5)), return_exceptions=True)
        assert {type(result) for result in results} == {Unavailable}
        assert len(stand.history.batches) == 1

    async def test_a_run_that_was_cancelled_in_the_queue_is_not_started(self, stand: Stand) -> None:
        stand.history.gate.clear()
        first = [asyncio.create_task(stand.run()) for _ in range(2)]
        await asyncio.sleep(0.005)
        second = asyncio.create_task(stand.run())
        await asyncio.sleep(0.005)
        third = asyncio.create_task(stand.run("third"))
        await asyncio.sleep(0.005)
        third.cancel()
        stand.history.gate.set()
        await asyncio.gather(*first, second)
        assert "third" not in [item.workflow_id for batch in stand.history.batches for item in batch]


class TestWait:
    async def test_a_ring_answers(self, stand: Stand) -> None:
        stand.history.closing["wf"] = Closed("", "completed", {"n": 1}, answered=True)
        reply = await stand.run(wait=30)
        assert (reply.closed, reply.status, reply.result, reply.answered) == (True, "completed", {"n": 1}, True)
        assert stand.history.described == 0
        assert stand.clock.slept == []
        assert not stand.frontend._inbox._waiting, "nothing is left behind"

    async def test_a_respond_node_answers_before_the_end(self, stand: Stand) -> None:
        stand.history.closing["wf"] = Closed("", "running", "hello", answered=True)
        reply = await stand.run(wait=30)
        assert (reply.closed, reply.status, reply.result, reply.answered) == (False, "running", "hello", True)
        stand.history.closing.clear()
        stand.history.states["*"] = [{"status": "running", "result": "again", "answered": True}]
        assert (await stand.run(wait=30)).result == "again"
        assert stand.clock.slept == [1.0]

    async def test_the_inbox_is_open_before_the_start(self, stand: Stand) -> None:
        stand.history.closing["wf"] = Closed("", "failed", error={"code": "x", "message": "y"})
        replies = await asyncio.gather(*(stand.run(wait=30) for _ in range(50)))
        assert {reply.status for reply in replies} == {"failed"}
        assert replies[0].error == {"code": "x", "message": "y"}
        assert len({reply.execution_id for reply in replies}) == 50
        assert len({item.reply_to for batch in stand.history.batches for item in batch}) == 1

    async def test_a_lost_ring_costs_a_second(self, called_by: Any) -> None:
        called_by(MEMBER)
        stand = Stand(deaf=True)
        running = {"status": "running"}
        stand.history.states["*"] = [running, Unavailable("away"), {"status": "completed", "result": 7, "nodes": {}}]
        reply = await stand.run(wait=30)
        assert (reply.closed, reply.status, reply.result) == (True, "completed", 7)
        assert stand.clock.slept == [1.0, 2.0, 2.0]

    async def test_the_wait_ends(self, called_by: Any) -> None:
        called_by(MEMBER)
        stand = Stand(deaf=True)
        stand.history.states["*"] = [{"status": "running"}]
        reply = await stand.run(wait=2.5)
        assert (reply.closed, reply.status) == (False, "running")
        assert sum(stand.clock.slept) == 2.5

    async def test_a_paused_run_has_not_ended(self, called_by: Any) -> None:
        called_by(MEMBER)
        stand = Stand(deaf=True)
        stand.history.states["*"] = [{"status": "paused"}, {"status": "paused", "result": "hello", "answered": True}]
        reply = await stand.run(wait=30)
        assert (reply.closed, reply.status, reply.result, reply.answered) == (False, "paused", "hello", True)
        assert stand.clock.slept == [1.0, 2.0]

    async def test_a_repeat_looks_at_once(self, stand: Stand) -> None:
        stand.history.answers["wf"] = Started(OTHER, created=False)
        stand.history.states[OTHER] = [{"status": "timed_out", "error": {"code": "timeout", "message": "m"}}]
        reply = await stand.run(wait=30, idempotency_key="k")
        assert (reply.execution_id, reply.created, reply.status) == (OTHER, False, "timed_out")
        assert stand.clock.slept == []

    async def test_a_repeat_hears_the_ring_of_a_run_from_here(self, stand: Stand) -> None:
        stand.history.answers["wf"] = Started(OTHER, created=False)
        stand.history.states[OTHER] = [{"status": "running"}]
        run = asyncio.create_task(stand.run(wait=30, idempotency_key="k"))
        await stand.history.looked.wait()
        notice = Closed(OTHER, "completed", 1)
        await stand.doorbell.ring(stand.frontend._inbox.topic, msgspec.json.encode(notice))
        assert (await run).result == 1
        assert stand.history.described == 1

    async def test_noise_in_the_inbox_is_ignored(self, stand: Stand) -> None:
        await stand.run(wait=0.001)
        await stand.doorbell.ring(stand.frontend._inbox.topic, b"{")
        stand.history.closing["wf"] = Closed("", "completed", 1)
        assert (await stand.run(wait=30)).closed
        await stand.frontend.close()


class TestReading:
    async def test_one_unknown_run_is_not_found(self, stand: Stand) -> None:
        for ids in ((ID,), ("nonsense",)):
            with pytest.raises(NotFound, match=ids[0]):
                await stand.frontend.describe(DescribeRequest(ids, "w"))
        stand.history.states[ID] = [{"status": "running"}]
        reply = await stand.frontend.describe(DescribeRequest((ID, OTHER, "nonsense"), "w"))
        assert [execution.id for execution in reply.executions] == [ID]
        assert (await stand.frontend.describe(DescribeRequest((), "w"))).executions == ()

    async def test_events(self, stand: Stand) -> None:
        assert (await stand.frontend.history(HistoryRequest(ID, "w"))).last == 3
        assert (await stand.frontend.history(HistoryRequest(ID, "w", after=3))).last == 3
        for id in (OTHER, "nonsense"):
            with pytest.raises(NotFound):
                await stand.frontend.history(HistoryRequest(id, "w"))

    async def test_control(self, stand: Stand) -> None:
        assert (await stand.frontend.control(ControlRequest(ID, "w", "cancel"))).status == "cancelled"
        await stand.frontend.signal(SignalRequest(ID, "w", "s", "paid"))
        await stand.frontend.publish(PublishRequest("w", "e", "paid"))
        await stand.frontend.decide(DecideRequest(ID, "w", "ask", "approved"))
        assert stand.history.callers == [None] * 4, "as the Frontend itself"
        for call in (
            stand.frontend.signal(SignalRequest("x", "w", "s", "paid")),
            stand.frontend.decide(DecideRequest("x", "w", "ask", "approved")),
        ):
            with pytest.raises(NotFound):
                await call
        with pytest.raises(NotFound):
            await stand.frontend.control(ControlRequest("nonsense", "w", "cancel"))


class TestDeadLetters:
    async def test_redriving_retries_the_run_and_ends_its_letters(self, stand: Stand) -> None:
        reply = await stand.frontend.redrive(RedriveRequest("w", "letter", "user:1"))
        assert (reply.execution_id, reply.status, reply.dropped) == (ID, "cancelled", 1)
        assert stand.history.controls == [ControlRequest(ID, "w", "retry", "user:1", "Redriven from the dead letters.")]
        assert stand.matching.dropped == [DropRequest("w", execution_id=ID)]
        assert {*stand.matching.callers, *stand.history.callers} == {None}, "as the Frontend itself"

    async def test_a_refused_retry_keeps_the_letter(self, stand: Stand) -> None:
        stand.history.refuse = Conflict("A run that is running cannot take retry.")
        with pytest.raises(Conflict):
            await stand.frontend.redrive(RedriveRequest("w", "letter"))
        assert stand.matching.dropped == []

    async def test_unknown_ones(self, stand: Stand) -> None:
        for call in (
            stand.frontend.redrive(RedriveRequest("w", "other")),
            stand.frontend.letters(LettersRequest("w", ("other",))),
            stand.frontend.drop(DropRequest("w", ("other",))),
        ):
            with pytest.raises(NotFound):
                await call
        assert stand.history.controls == []


RIGHTS = [
    ("execution.view", "letters", LettersRequest("w")),
    ("execution.delete", "drop", DropRequest("w", all=True)),
    ("workflow.execute", "redrive", RedriveRequest("w", "letter")),
    ("workflow.execute", "run", RunRequest("w", "wf", 1, "t")),
    ("workflow.execute", "signal", SignalRequest(ID, "w", "s", "paid")),
    ("workflow.execute", "publish", PublishRequest("w", "e", "paid")),
    ("workflow.execute", "decide", DecideRequest(ID, "w", "ask", "approved")),
    ("execution.view", "approvals", ApprovalsRequest("w")),
    ("workflow.execute", "control", ControlRequest(ID, "w", "cancel")),
    ("execution.view", "describe", DescribeRequest((), "w")),
    ("execution.view", "list", ListRequest("w")),
    ("execution.view", "history", HistoryRequest(ID, "w")),
]


class TestRights:
    @pytest.mark.parametrize(("permission", "method", "request_"), RIGHTS)
    async def test_of_a_workspace(
        self, stand: Stand, called_by: Any, permission: str, method: str, request_: Any
    ) -> None:
        call = getattr(stand.frontend, method)
        for fine in (Caller("w", frozenset({permission})), Caller("*", frozenset({"*"}))):
            called_by(fine)
            await call(request_)
        called_by(Caller("w", frozenset({"workflow.view"})))
        with pytest.raises(Forbidden, match=permission):
            await call(request_)
        called_by(Caller("other", frozenset({permission})))
        with pytest.raises(NotFound, match="workspace"):
            await call(request_)

    async def test_of_operators(self, stand: Stand, called_by: Any) -> None:
        with pytest.raises(Forbidden, match=r"queue\.view"):
            await stand.frontend.stats(StatsRequest())
        with pytest.raises(Forbidden, match=r"queue\.view"):
            await stand.frontend.dead(DeadRequest())
        with pytest.raises(Forbidden, match=r"queue\.view"):
            await stand.frontend.settings(SettingsRequest())
        with pytest.raises(Forbidden, match=r"queue\.configure"):
            await stand.frontend.configure(ConfigureRequest())
        called_by(Caller("w", frozenset({"queue.view", "queue.configure"})))
        await stand.frontend.settings(SettingsRequest())
        await stand.frontend.configure(ConfigureRequest())
        stand.matching.callers.clear()
        called_by(Caller("w", frozenset({"queue.view"})))
        await stand.frontend.stats(StatsRequest())
        await stand.frontend.dead(DeadRequest())
        assert stand.matching.callers == [None], "as the Frontend itself"


class AwayLimiter:
    async def take(self, key: str, per_second: float, burst: int, cost: int = 1) -> float:
        raise Unavailable("Valkey is away.")


class CountingLimiter(MemoryLimiter):
    calls = 0

    async def take(self, key: str, per_second: float, burst: int, cost: int = 1) -> float:
        self.calls += 1
        return await super().take(key, per_second, burst, cost)


class TestRateLimit:
    async def test_a_workspace_that_calls_too_much(self, called_by: Any) -> None:
        called_by(Caller("*", frozenset({"*"})))
        stand = Stand(rate_limit=5)
        for _ in range(10):
            await stand.run()
        with pytest.raises(RateLimited, match="5 calls a second") as refused:
            await stand.run()
        assert 0 < refused.value.details["retry_after"] <= 0.2
        await stand.frontend.list(ListRequest("another"))
        await stand.frontend.stats(StatsRequest())

    async def test_a_busy_workspace_pays_few_round_trips(self, called_by: Any) -> None:
        called_by(MEMBER)
        limiter = CountingLimiter()
        stand = Stand(limiter=limiter, rate_limit=1000)
        calls = [await self.passes(stand) for _ in range(2900)]
        passed = sum(calls)
        assert 1990 <= passed < 2900
        # The burst goes by blocks of ten; after it every call asks twice, whether a unit has come back by then or not.
        assert limiter.calls <= 2000 / 10 + 2 * (len(calls) - 2000) + 30

    async def passes(self, stand: Stand) -> bool:
        try:
            await stand.frontend.list(ListRequest("w"))
        except RateLimited:
            return False
        return True

    async def test_no_limit_and_no_limiter(self, called_by: Any) -> None:
        called_by(MEMBER)
        for stand in (Stand(rate_limit=0, limiter=AwayLimiter()), Stand(rate_limit=1, limiter=AwayLimiter())):
            for _ in range(20):
                await stand.frontend.list(ListRequest("w"))
