"""The control plane over a real database, with a stand-in for the execution plane at its contract."""

from __future__ import annotations

import asyncio
import base64
import random
import re
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import msgspec

from linkflow.config import Egress, OidcProvider
from linkflow.contracts.base import Caller, caller
from linkflow.contracts.controlling import (
    Bulk,
    BulkReply,
    BulkRequest,
    BulksReply,
    BulksRequest,
    ForkReply,
    ForkRequest,
)
from linkflow.contracts.frontend import RedriveReply, RedriveRequest, RunReply, RunRequest
from linkflow.contracts.history import (
    Approval,
    ApprovalsReply,
    ApprovalsRequest,
    ControlReply,
    ControlRequest,
    DecideRequest,
    DescribeReply,
    DescribeRequest,
    Execution,
    HistoryReply,
    HistoryRequest,
    ListRequest,
    Payload,
    PayloadsReply,
    PayloadsRequest,
    PublishReply,
    PublishRequest,
    SignalRequest,
)
from linkflow.contracts.matching import (
    ConfigureRequest,
    DeadLetter,
    DeadReply,
    DeadRequest,
    DropReply,
    DropRequest,
    LettersRequest,
    QueueRule,
    QueueSettings,
    QueuesReply,
    QueuesRequest,
    QueueView,
    SettingsRequest,
    StatsReply,
    StatsRequest,
)
from linkflow.contracts.usage import UsageReply, UsageRequest, UsageSpan
from linkflow.contracts.worker import DrainReply, DrainRequest, PingReply, PingRequest, ProbeReply, ProbeRequest
from linkflow.domain.comparing import Plan, Report
from linkflow.domain.drawers import Room
from linkflow.domain.errors import Conflict, LinkFlowError, NotFound
from linkflow.domain.ids import uuid7
from linkflow.http.app import Services, create_app
from linkflow.nodes.kinds import described
from linkflow.nodes.registry import Registry
from linkflow.ports import Mailer, Notice, Words
from linkflow.postgres.approval_links import PostgresApprovalLinks
from linkflow.postgres.credentials import PostgresCredentials
from linkflow.postgres.database import Database
from linkflow.postgres.files import PostgresFiles
from linkflow.postgres.hook_calls import PostgresHookCalls
from linkflow.postgres.notifications import PostgresRules
from linkflow.postgres.people import stores
from linkflow.postgres.policies import PostgresPolicies
from linkflow.postgres.reach import PostgresReach
from linkflow.postgres.releases import PostgresReleases
from linkflow.postgres.replies import PostgresReplies
from linkflow.postgres.retention_settings import PostgresRetentionSettings
from linkflow.postgres.schedules import PostgresSchedules
from linkflow.postgres.shelf import PostgresShelf
from linkflow.postgres.teams import PostgresTeams
from linkflow.postgres.variables import PostgresVariables
from linkflow.postgres.webhooks import PostgresWebhooks
from linkflow.postgres.workflows import PostgresWorkflows
from linkflow.sandbox.pool import Pool
from linkflow.services.allowance import ApiAllowance
from linkflow.services.approval_links import ApprovalLinks
from linkflow.services.consent import Consent
from linkflow.services.credentials import Credentials
from linkflow.services.dead_letters import DeadLetters
from linkflow.services.definitions import Definitions
from linkflow.services.exchange import Exchange
from linkflow.services.executions import Executions
from linkflow.services.following import Following
from linkflow.services.forks import Forks
from linkflow.services.gallery import Gallery
from linkflow.services.hook_admin import HookDesk
from linkflow.services.hook_keys import HookKeys
from linkflow.services.hook_log import HookLog
from linkflow.services.hook_secrets import HookSecrets
from linkflow.services.hook_status import StatusTokens
from linkflow.services.inspecting import Inspecting
from linkflow.services.link_desk import LinkDesk
from linkflow.services.notifications import Notifications
from linkflow.services.passwords import Cost
from linkflow.services.people import Rules
from linkflow.services.people import build as people_of
from linkflow.services.policies import Policies
from linkflow.services.queues import Queues
from linkflow.services.reach import WorkspaceReach
from linkflow.services.releases import Releases
from linkflow.services.retention import RetentionSettings
from linkflow.services.schedule_edits import ScheduleEdits
from linkflow.services.schedules import Schedules
from linkflow.services.script_checks import ScriptChecks
from linkflow.services.sealing import Sealer
from linkflow.services.secret_links import SecretLinks
from linkflow.services.shelf import Shelf
from linkflow.services.trials import Trials
from linkflow.services.usage import Usage
from linkflow.services.variables import Variables
from linkflow.services.webhooks import Webhooks
from linkflow.services.workflows import Workflows
from linkflow.services.workspace_files import WorkspaceFiles
from linkflow.services.world import World
from linkflow.transports.fetching import Fetcher
from linkflow.transports.keyrings import connect
from linkflow.transports.mail import Outbox
from tests.integration.control.answers import Watched
from tests.timer_fakes import FakeDoorbell

