"""What the app is built from. `bootstrap` makes one and hands it to `create_app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request

from linkflow import __version__
from linkflow.clock import SystemClock
from linkflow.ports import Clock
from linkflow.services.allowance import ApiAllowance
from linkflow.services.auth import Auth
from linkflow.services.consent import Consent
from linkflow.services.control_ports import ReplyStore
from linkflow.services.credentials import Credentials
from linkflow.services.dead_letters import DeadLetters
from linkflow.services.exchange import Exchange
from linkflow.services.executions import Executions
from linkflow.services.following import Following
from linkflow.services.forks import Forks
from linkflow.services.gallery import Gallery
from linkflow.services.hook_admin import HookDesk
from linkflow.services.hook_log import HookLog
from linkflow.services.inspecting import Inspecting
from linkflow.services.link_desk import LinkDesk
from linkflow.services.notifications import Notifications
from linkflow.services.people import People
from linkflow.services.policies import Policies
from linkflow.services.queues import Queues
from linkflow.services.reach import WorkspaceReach
from linkflow.services.releases import Releases
from linkflow.services.retention import RetentionSettings
from linkflow.services.schedule_edits import ScheduleEdits
from linkflow.services.schedules import Schedules
from linkflow.services.shelf import Shelf
from linkflow.services.trials import Trials
from linkflow.services.usage import Usage
from linkflow.services.variables import Variables
from linkflow.services.webhooks import Webhooks
from linkflow.services.workflows import Workflows
from linkflow.services.workspace_files import WorkspaceFiles
from linkflow.services.workspaces import Workspaces
from linkflow.services.world import World

from .console_parts import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the HTTP layer calls.

    `checks` are what readiness depends on, by name (``postgres``, ``valkey``): each raises when its part is away;
    `watched` are told as well, and a process without them is ready all the same.
    `node_types` describes the catalogue (`nodes.registry.Registry.describe`), with True every version of it.
    `public_url` is where clients reach this installation, without a slash at the end. `max_body` is bytes.
    `streams`: answers go out while they are made, as they do not on Lambda.
    """

    auth: Auth
    people: People
    workspaces: Workspaces
    workflows: Workflows
    releases: Releases
    shelf: Shelf
    exchange: Exchange
    gallery: Gallery
    executions: Executions
    inspecting: Inspecting
    following: Following
    retention: RetentionSettings
    files: WorkspaceFiles
    notifications: Notifications
    forks: Forks
    trials: Trials
    schedules: Schedules
    schedule_edits: ScheduleEdits
    world: World
    approval_links: LinkDesk
    dead_letters: DeadLetters
    usage: Usage
    queues: Queues
    policies: Policies
    reach: WorkspaceReach
    credentials: Credentials
    consent: Consent
    variables: Variables
    webhooks: Webhooks
    hook_desk: HookDesk
    replies: ReplyStore
    clock: Clock
    hook_log: HookLog = field(default_factory=lambda: HookLog(None, SystemClock()))
    allowance: ApiAllowance = field(default_factory=lambda: ApiAllowance(None, 0))
    checks: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    watched: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    node_types: Callable[[bool], Sequence[Mapping[str, Any]]] = lambda _every: ()
    credential_types: Callable[[], Sequence[Mapping[str, Any]]] = lambda: ()
    console: Console = field(default_factory=Console)
    public_url: str = "http://127.0.0.1:8080"
    max_body: int = 1024 * 1024
    trusted_proxies: Sequence[str] = ()
    streams: bool = True
    version: str = __version__


def services_of(request: Request) -> Services:
    """The services of the app that serves this request."""
    found: Services = request.app.state.services
    return found


async def _given(request: Request) -> Services:
    return services_of(request)  # a coroutine, because FastAPI runs plain functions in threads


Given = Annotated[Services, Depends(_given)]
