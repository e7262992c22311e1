"""The only place where parts meet. Each builder imports its adapters itself: a cold start pays for what it uses."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from linkflow.clock import SystemClock
from linkflow.config import Config, key_settings
from linkflow.contracts.base import ANY_WORKSPACE, Caller, Server, Transport, client
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.history import HistoryApi
from linkflow.contracts.matching import MatchingApi
from linkflow.contracts.timer import TimerApi
from linkflow.contracts.worker import WorkerApi
from linkflow.metrics import MEASURES
from linkflow.ports import (
    Ahead,
    Audience,
    Blobs,
    Dispatcher,
    Doorbell,
    EventStore,
    FileStore,
    Invitations,
    Live,
    Mailer,
    TimerStore,
)
from linkflow.transports.connect import connect
from linkflow.transports.in_process import InProcess
from linkflow.transports.tokens import TokenSigner

if TYPE_CHECKING:
    from fastapi import FastAPI

    from linkflow.domain.commands import Start
    from linkflow.domain.decider import Session
    from linkflow.domain.definition import Definition
    from linkflow.domain.state import State
    from linkflow.http.console_parts import Console
    from linkflow.http.wiring import Services
    from linkflow.nodes.registry import Registry
    from linkflow.nodes.scripts import Scripts
    from linkflow.postgres.database import Database
    from linkflow.postgres.retention import Retention
    from linkflow.postgres.shards import Shards
    from linkflow.services.people import People
    from linkflow.services.sealing import Sealer
    from linkflow.services.timer import Timer
    from linkflow.services.timer.rest import Rest
    from linkflow.services.worker import Worker
    from linkflow.streams.connection import Clients
    from linkflow.transports.vigil import Vigil

SERVICES: dict[str, type[Any]] = {
    "frontend": FrontendApi,
    "history": HistoryApi,
    "matching": MatchingApi,
    "worker": WorkerApi,
    "timer": TimerApi,
}

T = TypeVar("T")


class _Later:
    """A head start that is made when the first run starts."""

    def __init__(self, make: Callable[[], Ahead]) -> None:
        self._make = make
        self._made: Ahead | None = None

    def run(self, start: Start, definition: Definition, session: Session) -> None:
        if self._made is None:
            self._made = self._make()
        self._made.run(start, definition, session)


class System:
    """The parts of one process, each made when first asked for.

    A service that `config.peers` names is reached there; every other one lives in this process.
    """

    def __init__(self, config: Config, name: str = "linkflow", *, on_lambda: bool = False) -> None:
        self.config = config
        self.name = name
        self.clock = SystemClock()
        self.signer = TokenSigner.of(config)
        self.on_lambda = on_lambda
        self._local = InProcess()
        self._parts: dict[str, Any] = {}
        self._transports: dict[str, Transport] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._drains: list[Callable[[], None]] = []
        self._stop = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._keeping: asyncio.Task[None] | None = None

    # Clients and servers

    def client(self, protocol: type[T]) -> T:
        """A client of a service, wherever it is."""
        service = protocol.__name__.removesuffix("Api").lower()
        identity = Caller(ANY_WORKSPACE, frozenset({"*"}), f"service:{self.name}")
        return client(protocol, self._transport(service), self.signer, identity)

    def _transport(self, service: str) -> Transport:
        url = self.config.peers.get(service, "local:")
        if url not in self._transports:
            transport = connect(url, local=self._local, tls=self.config.tls)
            self._transports[url] = transport
            self._closing(transport)
        return self._transports[url]

    def serve(self, service: str) -> Server:
        """Make a service of this process, and whatever it needs here; returns its server."""
        key = f"server:{service}"
        if key not in self._parts:
            protocol = SERVICES[service]
            self._parts[key] = None  # services refer to each other in circles
            made = getattr(self, service)()
            if service == "matching":
                self._drains.append(made.drain)
                MEASURES.append(made.measure)
            server = Server(protocol, made, self.signer)
            self._parts[key] = server
            self._local.add(server)
        server_made: Server = self._parts[key]
        return server_made

    def serve_all(self, services: Iterable[str] = tuple(SERVICES)) -> list[Server]:
        """Make every service that has no peer elsewhere."""
        return [self.serve(name) for name in services if name not in self.config.peers]

    def _once(self, key: str, build: Callable[[], Any]) -> Any:
        if key not in self._parts:
            self._parts[key] = build()
        return self._parts[key]

    def _closing(self, part: Any) -> Any:
        close = getattr(part, "close", None) or getattr(part, "aclose", None)
        if close is not None:
            self._closers.append(close)
        return part

    # Adapters

    @property
    def database(self) -> Database:
        """The main one."""
        return self._database()

    def _renew(self, which: Callable[[Config], str]) -> Callable[[], Awaitable[str]] | None:
        """What gives an address anew to whom it did not let in; None where no secrets are named in the settings."""
        if not self.on_lambda or not _named:
            return None

        async def renew() -> str:
            from linkflow.transports.renewing import Renewal

            renewal: Renewal = self._once("renewal", lambda: Renewal(_named))
            return which(await renewal.settings())

        return renew

    def _database(self, name: str = "") -> Database:
        """The main one, or one of the others."""

        def url(settings: Config) -> str:
            return settings.databases[name] if name else settings.database_url

        def build() -> Database:
            from linkflow.postgres.database import Database

            size = 1 if self.on_lambda else self.config.pool_size
            knows = ("default", *self.config.databases) if self.config.databases else ()
            made = Database(
                url(self.config), size=size, timeout=self.config.db_timeout, prepare=not self.on_lambda, knows=knows,
                renew=self._renew(url),
            )  # fmt: skip
            database: Database = self._closing(made)
            return database

        found: Database = self._once(f"database:{name}", build)
        return found

    @property
    def shards(self) -> Shards | None:
        """The map of several databases; None where there is one, which then has nothing in front of it."""
        if not self.config.databases:
            return None

        def build() -> Shards:
            from linkflow.postgres.shards import Shards

            others = {name: self._database(name) for name in self.config.databases}
            made: Shards = self._closing(Shards(self.database, others))
            return made

        found: Shards = self._once("shards", build)
        return found

    @property
    def store(self) -> EventStore:
        def build() -> EventStore:
            from linkflow.postgres.executions import PostgresEvents

            late, shards = round(self.config.republish_after * 1000), self.shards
            if shards is None:
                return PostgresEvents(self.database, late)
            from linkflow.postgres.sharded import ShardedEvents

            return ShardedEvents(shards, {name: PostgresEvents(one, late) for name, one in shards.databases.items()})

        found: EventStore = self._once("store", build)
        return found

    def _lane(self) -> Callable[[str], str] | None:
        """With several databases, which one a run is in."""
        if self.shards is None:
            return None
        lane: Callable[[str], str] = self.store.lane  # type: ignore[attr-defined]
        return lane

    def timer_store(self) -> TimerStore:
        from linkflow.postgres.timers import PostgresTimers

        shards = self.shards
        if shards is None:
            return PostgresTimers(self.database, self.retention())
        from linkflow.postgres.sharded_timers import ShardedTimers

        stores = {
            name: PostgresTimers(one, self.retention(one), closes=False) for name, one in shards.databases.items()
        }
        return ShardedTimers(shards, stores)

    @property
    def blobs(self) -> Blobs:
        """Where large payloads are kept."""

        def build() -> Blobs:
            if self.config.blobs:
                from linkflow.transports.s3 import S3Blobs

                kept: Blobs = self._closing(S3Blobs(self.config.blobs))
                return kept
            from linkflow.postgres.blobs import PostgresBlobs

            shards = self.shards
            if shards is None:
                return PostgresBlobs(self.database)
            from linkflow.postgres.sharded_blobs import ShardedBlobs

            return ShardedBlobs(shards, {name: PostgresBlobs(one) for name, one in shards.databases.items()})

        found: Blobs = self._once("blobs", build)
        return found

    @property
    def files(self) -> FileStore:
        """Where files of workspaces are kept."""
        from linkflow.postgres.files import PostgresFiles

        shards = self.shards
        if shards is None:
            return PostgresFiles(self.database)
        from linkflow.postgres.sharded_files import ShardedFiles

        return ShardedFiles(shards, {name: PostgresFiles(one) for name, one in shards.databases.items()})

    @property
    def valkey(self) -> Clients:
        def build() -> Clients:
            from linkflow.streams.connection import connect

            clients: Clients = self._closing(connect(self.config.redis_url, self._renew(lambda now: now.redis_url)))
            return clients

        found: Clients = self._once("valkey", build)
        return found

    @property
    def doorbell(self) -> Doorbell:
        """Rings over Valkey; on Lambda, where no timer loops, a ring for it is an invocation as well."""

        def build() -> Doorbell:
            from linkflow.streams.doorbell import PubSubDoorbell

            bell: Doorbell = self._closing(PubSubDoorbell(self.valkey))
            timer = self.config.peers.get("timer", "")
            if not timer.startswith("lambda:") or self.name == "timer":  # a tick looks ahead by itself
                return bell
            from linkflow.transports.poke import PokingDoorbell

            poking: Doorbell = self._closing(PokingDoorbell(bell, timer.removeprefix("lambda:")))
            return poking

        found: Doorbell = self._once("doorbell", build)
        return found

    @property
    def vigil(self) -> Vigil | None:
        """Keeps a clock on Lambda from resting while this process works; None where the clock is elsewhere."""
        timer = self.config.peers.get("timer", "")
        if not timer.startswith("lambda:") or self.name == "timer":  # a tick knows what it does
            return None

        def build() -> Vigil:
            from linkflow.streams.idleness import StreamIdleness
            from linkflow.transports.vigil import Vigil

            made: Vigil = self._closing(Vigil(StreamIdleness(self.valkey), self.clock, timer.removeprefix("lambda:")))
            return made

        found: Vigil = self._once("vigil", build)
        return found

    @property
    def live(self) -> Live:
        """What nodes say while they run."""

        def build() -> Live:
            from linkflow.streams.live import StreamLive

            return StreamLive(self.valkey, self.doorbell)

        found: Live = self._once("live", build)
        return found

    @property
    def audience(self) -> Audience:
        """Who watches which runs."""

        def build() -> Audience:
            from linkflow.streams.audience import StreamAudience

            return StreamAudience(self.valkey, self.clock)

        found: Audience = self._once("audience", build)
        return found

    @property
    def sealer(self) -> Sealer:
        """Opens and seals what is secret."""

        def build() -> Sealer:
            from linkflow.services.sealing import Sealer
            from linkflow.transports.keyrings import connect

            return Sealer(connect(key_settings(self.config.keys)), self.clock)

        found: Sealer = self._once("sealer", build)
        return found

    @property
    def registry(self) -> Registry:
        def build() -> Registry:
            from linkflow.nodes.registry import Registry

            return Registry.load()

        found: Registry = self._once("registry", build)
        return found

    # Services

    def history(self) -> Any:
        from linkflow.postgres.credentials import PostgresCredentials
        from linkflow.postgres.notifications import PostgresRules
        from linkflow.postgres.policies import PostgresPolicies
        from linkflow.postgres.purging import PostgresPurge
        from linkflow.postgres.reach import PostgresReach
        from linkflow.postgres.variables import PostgresVariables
        from linkflow.services.history import History
        from linkflow.services.history.secrets import Secrets

        made = History(
            self.store, self.client(MatchingApi), self.doorbell, self.clock, self.config,
            push_before_reply=self.on_lambda, ahead=self._ahead(), blobs=self.blobs, lane=self._lane(),
            reach=PostgresReach(self.database), audience=self.audience, policies=PostgresPolicies(self.database),
            secrets=Secrets(PostgresCredentials(self.database), PostgresVariables(self.database), self.clock),
            rules=PostgresRules(self.database),
            purging=PostgresPurge(self.database, list(self.shards.databases.values()) if self.shards else ()),
        )  # fmt: skip
        self._parts["remembered"] = made.remembered
        return self._closing(made)

    def _remembered(self, execution_id: str, version: int) -> State | None:
        """A run's state, where History lives here and has it."""
        found: State | None = self._parts["remembered"](execution_id, version) if "remembered" in self._parts else None
        return found

    def _ahead(self) -> Ahead | None:
        """On Lambda only once a run starts: node types are no part of a cold start."""
        if not self.config.head_start:
            return None
        return _Later(self._head_start) if self.on_lambda else self._head_start()

    def _head_start(self) -> Ahead:
        from linkflow.services.worker import HeadStart

        return HeadStart(self.registry, self.clock, self.config.max_payload, f"{self.name}-{os.getpid()}")

    def matching(self) -> Any:
        from linkflow.postgres.queue_settings import PostgresQueueBook
        from linkflow.services.flow import Flow
        from linkflow.services.matching import Matching
        from linkflow.streams.flow import StreamFlow
        from linkflow.streams.queue import StreamQueue

        queue = StreamQueue(self.valkey, partitions=self.config.partitions, max_deliveries=self.config.max_deliveries)
        made = Matching(
            self._closing(queue), self.client(HistoryApi), self._dispatcher(queue.invitations), self.config, self.clock,
            queue.copies, PostgresQueueBook(self.database), flow=Flow(StreamFlow(self.valkey), self.clock),
        )  # fmt: skip
        return self._closing(made)

    def _dispatcher(self, invitations: Invitations) -> Dispatcher | None:
        """On Lambda no worker loops by itself: Matching wakes one."""
        url = self.config.peers.get("worker", "")
        if not url.startswith("lambda:"):
            return None
        from linkflow.transports.dispatch import LambdaDispatcher, QueueDispatcher

        names = {url.removeprefix("lambda:"), *self.config.worker_functions.values()}
        capacity, most = self.config.worker_capacity, self.config.worker_invitations
        each = {name: LambdaDispatcher(name, invitations, capacity=capacity, most=most) for name in names}
        own = {queue: each[name] for queue, name in self.config.worker_functions.items()}
        made: Dispatcher = self._closing(QueueDispatcher(each[url.removeprefix("lambda:")], own))
        return made

    def frontend(self) -> Any:
        from linkflow.services.frontend import Frontend
        from linkflow.streams.limiter import StreamLimiter

        made = Frontend(
            self.client(HistoryApi), self.client(MatchingApi), StreamLimiter(self.valkey), self.doorbell, self.clock,
            self.config,
        )  # fmt: skip
        return self._closing(made)

    def retention(self, database: Database | None = None) -> Retention:
        """What the timer's upkeep drops, and `linkflow upkeep`: in the main database, or another one."""
        from linkflow.postgres.retention import Retention

        return Retention(database or self.database, self.config.retention_days, self.database, self.config.audit_days)

    def timer(self) -> Timer:
        def build() -> Timer:
            from linkflow.services.timer import Timer

            store = self.timer_store()
            return Timer(store, self.client(HistoryApi), self.clock, self.doorbell, self.config, self._rest(store))

        found: Timer = self._once("timer", build)
        return found

    def _rest(self, store: TimerStore) -> Rest | None:
        """Only on Lambda, where whoever works says so (`vigil`)."""
        if not self.on_lambda or self.config.clock_rest <= 0:
            return None
        from linkflow.services.timer.rest import Rest
        from linkflow.streams.idleness import StreamIdleness

        async def let_go() -> None:
            for database in self._databases():
                await database.close()  # the next statement opens it again

        return Rest(StreamIdleness(self.valkey), store, self.clock, self.config.clock_rest, let_go)

    def _databases(self) -> list[Database]:
        return [self.database] if self.shards is None else list(self.shards.databases.values())

    def worker(self) -> Worker:
        def build() -> Worker:
            from linkflow.nodes.egress import EgressClient
            from linkflow.sandbox.pool import Pool
            from linkflow.services.worker import Worker

            name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
            egress = self._closing(EgressClient(self.config.egress))
            scripts = self._closing(Pool(self.config.sandbox_processes))
            return Worker(
                self.client(HistoryApi), self.client(MatchingApi), self.registry, egress, self.clock, self.config, name,
                self.blobs, self._remembered, scripts, self.live, self.sealer, self.files,
            )  # fmt: skip

        found: Worker = self._once("worker", build)
        return found

    # The control plane

    def services(self) -> Services:
        """What the HTTP app is built from."""
        from linkflow.domain.drawers import Room
        from linkflow.http.wiring import Services
        from linkflow.nodes.kinds import described
        from linkflow.postgres.approval_links import PostgresApprovalLinks
        from linkflow.postgres.credentials import PostgresCredentials
        from linkflow.postgres.hook_calls import PostgresHookCalls
        from linkflow.postgres.notifications import PostgresRules
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
        from linkflow.services.policies import Policies
        from linkflow.services.queues import Queues
        from linkflow.services.reach import WorkspaceReach
        from linkflow.services.releases import Releases
        from linkflow.services.retention import RetentionSettings
        from linkflow.services.schedule_edits import ScheduleEdits
        from linkflow.services.schedules import Schedules
        from linkflow.services.script_checks import ScriptChecks
        from linkflow.services.secret_links import SecretLinks
        from linkflow.services.shelf import Shelf
        from linkflow.services.trials import Trials
        from linkflow.services.usage import Usage
        from linkflow.services.variables import Variables
        from linkflow.services.webhooks import Webhooks
        from linkflow.services.workflows import Workflows
        from linkflow.services.workspace_files import WorkspaceFiles
        from linkflow.services.world import World
        from linkflow.streams.limiter import StreamLimiter

        config, clock, database = self.config, self.clock, self.database
        people, workflows = self.people(), PostgresWorkflows(database)
        definitions, frontend, limiter = Definitions(workflows), self.client(FrontendApi), StreamLimiter(self.valkey)
        executions = Executions(frontend, definitions)
        following = Following(executions, self.audience, self.doorbell, clock, self.live)
        vault, values = PostgresCredentials(database), PostgresVariables(database)
        credentials = Credentials(vault, PostgresTeams(database), self.sealer, self.client(WorkerApi), clock)
        hook_keys = HookKeys(vault, self.sealer, clock, credentials.probe)
        links = SecretLinks(vault, values, self.registry, HookSecrets(credentials, vault, hook_keys))
        policies = PostgresPolicies(database)
        checks = ScriptChecks(self.registry, self._checking_engine)
        authoring = Workflows(workflows, definitions, self.registry, frontend, clock, links, policies, checks)
        shelf = Shelf(PostgresShelf(database), authoring, workflows, clock)
        schedules = Schedules(PostgresSchedules(database), self.doorbell, clock)
        return Services(
            auth=people.auth,
            people=people,
            workspaces=people.workspaces,
            workflows=authoring,
            releases=Releases(PostgresReleases(database), authoring, definitions, clock),
            shelf=shelf,
            exchange=Exchange(authoring, workflows, shelf, links, clock), gallery=Gallery(authoring),
            executions=executions,
            inspecting=Inspecting(executions, following),
            following=following,
            retention=RetentionSettings(PostgresRetentionSettings(database), config.retention_days),
            files=WorkspaceFiles(
                self.files, Room(config.max_file, config.max_files_bytes, config.max_files), clock
            ),
            notifications=Notifications(PostgresRules(database), authoring, frontend, clock, config.public_url),
            trials=Trials(authoring, executions, frontend, self.registry, clock),
            forks=Forks(frontend),
            schedules=schedules, schedule_edits=ScheduleEdits(authoring, schedules),
            world=World(frontend),
            approval_links=LinkDesk(
                ApprovalLinks(config.secret, config.public_url), PostgresApprovalLinks(database), clock
            ),
            dead_letters=DeadLetters(frontend),
            usage=Usage(frontend, clock),
            queues=Queues(frontend),
            policies=Policies(policies, clock),
            reach=WorkspaceReach(PostgresReach(database), clock, config.egress.delegate),
            webhooks=Webhooks(
                PostgresWebhooks(database), frontend, limiter, keys=hook_keys, clock=clock,
                tokens=StatusTokens(config.secret),
            ),
            hook_desk=HookDesk(PostgresHookCalls(database), frontend, clock),
            hook_log=HookLog(PostgresHookCalls(database), clock, at_once="AWS_LAMBDA_FUNCTION_NAME" in os.environ),
            credentials=credentials, variables=Variables(values, self.sealer, clock),
            consent=Consent(credentials, config.secret, f"{config.public_url}/api/v1/oauth/callback", clock),
            credential_types=described,
            replies=PostgresReplies(database),
            allowance=ApiAllowance(limiter, config.api_rate_limit),
            clock=clock,
            checks=self.checks(), watched=self._watched(),
            node_types=self.registry.describe,
            console=self._console(), public_url=config.public_url,
            max_body=config.max_payload,
            trusted_proxies=config.trusted_proxies,
            streams=not self.on_lambda,
        )  # fmt: skip

    def people(self) -> People:
        """Accounts, teams and the audit log."""
        from linkflow.postgres.people import stores
        from linkflow.services.gate import Rates
        from linkflow.services.people import Rules, build
        from linkflow.streams.limiter import StreamLimiter
        from linkflow.transports.fetching import Fetcher

        config = self.config
        rules = Rules(
            secret=config.secret, public_url=config.public_url, token_ttl=config.token_ttl,
            refresh_ttl=config.refresh_ttl, open_registration=config.open_registration,
            only_verified=config.verifies, rates=Rates(address=config.auth_rate), mail_at_once=self.on_lambda,
            least=2.0 if self.on_lambda else 0.3, oidc=config.oidc,
            restore_days=config.restore_days,
        )  # fmt: skip
        fetcher = self._closing(Fetcher(config.egress, [one.issuer for one in config.oidc.values()]))
        limiter = StreamLimiter(self.valkey)
        made = build(stores(self.database), rules, self.clock, limiter, self._mailer(), fetcher.fetch)
        self._closing(made.mails)
        return made

    def _mailer(self) -> Mailer:
        from linkflow.transports.mail import Outbox, SmtpMailer

        if self.config.smtp.host:
            return SmtpMailer(self.config.smtp, self.config.egress)
        return Outbox(Path(self.config.home) / "outbox")

    def _console(self) -> Console:
        """Its page is in the package; on Lambda its assets, which do not fit into a layer, are in a bucket."""
        from linkflow.http.console_parts import Console

        if not self.config.console:
            return Console()
        from linkflow.transports.s3 import S3Blobs

        kept = self._closing(S3Blobs(self.config.console))

        async def read(name: str) -> bytes | None:
            found: bytes | None = (await kept.get([name])).get(name)
            return found

        return Console(read=read)

    def checks(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """The stores that every service needs."""
        return {"postgres": self.database.ping, "valkey": self.valkey.ping}

    def _checking_engine(self) -> Scripts:
        """What checks the scripts of workflows that are saved: one process a language, from the first of them on."""

        def build() -> Scripts:
            from linkflow.sandbox.pool import Pool

            made: Scripts = self._closing(Pool(1))
            return made

        found: Scripts = self._once("checking_engine", build)
        return found

    def _watched(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """Further databases: one that is away takes its own runs with it, and nobody else's."""
        others = self.shards.databases if self.shards is not None else {}
        return {f"postgres:{name}": one.ping for name, one in others.items() if one is not self.database}

    def http_app(self) -> FastAPI:
        """The control plane's app over this system."""
        from linkflow.http.app import create_app

        if not self.on_lambda:
            return create_app(self.services())
        from linkflow.transports.lambda_door import left

        return create_app(self.services(), left)

    # Life

    def loop(self) -> None:
        """Start what runs by itself in a container: the worker's and the timer's loops, if they live here."""
        if self._parts.get("server:worker"):
            self._loops.append(asyncio.create_task(self.worker().run_forever(self._stop)))
        if self._parts.get("server:timer"):
            self._loops.append(asyncio.create_task(self.timer().run_forever(self._stop)))
        if self.vigil is not None and not self.on_lambda:  # a process that stays is never idle
            self._keeping = asyncio.create_task(self.vigil.keep())

    async def stop_loops(self) -> None:
        """Let the loops end: running nodes finish or are handed back. Who waits here for work is answered."""
        for drain in self._drains:
            drain()
        self._stop.set()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._keeping is not None:
            self._keeping.cancel()

    async def close(self) -> None:
        """Stop the loops and let go of every connection."""
        await self.stop_loops()
        for close in reversed(self._closers):
            await close()


_system: System | None = None
"""The one of this process, on Lambda."""

_named: dict[str, str] = {}
"""Settings of this process that had secrets named in them, as they were."""


def lambda_awake() -> Vigil | None:
    """What a door says that its function works with."""
    return _system.vigil if _system else None


def _settings() -> Config:
    """Those of the environment, with the secrets that are only named there."""
    from linkflow import config

    _named.update({name: value for name, value in os.environ.items() if "{{secretsmanager:" in value})
    if _named:
        from linkflow.transports.secrets_manager import fill

        found = {**os.environ, **_named}
        fill(found)
        os.environ.update({name: found[name] for name in _named})
    return config.load()


async def lambda_service(name: str) -> Server:
    """What a Lambda door serves, configured by its environment: a service, with those that it needs and that have no
    peer."""
    global _system
    _system = system = System(_settings(), name, on_lambda=True)
    server = system.serve(name)
    system.serve_all(_beside(name))
    return server


def _beside(name: str) -> tuple[str, ...]:
    """Services that live in the same function by default: a synchronous call between functions is paid twice."""
    return {
        "frontend": ("history", "matching"),
        "history": ("matching",),
        "matching": ("history",),
        "worker": ("history", "matching"),
        "timer": ("history", "matching"),
    }[name]


def lambda_migrate(console: Path | None = None) -> dict[str, Any]:
    """Bring every database up to date; what was applied, by name. `console`: a folder of assets for the bucket that the
    settings name, where both are there."""
    from linkflow.postgres.migrate import migrate_all

    settings = _settings()
    done: dict[str, Any] = {"applied": migrate_all(settings.database_url, settings.databases)}
    if settings.console and console is not None and console.is_dir():
        from linkflow.transports.console_upload import upload

        done["console"] = upload(console, settings.console)
    return done


def lambda_http_app() -> FastAPI:
    """The control plane on Lambda, with Frontend, History and Matching beside it, unless they have peers."""
    global _system
    _light_models()
    _system = system = System(_settings(), "api", on_lambda=True)
    system.serve_all(("frontend", "history", "matching"))
    return system.http_app()


def _light_models() -> None:
    """Let pydantic build what checks a model when the first of its kind comes: FastAPI alone has forty, of OpenAPI."""
    import sys
    import warnings

    from pydantic import BaseModel
    from pydantic.warnings import UnsupportedFieldAttributeWarning

    BaseModel.model_config["defer_build"] = True
    # FastAPI gives each body an alias that pydantic has no use for, and hides the warning only from its own building.
    warnings.filterwarnings("ignore", category=UnsupportedFieldAttributeWarning)
    # FastAPI looks whether a model is one of pydantic 1, where there is a pydantic 1. Nobody here has such models.
    sys.modules["pydantic.v1"] = None  # type: ignore[assignment]