SECRET = "a secret for tests that is long enough"
PASSWORD = "Correct1horse"
CHEAP = Cost(rounds=1, memory_kib=8)
"""What a hash of a password costs here; the product's is tried out in `tests/unit/control/test_sign_in.py`."""
KEYS = '{"current": "k1", "keys": {"k1": "' + base64.b64encode(b"k" * 32).decode() + '"}}'

_chance = random.SystemRandom()  # hypothesis seeds the shared one, and ids would come twice


class MovableClock:
    """Real time, moved on by hand."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self._stopped_ms = 0

    def stop(self) -> None:
        """Time goes on by hand alone from now on, from the middle of this minute."""
        self._stopped_ms = time.time_ns() // 1_000_000 // 60_000 * 60_000 + 30_000

    def now_ms(self) -> int:
        return (self._stopped_ms or time.time_ns() // 1_000_000) + self.ahead_ms

    def random(self) -> float:
        return _chance.random()

    def rand_bits(self, bits: int) -> int:
        return _chance.getrandbits(bits)

    async def sleep(self, seconds: float) -> None:
        self.ahead_ms += round(seconds * 1000)


class CountingLimiter:
    """Lets `free` calls of each key through."""

    def __init__(self) -> None:
        self.free = 1_000_000
        self.taken: dict[str, int] = {}

    async def take(self, key: str, per_second: float, burst: int, cost: int = 1) -> float:
        self.taken[key] = self.taken.get(key, 0) + cost
        return 0.0 if self.taken[key] <= self.free else 2.5

    async def spend(self, key: str, per_second: float, burst: int, cost: int = 1) -> tuple[float, int]:
        wait = await self.take(key, per_second, burst, cost)
        return wait, max(0, min(burst, self.free) - self.taken[key])


class SmallAudience:
    """Who watches, and what was told, in memory."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.told: list[Notice] = []

    async def watch(self, topic: str, seconds: float) -> bool:
        known = topic in self.topics
        self.topics.add(topic)
        return known

    async def watched(self) -> frozenset[str]:
        return frozenset(self.topics)

    async def tell(self, topic: str, notices: Sequence[bytes]) -> None:
        self.told += [Notice(f"{len(self.told) + place + 1}-0", one) for place, one in enumerate(notices)]

    async def read(self, topic: str, after: str, limit: int) -> list[Notice]:
        return [one for one in self.told if int(one.cursor[:-2]) > int(after.partition("-")[0])][:limit]

    async def latest(self, topic: str) -> str:
        return self.told[-1].cursor if self.told else "0-0"

    async def has(self, topic: str, cursor: str) -> bool:
        return True


class Silence:
    """Nodes say what a test lets them."""

    def __init__(self) -> None:
        self.said: dict[str, list[Words]] = {}

    async def publish(self, execution_id: str, words: Sequence[Words]) -> None:
        self.said[execution_id] = [msgspec.structs.replace(one, cursor=f"1-{n}") for n, one in enumerate(words)]

    async def read(self, execution_id: str, after: str = "", limit: int = 500) -> list[Words]:
        return [one for one in self.said.get(execution_id, ()) if one.cursor > after]


class Bells:
    """Nobody rings."""

    async def ring(self, topic: str, message: bytes) -> None:
        return None

    async def listen(self, topic: str) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


class RecordingFrontend:
    """`FrontendApi`: checks rights as the real one does, keeps what it was asked, answers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Caller, Any]] = []
        self.answer = RunReply("")
        self.error: LinkFlowError | Exception | None = None
        self.executions: dict[str, Execution] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.by_key: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.bulk_operations: dict[str, Bulk] = {}
        self.approvals_open: list[tuple[str, Approval]] = []
        self.took: tuple[str, ...] = ()
        self.spans: list[UsageSpan] = []
        self.blobs: dict[str, bytes] = {}
        self.dead_letters: list[DeadLetter] = []
        self.own_rules: dict[str, dict[str, tuple[QueueRule, ...]]] = {}

    @property
    def last(self) -> Any:
        return self.calls[-1][1]

    def _enter(self, permission: str, request: Any) -> None:
        who = caller()
        who.require(permission, request.workspace_id)
        self.calls.append((who, request))
        if self.error is not None:
            raise self.error

    async def run(self, request: RunRequest) -> RunReply:
        self._enter("workflow.execute", request)
        known = self.by_key.get(request.idempotency_key) if request.idempotency_key else None
        id = known or uuid7(time.time_ns() // 1_000_000, 0, _chance.getrandbits(62))
        if request.idempotency_key:
            self.by_key[request.idempotency_key] = id
        return msgspec.structs.replace(self.answer, execution_id=id, created=known is None)

    async def control(self, request: ControlRequest) -> ControlReply:
        self._enter("execution.delete" if request.verb == "delete" else "workflow.execute", request)
        self._visible(request)
        return ControlReply(
            {"cancel": "cancelled", "terminate": "terminated", "pause": "paused"}.get(request.verb, "running")
        )

    async def fork(self, request: ForkRequest) -> ForkReply:
        self._enter("workflow.execute", request)
        self._visible(request)
        found = self.executions[request.execution_id]
        mode = "rerun" if request.verb == "rerun" else "fork"
        plan = Plan(("a",), ("b",), report=Report(added=("n",)) if request.version else None)
        if request.dry_run:
            return ForkReply("", found.workflow_id, 1, mode, plan=plan)
        id = uuid7(time.time_ns() // 1_000_000, 0, _chance.getrandbits(62))
        return ForkReply(id, found.workflow_id, 1, mode, True, plan)

    async def bulk(self, request: BulkRequest) -> BulkReply:
        self._enter("workflow.execute", request)
        if request.dry_run:
            return BulkReply(3, True)
        id, now = uuid7(time.time_ns() // 1_000_000, 0, _chance.getrandbits(62)), time.time_ns() // 1_000_000
        made = Bulk(
            id, request.workspace_id, request.verb, request.filter, request.options, request.actor, "running", 4, False,
            1, 1, 1, (), now, now,
        )  # fmt: skip
        self.bulk_operations[id] = made
        return BulkReply(4, False, made)

    async def bulks(self, request: BulksRequest) -> BulksReply:
        self._enter("workflow.execute" if request.cancel else "execution.view", request)
        mine = [one for one in self.bulk_operations.values() if one.workspace_id == request.workspace_id]
        if not request.id:
            newest = sorted(mine, key=lambda one: one.id, reverse=True)
            return BulksReply(tuple(one for one in newest if not request.before or one.id < request.before))
        for one in mine:
            if one.id == request.id:
                found = msgspec.structs.replace(one, status="cancelled") if request.cancel else one
                self.bulk_operations[one.id] = found
                return BulksReply((found,))
        raise NotFound("There is no such bulk operation.")

    async def signal(self, request: SignalRequest) -> ControlReply:
        self._enter("workflow.execute", request)
        self._visible(request)
        return ControlReply("running")

    async def publish(self, request: PublishRequest) -> PublishReply:
        self._enter("workflow.execute", request)
        return PublishReply(self.took)

    async def decide(self, request: DecideRequest) -> ControlReply:
        self._enter("workflow.execute", request)
        self._visible(request)
        for at, (workspace, found) in enumerate(self.approvals_open):
            if (workspace, found.node_key) == (request.workspace_id, request.node_key):
                del self.approvals_open[at]
                return ControlReply("running")
        raise Conflict("This approval is not open.")

    async def approvals(self, request: ApprovalsRequest) -> ApprovalsReply:
        self._enter("execution.view", request)
        mine = [found for workspace, found in self.approvals_open if workspace == request.workspace_id]
        mine.sort(key=lambda found: (found.execution_id, found.node_key))
        after = (request.before, request.after_node)
        rest = [found for found in mine if (found.execution_id, found.node_key) > after]
        return ApprovalsReply(tuple(rest[: request.limit]))

    async def describe(self, request: DescribeRequest) -> DescribeReply:
        self._enter("execution.view", request)
        found = [self.executions.get(id) for id in request.execution_ids]
        mine = tuple(e for e in found if e is not None and e.workspace_id == request.workspace_id)
        if not mine:
            raise NotFound("There is no such execution.")
        return DescribeReply(mine)

    async def list(self, request: ListRequest) -> DescribeReply:
        self._enter("execution.view", request)
        newest = sorted(self.executions.values(), key=lambda e: e.id, reverse=True)
        mine = [
            e
            for e in newest
            if e.workspace_id == request.workspace_id
            and (not request.before or e.id < request.before)
            and (not request.status or e.status == request.status)
            and (not request.source_id or self.sources.get(e.id) == request.source_id)
        ]
        return DescribeReply(tuple(mine[: request.limit]))

    async def history(self, request: HistoryRequest) -> HistoryReply:
        self._enter("execution.view", request)
        self._visible(request)
        found = [e for e in self.events.get(request.execution_id, []) if e["event_id"] > request.after]
        page = found[: request.limit]
        last = page[-1]["event_id"] if page else 0
        return HistoryReply(msgspec.Raw(msgspec.json.encode(page)), last, len(found) > len(page))

    async def payloads(self, request: PayloadsRequest) -> PayloadsReply:
        self._enter("execution.view", request)
        mine = [key for key in request.keys if key in self.blobs and key.startswith(f"{request.workspace_id}/")]
        return PayloadsReply(tuple(Payload(key, msgspec.Raw(self.blobs[key])) for key in mine))

    def _visible(self, request: ControlRequest | ForkRequest | HistoryRequest | SignalRequest | DecideRequest) -> None:
        found = self.executions.get(request.execution_id)
        if found is None or found.workspace_id != request.workspace_id:
            raise NotFound("There is no such execution.")

    async def usage(self, request: UsageRequest) -> UsageReply:
        self._enter("execution.view", request)
        spans = [one for one in self.spans if request.first <= one.at < request.beyond]
        return UsageReply(tuple(spans), {"running": 2} if request.with_open else {})

    async def stats(self, request: StatsRequest) -> StatsReply:
        raise NotFound("Not here.")

    async def dead(self, request: DeadRequest) -> DeadReply:
        raise NotFound("Not here.")

    async def settings(self, request: SettingsRequest) -> QueueSettings:
        raise NotFound("Not here.")

    async def configure(self, request: ConfigureRequest) -> QueueSettings:
        self._enter("queue.limit", request)
        rules = tuple(msgspec.structs.replace(rule, own=True) for rule in request.rules)
        self.own_rules.setdefault(request.workspace_id, {})[request.queue] = rules
        return QueueSettings(request.queue, 2, rules=rules)

    async def queues(self, request: QueuesRequest) -> QueuesReply:
        self._enter("execution.view", request)
        names = request.names or tuple(sorted({"default", *self.own_rules.get(request.workspace_id, {})}))
        return QueuesReply(tuple(self._queue(request.workspace_id, name) for name in names))

    def _queue(self, workspace_id: str, name: str) -> QueueView:
        rules = self.own_rules.get(workspace_id, {}).get(name, ())
        return QueueView(QueueSettings(name, 0, rules=rules), oldest_ms=1500, workers=2, open=7)

    async def letters(self, request: LettersRequest) -> DeadReply:
        self._enter("execution.view", request)
        mine = [letter for letter in self.dead_letters if letter.task.workspace_id == request.workspace_id]
        if request.ids:
            return DeadReply((self._letter(request.workspace_id, request.ids[0]),))
        if request.match is not None:
            return DeadReply(tuple(letter for letter in mine if request.match.fits(letter)))
        older = [letter for letter in mine if not request.before or letter.id < request.before]
        return DeadReply(tuple(sorted(older, key=lambda letter: letter.id, reverse=True)[: request.limit]))

    async def drop(self, request: DropRequest) -> DropReply:
        self._enter("execution.delete", request)
        gone = [letter for letter in self.dead_letters if letter.task.workspace_id == request.workspace_id]
        if not request.all:
            gone = [self._letter(request.workspace_id, id) for id in dict.fromkeys(request.ids)]
        self.dead_letters = [letter for letter in self.dead_letters if letter not in gone]
        return DropReply(len(gone))

    async def redrive(self, request: RedriveRequest) -> RedriveReply:
        self._enter("workflow.execute", request)
        letter = self._letter(request.workspace_id, request.id)
        if letter.reason == "refuse":
            raise Conflict("A run that is completed cannot take retry.")
        self.dead_letters.remove(letter)
        return RedriveReply(letter.task.execution_id, "running", 1)

    def _letter(self, workspace_id: str, id: str) -> DeadLetter:
        for letter in self.dead_letters:
            if (letter.task.workspace_id, letter.id) == (workspace_id, id):
                return letter
        raise NotFound("There is no such dead letter.")


class RecordingWorker:
    """`WorkerApi`, as far as the control plane asks it: keeps what it was asked, answers what it was told."""

    def __init__(self) -> None:
        self.asked: list[ProbeRequest] = []
        self.answer = ProbeReply(True, "The server took it.", duration_ms=3)

    async def probe(self, request: ProbeRequest) -> ProbeReply:
        caller().require("worker.probe", request.workspace_id)
        self.asked.append(request)
        return self.answer

    async def drain(self, request: DrainRequest) -> DrainReply:
        raise NotFound("Not here.")

    async def ping(self, request: PingRequest) -> PingReply:
        raise NotFound("Not here.")


@dataclass(frozen=True)
class Person:
    """Somebody with an account and a workspace."""

    user_id: str
    email: str
    token: str
    refresh_token: str
    workspace_id: str

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def base(self) -> str:
        return f"/api/v1/workspaces/{self.workspace_id}"


@dataclass
class Plane:
    """Everything a test looks at."""

    client: httpx.AsyncClient
    frontend: RecordingFrontend
    database: Database
    clock: MovableClock
    limiter: CountingLimiter
    services: Services
    worker: RecordingWorker
    engine: Pool
    watched: Watched
    down: set[str] = field(default_factory=set)
    outbox: Path = Path()
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    idle: set[str] = field(default_factory=set)
    """Calls that left everything as it was."""

    async def remember(self, response: httpx.Response) -> None:
        """Keep what changed something: the request id, method and path."""
        asked, answered = response.request, response.headers
        done = response.status_code < 400 and "idempotency-replayed" not in answered
        if asked.method not in ("GET", "HEAD", "OPTIONS") and done:
            self.changes[answered["x-request-id"]] = (asked.method, asked.url.path)
            if asked.method in ("PUT", "PATCH") and not asked.content:
                self.idle.add(answered["x-request-id"])

    async def mails(self, to: str) -> list[str]:
        """What was sent to somebody, the oldest first."""
        await self.services.people.mails.settle()
        found = [message_from_bytes(file.read_bytes()) for file in sorted(self.outbox.glob("*.eml"))]
        return [str(mail.get_payload(decode=True), "utf-8") for mail in found if mail["To"] == to]

    async def link(self, to: str) -> str:
        """The token of the link in the latest mail to somebody."""
        return re.findall(r"#(\S+)", (await self.mails(to))[-1])[0]

    async def person(self, email: str = "ada@example.com", name: str = "Ada") -> Person:
        form = {"first_name": name, "last_name": "L", "email": email, "password": PASSWORD}
        response = await self.client.post("/api/v1/auth/register", json={**form, "password_confirmation": PASSWORD})
        assert response.status_code == 201, response.text
        body = response.json()
        return Person(body["user"]["id"], email, body["access_token"], body["refresh_token"], body["workspace"]["id"])

    async def somebody(self) -> Person:
        """Somebody new."""
        return await self.person(f"u{_chance.getrandbits(64)}@example.com")

    async def later(self, who: Person, hours: int) -> Person:
        """Move the clock on, and sign in again."""
        self.clock.ahead_ms += hours * 3600 * 1000
        response = await self.client.post("/api/v1/auth/login", json={"email": who.email, "password": PASSWORD})
        return replace(who, token=response.json()["access_token"])

    async def workflow(self, who: Person, **changes: Any) -> dict[str, Any]:
        response = await self.client.post(f"{who.base}/workflows", json={**document(), **changes}, headers=who.auth)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()["workflow"]
        return made

    async def webhook(self, who: Person, active: bool = True, **config: Any) -> str:
        """The path of a new webhook with this trigger config."""
        made = await self.workflow(who, **hook_document(**config))
        if active:
            await self.client.post(f"{who.base}/workflows/{made['id']}/activate", headers=who.auth)
        return f"/webhooks/{made['triggers'][0]['id']}"


def document(**changes: Any) -> dict[str, Any]:
    """A small workflow."""
    nodes = [
        {"id": "start", "type": "trigger_manual"},
        {"id": "log", "type": "output_log", "config": {"message": "hello"}},
    ]
    return {"name": "Orders", "nodes": nodes, "edges": [{"id": "e1", "source": "start", "target": "log"}], **changes}


def hook_document(**config: Any) -> dict[str, Any]:
    """One that starts by a webhook."""
    nodes = [
        {"id": "hook", "type": "trigger_webhook", "config": config},
        {"id": "log", "type": "output_log", "config": {"message": "hello"}},
    ]
    return {"name": "Hooked", "nodes": nodes, "edges": [{"id": "e1", "source": "hook", "target": "log"}]}


def cron_document(cron: str = "0 9 * * *", **config: Any) -> dict[str, Any]:
    """One that starts by the clock."""
    nodes = [
        {"id": "daily", "type": "trigger_schedule", "config": {"cron": cron, **config}},
        {"id": "log", "type": "output_log", "config": {"message": "hello"}},
    ]
    return {"name": "Daily", "nodes": nodes, "edges": [{"id": "e1", "source": "daily", "target": "log"}]}


def build(
    database: Database, oidc: Mapping[str, OidcProvider] | None = None, mailer: Mailer | None = None, **more: Any
) -> Plane:
    """The app, as `bootstrap` builds it. Without a `mailer` mails are in the outbox; `more` are rules."""
    clock, frontend, limiter = MovableClock(), RecordingFrontend(), CountingLimiter()
    store, down = PostgresWorkflows(database), set[str]()
    outbox = Path(tempfile.mkdtemp(prefix="linkflow-outbox-"))
    rules = Rules(secret=SECRET, public_url="http://linkflow.test", oidc=oidc or {}, password_cost=CHEAP, **more)
    fetcher = Fetcher(Egress(), [one.issuer for one in rules.oidc.values()])
    people = people_of(stores(database), rules, clock, limiter, mailer or Outbox(outbox), fetcher.fetch)
    definitions, worker = Definitions(store), RecordingWorker()
    sealer = Sealer(connect([KEYS]), clock)
    vault, values = PostgresCredentials(database), PostgresVariables(database)
    credentials = Credentials(vault, PostgresTeams(database), sealer, worker, clock)

    async def valkey() -> None:
        if "valkey" in down:
            raise ConnectionError("refused")

    executions = Executions(frontend, definitions)
    following = Following(executions, SmallAudience(), Bells(), clock, Silence())
    hook_keys = HookKeys(vault, sealer, clock, credentials.probe)
    links = SecretLinks(vault, values, Registry.load(), HookSecrets(credentials, vault, hook_keys))
    engine = Pool(1)
    checks = ScriptChecks(Registry.load(), lambda: engine)
    policies = PostgresPolicies(database)
    workflows = Workflows(store, definitions, Registry.load(), frontend, clock, links, policies, checks)
    shelf = Shelf(PostgresShelf(database), workflows, store, clock)
    schedules = Schedules(PostgresSchedules(database), FakeDoorbell(), clock)
    services = Services(
        auth=people.auth,
        people=people,
        workspaces=people.workspaces,
        workflows=workflows,
        releases=Releases(PostgresReleases(database), workflows, definitions, clock),
        shelf=shelf,
        exchange=Exchange(workflows, store, shelf, links, clock),
        gallery=Gallery(workflows),
        executions=executions,
        inspecting=Inspecting(executions, following),
        following=following,
        retention=RetentionSettings(PostgresRetentionSettings(database), 90),
        files=WorkspaceFiles(PostgresFiles(database), Room(1_000_000, 2_000_000, 100), clock),
        notifications=Notifications(PostgresRules(database), workflows, frontend, clock, "http://linkflow.test"),
        trials=Trials(workflows, executions, frontend, Registry.load(), clock),
        forks=Forks(frontend),
        schedules=schedules,
        schedule_edits=ScheduleEdits(workflows, schedules),
        world=World(frontend),
        approval_links=LinkDesk(ApprovalLinks(SECRET, "http://linkflow.test"), PostgresApprovalLinks(database), clock),
        dead_letters=DeadLetters(frontend),
        usage=Usage(frontend, clock),
        queues=Queues(frontend),
        policies=Policies(PostgresPolicies(database), clock),
        reach=WorkspaceReach(PostgresReach(database), clock, ("10.1.0.0/16", "*.intra.example")),
        webhooks=Webhooks(
            PostgresWebhooks(database), frontend, limiter, keys=hook_keys, clock=clock, tokens=StatusTokens(SECRET)
        ),
        hook_desk=HookDesk(PostgresHookCalls(database), frontend, clock),
        hook_log=HookLog(PostgresHookCalls(database), clock, at_once=True),
        credentials=credentials,
        consent=Consent(credentials, SECRET, "http://linkflow.test/api/v1/oauth/callback", clock),
        variables=Variables(values, sealer, clock),
        credential_types=described,
        replies=PostgresReplies(database),
        allowance=ApiAllowance(limiter, 500),
        clock=clock,
        checks={"postgres": database.ping, "valkey": valkey},
        node_types=Registry.load().describe,
        public_url="http://linkflow.test",
        streams=False,
    )
    watched = Watched(create_app(services))
    transport = httpx.ASGITransport(watched, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://linkflow.test")
    return Plane(client, frontend, database, clock, limiter, services, worker, engine, watched, down, outbox)


def check_problem(response: httpx.Response, status: int, code: str = "") -> dict[str, Any]:
    """Is it a complete problem document of this status?"""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code", "instance", "request_id"} <= body.keys()
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    if code:
        assert body["code"] == code
    for fault in body.get("errors", ()):
        assert {"pointer", "code", "detail"} <= fault.keys()
    return body
