"""Written by scripts/api_client.py: what operations answer."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class HooksStatusReply(TypedDict):
    execution_id: str
    position: NotRequired[int]
    status: str


class HealthLiveReply(TypedDict):
    status: str


class Checks(TypedDict):
    postgres: str
    valkey: str


class HealthReadyReply(TypedDict):
    checks: Checks
    status: str


class HealthHealthReply(TypedDict):
    status: str
    version: str


class User(TypedDict):
    created_at: str | None
    email: str
    email_verified_at: Any
    first_name: str
    has_password: bool
    id: str
    last_name: str


class Workspace(TypedDict):
    created_at: str | None
    id: str
    name: str
    permissions: Any
    role: str
    updated_at: str | None


class AccountsRegisterReply(TypedDict):
    access_token: NotRequired[str]
    expires_in: NotRequired[int]
    message: NotRequired[str | None]
    refresh_token: NotRequired[str]
    token_type: NotRequired[str]
    user: NotRequired[User]
    verification: NotRequired[str]
    workspace: NotRequired[Workspace]


class AccountsLoginUser(TypedDict):
    created_at: str | None
    email: str
    email_verified_at: str | None
    first_name: str
    has_password: bool
    id: str
    last_name: str


class AccountsLoginReply(TypedDict):
    access_token: str
    expires_in: int
    refresh_token: str
    token_type: str
    user: AccountsLoginUser


class AccountsRefreshReply(TypedDict):
    access_token: str
    expires_in: int
    refresh_token: str
    token_type: str
    user: User


class AccountsLogoutReply(TypedDict):
    message: NotRequired[str | None]


class AccountsLogoutAllReply(TypedDict):
    ended: int
    message: NotRequired[str | None]


class AccountsMeReply(TypedDict):
    user: AccountsLoginUser


class UserUpdateReply(TypedDict):
    message: NotRequired[str | None]
    user: User


class Data(TypedDict):
    created_at: str | None
    id: str
    ip: str
    is_current: bool
    last_used_at: str | None
    method: str
    user_agent: str


class UserSessionsReply(TypedDict):
    data: list[Data]


class SecondFactor(TypedDict):
    enabled: bool
    recovery_codes_left: int
    since: str | None


class UserSecondFactorReply(TypedDict):
    second_factor: SecondFactor


class UserBeginSecondFactorReply(TypedDict):
    message: NotRequired[str | None]
    secret: str
    uri: str


class UserConfirmSecondFactorReply(TypedDict):
    message: NotRequired[str | None]
    recovery_codes: list[str]


class UserRenewRecoveryCodesReply(TypedDict):
    recovery_codes: list[str]


class UserKeysData(TypedDict):
    created_at: str | None
    created_by: str | None
    expires_at: Any
    hint: str
    id: str
    kind: str
    last_used_at: str | None
    last_used_ip: str
    name: str
    permissions: list[str]
    workspace_id: str | None


class UserKeysReply(TypedDict):
    data: list[UserKeysData]


class Key(TypedDict):
    created_at: str | None
    created_by: str | None
    expires_at: Any
    hint: str
    id: str
    kind: str
    last_used_at: Any
    last_used_ip: Any
    name: str
    permissions: list[str]
    workspace_id: str | None


class UserCreateKeyReply(TypedDict):
    key: Key
    message: NotRequired[str | None]
    secret: str


Change = TypedDict("Change", {"from": Any, "path": str, "to": str | None})


class Target(TypedDict):
    id: str
    type: str


class UserActivityData(TypedDict):
    action: str
    actor: str
    actor_name: str
    at: str | None
    changes: list[Change]
    id: str
    ip: str | None
    request_id: str | None
    target: Target
    user_agent: str | None
    via: str
    via_id: Any


class Meta(TypedDict):
    next_cursor: Any
    per_page: int


class UserActivityReply(TypedDict):
    data: list[UserActivityData]
    meta: Meta


class UserWhoamiWorkspace(TypedDict):
    created_at: str | None
    id: str
    name: str
    permissions: Any
    role: str | None
    updated_at: str | None


class UserWhoamiReply(TypedDict):
    key_id: str | None
    kind: str
    permissions: list[str] | None
    user: User | None
    workspaces: list[UserWhoamiWorkspace]


class OidcProvidersData(TypedDict):
    label: str
    name: str
    url: str


class OidcProvidersReply(TypedDict):
    data: list[OidcProvidersData]


class OidcIdentitiesData(TypedDict):
    created_at: str | None
    email: str
    last_used_at: str | None
    provider: str


class OidcIdentitiesReply(TypedDict):
    data: list[OidcIdentitiesData]


class OidcLinkReply(TypedDict):
    message: NotRequired[str | None]
    url: str


class TeamsPermissionsData(TypedDict):
    name: str
    roles: list[str]


class TeamsPermissionsReply(TypedDict):
    data: list[TeamsPermissionsData]


class TeamsRolesData(TypedDict):
    created_at: NotRequired[str | None]
    id: str | None
    is_built_in: bool
    members: NotRequired[int]
    name: str
    permissions: list[str]
    updated_at: NotRequired[str | None]


class TeamsRolesReply(TypedDict):
    data: list[TeamsRolesData]


class Role(TypedDict):
    created_at: str | None
    id: str
    is_built_in: bool
    members: int
    name: str
    permissions: list[str]
    updated_at: str | None


class TeamsCreateRoleReply(TypedDict):
    message: NotRequired[str | None]
    role: Role


class TeamsInvitationsData(TypedDict):
    created_at: str | None
    email: str
    expires_at: str | None
    id: str
    invited_by: str | None
    role: str
    workspace_id: str | None
    workspace_name: str


class TeamsInvitationsReply(TypedDict):
    data: list[TeamsInvitationsData]


class TeamsInviteReply(TypedDict):
    invitation: TeamsInvitationsData
    message: NotRequired[str | None]
    url: str | None


class TeamsShowInvitationReply(TypedDict):
    invitation: TeamsInvitationsData


class TeamsAcceptReply(TypedDict):
    message: NotRequired[str | None]
    workspace: Workspace


class TeamsKeysData(TypedDict):
    created_at: str | None
    created_by: str | None
    expires_at: Any
    hint: str
    id: str
    kind: str
    last_used_at: str | None
    last_used_ip: str | None
    name: str
    permissions: list[str]
    workspace_id: str | None


class TeamsKeysReply(TypedDict):
    data: list[TeamsKeysData]


class TeamsCreateServiceKeyKey(TypedDict):
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    hint: str
    id: str
    kind: str
    last_used_at: Any
    last_used_ip: Any
    name: str
    permissions: list[str]
    workspace_id: str | None


class TeamsCreateServiceKeyReply(TypedDict):
    key: TeamsCreateServiceKeyKey
    message: NotRequired[str | None]
    secret: str


class From(TypedDict):
    config: Any
    id: str
    type: str


AuditIndexChange = TypedDict(
    "AuditIndexChange",
    {"from": str | bool | list[From] | None, "path": str, "to": str | int | bool | list[From] | None},
)


class AuditIndexData(TypedDict):
    action: str
    actor: str
    actor_name: str | None
    at: str | None
    changes: list[AuditIndexChange]
    id: str
    ip: str
    request_id: str | None
    target: Target
    user_agent: str
    via: str
    via_id: str | None


class AuditIndexMeta(TypedDict):
    next_cursor: str | None
    per_page: int


class AuditIndexReply(TypedDict):
    data: list[AuditIndexData]
    meta: AuditIndexMeta


class WorkspacesIndexReply(TypedDict):
    data: list[UserWhoamiWorkspace]


class WorkspacesShowWorkspace(TypedDict):
    created_at: str | None
    id: str
    name: str
    permissions: list[str] | None
    role: str | None
    updated_at: str | None


class WorkspacesShowReply(TypedDict):
    workspace: WorkspacesShowWorkspace


class WorkspacesDeleteReply(TypedDict):
    message: NotRequired[str | None]
    restore_until: NotRequired[str]


class WorkspacesMembersData(TypedDict):
    email: str
    first_name: str
    joined_at: str | None
    last_name: str
    role: str
    user_id: str | None


class WorkspacesMembersReply(TypedDict):
    data: list[WorkspacesMembersData]


class WorkspacesAddMemberReply(TypedDict):
    member: WorkspacesMembersData
    message: NotRequired[str | None]


class WorkspacesDeletedData(TypedDict):
    created_at: str | None
    deleted_at: str | None
    id: str
    name: str
    restore_until: str


class WorkspacesDeletedReply(TypedDict):
    data: list[WorkspacesDeletedData]


class WorkspacesRestoreReply(TypedDict):
    message: NotRequired[str | None]
    workflows: int
    workspace: Workspace


class Edge(TypedDict):
    id: str
    source: str
    target: str


class Node(TypedDict):
    config: NotRequired[Any]
    id: str
    type: str


class Draft(TypedDict):
    base_version: int
    description: str
    edges: list[Edge]
    name: str
    nodes: list[Node]
    problems: list[Any]
    publishable: bool
    revision: int
    saved_at: str | None
    saved_by: str | None
    settings: Any


class ReleasesDraftReply(TypedDict):
    draft: Draft


class Problem(TypedDict):
    code: str
    message: NotRequired[str | None]
    path: str
    severity: NotRequired[str]


class ReleasesSaveDraftDraft(TypedDict):
    base_version: int
    description: str
    edges: list[Edge]
    name: str
    nodes: list[Node]
    problems: list[Problem]
    publishable: bool
    revision: int
    saved_at: str | None
    saved_by: str | None
    settings: Any


class ReleasesSaveDraftReply(TypedDict):
    draft: ReleasesSaveDraftDraft
    message: NotRequired[str | None]


class Workflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[Any]
    triggers: list[Any]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class ReleasesPublishReply(TypedDict):
    message: NotRequired[str | None]
    workflow: Workflow


class Version(TypedDict):
    version: int


class ReleasesAddVersionReply(TypedDict):
    message: NotRequired[str | None]
    version: Version


class WorkflowsVersionsData(TypedDict):
    author: str
    created_at: str | None
    created_by: str | None
    summary: str
    version: int


class WorkflowsVersionsReply(TypedDict):
    data: list[WorkflowsVersionsData]
    meta: AuditIndexMeta


class ReleasesCompareChange(TypedDict):
    after: Any
    before: Any
    path: str


class Changed(TypedDict):
    changes: list[ReleasesCompareChange]
    id: str
    name: str


class Diff(TypedDict):
    added: list[Any]
    changed: list[Changed]
    edges_added: list[Any]
    edges_removed: list[Any]
    is_empty: bool
    more: bool
    moved: list[Any]
    removed: list[Any]
    settings: Any
    text: list[str]
    workflow: list[Any]


ReleasesCompareReply = TypedDict("ReleasesCompareReply", {"diff": Diff, "from": str | None, "to": str | None})


Release = TypedDict(
    "Release",
    {
        "environment": str,
        "from": Any,
        "note": str,
        "number": int,
        "released_at": str | None,
        "released_by": str | None,
        "verb": str,
        "version": int,
    },
)


class ReleasesRunningData(TypedDict):
    environment: str
    is_active: bool
    release: Release
    version: int


class ReleasesRunningReply(TypedDict):
    data: list[ReleasesRunningData]


ReleasesPromoteRelease = TypedDict(
    "ReleasesPromoteRelease",
    {
        "environment": str,
        "from": str | None,
        "note": str,
        "number": int,
        "released_at": str | None,
        "released_by": str | None,
        "verb": str,
        "version": int,
    },
)


class Environment(TypedDict):
    environment: str
    is_active: bool
    release: ReleasesPromoteRelease
    version: int


class ReleasesPromoteReply(TypedDict):
    environment: Environment
    message: NotRequired[str | None]


class ReleasesRollbackReply(TypedDict):
    environment: ReleasesRunningData
    message: NotRequired[str | None]


class ReleasesReleasesReply(TypedDict):
    data: list[ReleasesPromoteRelease]
    meta: AuditIndexMeta


class ReleasesEnvironmentsData(TypedDict):
    created_at: str | None
    description: str
    id: str
    is_active: bool
    is_default: bool
    name: str
    updated_at: str | None


class ReleasesEnvironmentsReply(TypedDict):
    data: list[ReleasesEnvironmentsData]


class ReleasesAddEnvironmentReply(TypedDict):
    environment: ReleasesEnvironmentsData
    message: NotRequired[str | None]


class ReleasesEnvironmentReply(TypedDict):
    environment: ReleasesEnvironmentsData


class LockedBy(TypedDict):
    id: str
    name: str


class Lock(TypedDict):
    locked_at: str | None
    locked_by: LockedBy | None
    reason: str


class Tag(TypedDict):
    color: str | None
    id: str
    name: str


class Trigger(TypedDict):
    cron: NotRequired[str | None]
    environment: str
    id: NotRequired[str]
    is_active: bool
    next_at: NotRequired[Any]
    node_id: str | None
    timezone: NotRequired[str]
    type: str
    url: NotRequired[str]


class WorkflowsIndexData(TypedDict):
    created_at: str | None
    description: str
    folder_id: str | None
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Lock | None
    lock_version: int
    name: str
    tags: list[Tag]
    triggers: list[Trigger]
    updated_at: str | None
    version: int
    workspace_id: str | None


class WorkflowsIndexReply(TypedDict):
    data: list[WorkflowsIndexData]
    meta: AuditIndexMeta


class WorkflowsCreateNode(TypedDict):
    config: NotRequired[Any]
    credentials: NotRequired[dict[str, str]]
    id: str
    type: str


class Warning(TypedDict):
    code: str
    message: NotRequired[str | None]
    path: str
    severity: str


class WorkflowsCreateWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[WorkflowsCreateNode]
    settings: Any
    tags: list[Any]
    triggers: list[Trigger]
    updated_at: str | None
    version: int
    warnings: list[Warning]
    workspace_id: str | None


class WorkflowsCreateReply(TypedDict):
    message: NotRequired[str | None]
    workflow: WorkflowsCreateWorkflow


class WorkflowsShowNode(TypedDict):
    config: NotRequired[Any]
    id: str
    name: NotRequired[str]
    type: str


class WorkflowsShowTrigger(TypedDict):
    cron: NotRequired[str | None]
    environment: str
    id: NotRequired[str]
    is_active: bool
    next_at: NotRequired[str | None]
    node_id: str | None
    timezone: NotRequired[str]
    type: str
    url: NotRequired[str]


class WorkflowsShowWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[WorkflowsShowNode]
    settings: Any
    tags: list[Any]
    triggers: list[WorkflowsShowTrigger]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class WorkflowsShowReply(TypedDict):
    workflow: WorkflowsShowWorkflow


class WorkflowsReplaceWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[Any]
    triggers: list[WorkflowsShowTrigger]
    updated_at: str | None
    version: int
    warnings: list[Warning]
    workspace_id: str | None


class WorkflowsReplaceReply(TypedDict):
    message: NotRequired[str | None]
    workflow: WorkflowsReplaceWorkflow


class WorkflowsAmendTag(TypedDict):
    color: Any
    id: str
    name: str


class WorkflowsAmendTrigger(TypedDict):
    cron: str | None
    environment: str
    is_active: bool
    next_at: str | None
    node_id: str | None
    timezone: str
    type: str


class WorkflowsAmendWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[WorkflowsAmendTag]
    triggers: list[WorkflowsAmendTrigger]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class WorkflowsAmendReply(TypedDict):
    message: NotRequired[str | None]
    workflow: WorkflowsAmendWorkflow


class WorkflowsActivateWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[Any]
    triggers: list[WorkflowsShowTrigger]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class WorkflowsActivateReply(TypedDict):
    message: NotRequired[str | None]
    workflow: WorkflowsActivateWorkflow


class WorkflowsDeactivateWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[Any]
    triggers: list[Trigger]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class WorkflowsDeactivateReply(TypedDict):
    message: NotRequired[str | None]
    workflow: WorkflowsDeactivateWorkflow


class WorkflowsDuplicateTrigger(TypedDict):
    environment: str
    id: str
    is_active: bool
    node_id: str | None
    type: str
    url: str


class WorkflowsDuplicateWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[Any]
    triggers: list[WorkflowsDuplicateTrigger]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class WorkflowsDuplicateReply(TypedDict):
    message: NotRequired[str | None]
    workflow: WorkflowsDuplicateWorkflow


class Definition(TypedDict):
    description: str
    edges: list[Edge]
    name: str
    nodes: list[Node]
    settings: Any


class WorkflowsVersionVersion(TypedDict):
    definition: Definition
    version: int


class WorkflowsVersionReply(TypedDict):
    version: WorkflowsVersionVersion


class Execution(TypedDict):
    environment: str
    error: NotRequired[Any]
    id: str
    mode: str
    position: NotRequired[Any]
    result: NotRequired[Any]
    status: str
    workflow_id: str | None
    workflow_version: int
    workspace_id: str | None


class WorkflowsExecuteReply(TypedDict):
    execution: Execution
    message: NotRequired[str | None]


class TrialsTryOutExecution(TypedDict):
    id: str
    mode: str
    status: str
    workflow_id: str | None
    workflow_version: int
    workspace_id: str | None


class TrialsTryOutReply(TypedDict):
    execution: TrialsTryOutExecution
    message: NotRequired[str | None]


class PinnedOutput(TypedDict):
    n: int


class TrialsPinNode(TypedDict):
    config: NotRequired[Any]
    id: str
    pinned_output: NotRequired[PinnedOutput]
    type: str


class TrialsPinWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[TrialsPinNode]
    settings: Any
    tags: list[Any]
    triggers: list[Any]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class TrialsPinReply(TypedDict):
    message: NotRequired[str | None]
    workflow: TrialsPinWorkflow


class Expect(TypedDict):
    path: list[Any]
    result: Any
    status: str


class TrialsSaveWorkflow(TypedDict):
    edges: list[Edge]
    name: str
    nodes: list[Node]
    settings: Any


class Test(TypedDict):
    expect: Expect
    input: Any
    name: str
    now: str
    trigger: Any
    workflow: TrialsSaveWorkflow


class TrialsSaveReply(TypedDict):
    test: Test


class Source(TypedDict):
    execution_id: str | None


class ForksForkExecution(TypedDict):
    id: str
    mode: str
    source: Source
    workflow_id: str | None
    workflow_version: int
    workspace_id: str | None


class Plan(TypedDict):
    kept: list[str]
    loops: list[Any]
    runs: list[str]
    skipped: list[Any]


class Report(TypedDict):
    added: list[str]


class ForksForkReply(TypedDict):
    execution: NotRequired[ForksForkExecution]
    message: NotRequired[str | None]
    plan: Plan
    report: Report | None
    workflow_version: NotRequired[int]


class ForksResetReply(TypedDict):
    execution: ForksForkExecution
    message: NotRequired[str | None]
    plan: Plan
    report: Report | None


class ForksRerunReply(TypedDict):
    execution: ForksForkExecution
    message: NotRequired[str | None]
    plan: Plan
    report: Any


class Attribute(TypedDict):
    name: str
    operator: str
    value: Any


class More(TypedDict):
    attributes: list[Attribute]
    text: str


class Filter(TypedDict):
    mode: NotRequired[str]
    more: NotRequired[More]
    started_after: NotRequired[str]
    status: NotRequired[list[str]]


class Bulk(TypedDict):
    actor: str
    created_at: str | None
    done: int
    errors: list[Any]
    failed: int
    filter: Filter
    finished_at: Any
    id: str
    more: bool
    node: str | None
    progress: float
    reason: str | None
    skipped: int
    status: str
    total: int
    updated_at: str | None
    verb: str
    workspace_id: str | None


class ForksBeginReply(TypedDict):
    bulk: NotRequired[Bulk]
    message: NotRequired[str | None]
    more: NotRequired[bool]
    total: NotRequired[int]


class ForksOperationsFilter(TypedDict):
    mode: str
    started_after: str
    status: list[str]


class ForksOperationsData(TypedDict):
    actor: str
    created_at: str | None
    done: int
    errors: list[Any]
    failed: int
    filter: ForksOperationsFilter
    finished_at: Any
    id: str
    more: bool
    node: str
    progress: float
    reason: str
    skipped: int
    status: str
    total: int
    updated_at: str | None
    verb: str
    workspace_id: str | None


class ForksOperationsReply(TypedDict):
    data: list[ForksOperationsData]
    meta: Meta


class ForksOperationReply(TypedDict):
    bulk: ForksOperationsData


class ForksStopReply(TypedDict):
    bulk: ForksOperationsData
    message: NotRequired[str | None]


class Open(TypedDict):
    count: int
    more: bool


class Sery(TypedDict):
    at: str | None
    cancelled: int
    completed: int
    ended: int
    error_rate: float | None
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    started: int
    terminated: int
    timed_out: int


class Total(TypedDict):
    cancelled: int
    completed: int
    ended: int
    error_rate: float | None
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    started: int
    terminated: int
    timed_out: int


Stats = TypedDict(
    "Stats",
    {
        "bucket": str,
        "from": str | None,
        "open": dict[str, Open],
        "series": list[Sery],
        "to": str | None,
        "total": Total,
    },
)


class UsageStatsReply(TypedDict):
    stats: Stats


class Ai(TypedDict):
    cost_usd: float
    input_tokens: int
    output_tokens: int


class Day(TypedDict):
    ai: Ai
    compute_ms: float | None
    date: str
    executions: int
    executions_ended: int
    node_runs: int
    payload_bytes: int


class UsageUsageTotal(TypedDict):
    ai: Ai
    compute_ms: float | None
    executions: int
    executions_ended: int
    node_runs: int
    payload_bytes: int


Usage = TypedDict("Usage", {"days": list[Day], "from": str | None, "to": str | None, "total": UsageUsageTotal})


class UsageUsageReply(TypedDict):
    usage: Usage


class StreamsChangesData(TypedDict):
    at: str | None
    completed_at: Any
    execution_id: str | None
    last_event_id: int | None
    mode: str
    started_at: Any
    status: str
    workflow_id: str | None
    workflow_version: int


class StreamsChangesMeta(TypedDict):
    cursor: str
    reset: bool


class StreamsChangesReply(TypedDict):
    data: list[StreamsChangesData]
    meta: StreamsChangesMeta


class StreamsWordsData(TypedDict):
    at: str | None
    attempt: int
    cursor: str
    kind: str
    node: str
    text: str


class StreamsWordsMeta(TypedDict):
    cursor: str | None


class StreamsWordsReply(TypedDict):
    data: list[StreamsWordsData]
    meta: StreamsWordsMeta


class ExecutionsIndexData(TypedDict):
    attributes: dict[str, Any]
    caused_by: str | None
    completed_at: str | None
    duration_ms: int | None
    environment: Any
    error: Any
    id: str
    last_event_id: int | None
    mode: str
    parent_execution_id: Any
    started_at: str | None
    status: str
    workflow_id: str | None
    workflow_version: int
    workspace_id: str | None


class ExecutionsIndexReply(TypedDict):
    data: list[ExecutionsIndexData]
    meta: AuditIndexMeta


class ExecutionsOfWorkflowData(TypedDict):
    attributes: dict[str, Any]
    caused_by: Any
    completed_at: str | None
    duration_ms: int | None
    environment: Any
    error: Any
    id: str
    last_event_id: int | None
    mode: str
    parent_execution_id: Any
    started_at: str | None
    status: str
    workflow_id: str | None
    workflow_version: int
    workspace_id: str | None


class ExecutionsOfWorkflowReply(TypedDict):
    data: list[ExecutionsOfWorkflowData]
    meta: Meta


class Fork(TypedDict):
    id: str
    mode: str
    status: str


class Nodes(TypedDict):
    attempt: int
    status: str


Waiting = TypedDict(
    "Waiting", {"collected": Any, "for": str, "key": str, "position": Any, "since": str | None, "until": Any}
)


class ExecutionsShowWarning(TypedDict):
    at: str | None
    limit: str
    max: int
    value: Any


class ExecutionsShowExecution(TypedDict):
    attributes: dict[str, Any]
    caused_by: str | None
    completed_at: str | None
    duration_ms: int | None
    environment: str
    error: Any
    error_executions: list[str]
    failed_node: str | None
    forks: list[Fork]
    id: str
    last_event_id: int | None
    mode: str
    nodes: dict[str, Nodes]
    parent_execution_id: Any
    result: Any
    source: Any
    started_at: str | None
    status: str
    test: Any
    trigger_data: Any
    trigger_node: str
    usage: Any
    waiting: NotRequired[Waiting]
    warnings: list[ExecutionsShowWarning]
    workflow_id: str | None
    workflow_version: int
    workspace_id: str | None


class ExecutionsShowReply(TypedDict):
    execution: ExecutionsShowExecution


class Attributes(TypedDict):
    logged: NotRequired[bool]
    n: NotRequired[int]


class ExecutionsHistoryData(TypedDict):
    at: str | None
    attributes: dict[str, str | int | list[str] | Attributes]
    event_id: int | None
    type: str
    version: int


class ExecutionsHistoryMeta(TypedDict):
    last_event_id: int | None
    more: bool


class ExecutionsHistoryReply(TypedDict):
    data: list[ExecutionsHistoryData]
    meta: ExecutionsHistoryMeta


class ExecutionsNodesData(TypedDict):
    attempt: int
    child_execution_id: Any
    completed_at: str | None
    duration_ms: float | None
    error: Any
    heartbeat: Any
    input: Any
    kept: bool
    key: str
    logs: list[Any]
    name: str
    node_id: str | None
    output: Any
    started_at: str | None
    status: str
    steps: list[Any]
    stood_in: Any
    type: str | None


class ExecutionsNodesMeta(TypedDict):
    next_cursor: str | None
    per_page: int
    total: int


class ExecutionsNodesReply(TypedDict):
    data: list[ExecutionsNodesData]
    meta: ExecutionsNodesMeta


class ExecutionsCancelExecution(TypedDict):
    id: str
    status: str


class ExecutionsCancelReply(TypedDict):
    execution: ExecutionsCancelExecution
    message: NotRequired[str | None]


class InspectingNodeNode(TypedDict):
    attempt: int
    child_execution_id: Any
    completed_at: str | None
    duration_ms: float | None
    error: Any
    heartbeat: Any
    input: Any
    kept: bool
    key: str
    logs: list[Any]
    name: str
    node_id: str | None
    output: Any
    started_at: str | None
    status: str
    steps: list[Any]
    stood_in: Any
    type: str


class InspectingNodeReply(TypedDict):
    node: InspectingNodeNode


class InspectingPayloadData(TypedDict):
    row: int
    text: str


class InspectingPayloadMeta(TypedDict):
    next_offset: int | None
    offset: int
    total: int
    type: str


class InspectingPayloadReply(TypedDict):
    data: str | list[InspectingPayloadData]
    meta: InspectingPayloadMeta


class InspectingLogsData(TypedDict):
    at: str | None
    attempt: int
    event_id: int | None
    level: str
    message: NotRequired[str | None]
    node: str
    source: str


class InspectingLogsMeta(TypedDict):
    closed: bool
    cursor: str
    more: bool


class InspectingLogsReply(TypedDict):
    data: list[InspectingLogsData]
    meta: InspectingLogsMeta


class Span(TypedDict):
    attempt: int
    end: str
    phase: str
    start: str


class InspectingTimelineNode(TypedDict):
    attempt: int
    backoff_ms: int | None
    kept: bool
    key: str
    name: str
    node_id: str | None
    queued_ms: int | None
    ran_ms: int | None
    spans: list[Span]
    status: str
    type: str
    waited_ms: int | None


class Timeline(TypedDict):
    at: str | None
    ended_at: str | None
    execution: ExecutionsOfWorkflowData
    nodes: list[InspectingTimelineNode]
    run: list[Any]
    started_at: str | None


class InspectingTimelineReply(TypedDict):
    timeline: Timeline


class InspectingStateReply(TypedDict):
    state: Any


class InspectingDiffExecution(TypedDict):
    pass


class InspectingDiffNode(TypedDict):
    after: Any
    before: Any
    changed: list[str]
    key: str
    more: bool
    output: Any


class InspectingDiffDiff(TypedDict):
    after: Any
    before: Any
    execution: InspectingDiffExecution
    nodes: dict[str, list[str | InspectingDiffNode]]
    path: Any
    result: Any
    trigger_data: Any


class InspectingDiffReply(TypedDict):
    diff: InspectingDiffDiff


class FilesIndexData(TypedDict):
    content_type: str
    path: str
    sha256: str
    size: int
    updated_at: str | None


class FilesIndexReply(TypedDict):
    data: list[FilesIndexData]
    meta: AuditIndexMeta


class FilesUploadReply(TypedDict):
    file: FilesIndexData
    message: NotRequired[str | None]


class SchedulesIndexData(TypedDict):
    at: Any
    catch_up: str
    catch_up_window: int
    cron: str | None
    ends_at: str | None
    environment: str
    every_seconds: float | None
    id: str
    is_active: bool
    is_paused: bool
    jitter_seconds: float | None
    next_at: str | None
    node_id: str | None
    overlap: str
    pause: Any
    starts_at: str | None
    timezone: str
    workflow_id: str | None
    workflow_name: str


class SchedulesIndexReply(TypedDict):
    data: list[SchedulesIndexData]
    meta: Meta


class Schedule(TypedDict):
    at: Any
    catch_up: str
    catch_up_window: int
    cron: str | None
    ends_at: Any
    environment: str
    every_seconds: float | None
    id: str
    is_active: bool
    is_paused: bool
    jitter_seconds: float | None
    next_at: str | None
    node_id: str | None
    overlap: str
    pause: Any
    starts_at: Any
    timezone: str
    workflow_id: str | None
    workflow_name: str


class SchedulesCreateReply(TypedDict):
    message: NotRequired[str | None]
    schedule: Schedule


class SchedulesUpdateSchedule(TypedDict):
    at: Any
    catch_up: str
    catch_up_window: int
    cron: Any
    ends_at: Any
    environment: str
    every_seconds: float | None
    id: str
    is_active: bool
    is_paused: bool
    jitter_seconds: float | None
    next_at: str | None
    node_id: str | None
    overlap: str
    pause: Any
    starts_at: Any
    timezone: str
    workflow_id: str | None
    workflow_name: str


class SchedulesUpdateReply(TypedDict):
    message: NotRequired[str | None]
    schedule: SchedulesUpdateSchedule


class Pause(TypedDict):
    at: str | None
    by: str
    note: str


class SchedulesShowSchedule(TypedDict):
    at: Any
    catch_up: str
    catch_up_window: int
    cron: Any
    ends_at: str | None
    environment: str
    every_seconds: float | None
    id: str
    is_active: bool
    is_paused: bool
    jitter_seconds: float | None
    next_at: str | None
    node_id: str | None
    overlap: str
    pause: Pause | None
    starts_at: str | None
    timezone: str
    workflow_id: str | None
    workflow_name: str


class SchedulesShowReply(TypedDict):
    schedule: SchedulesShowSchedule


class SchedulesPreviewDraftData(TypedDict):
    at: str | None
    local: str


class SchedulesPreviewDraftReply(TypedDict):
    data: list[SchedulesPreviewDraftData]


class SchedulesFiringsData(TypedDict):
    at: str | None
    cause: str
    cause_id: str | None
    due_at: str | None
    execution_id: str | None
    fires: int
    id: str
    last_due_at: str | None
    outcome: str
    overlap: str
    reason: str | None


class SchedulesFiringsReply(TypedDict):
    data: list[SchedulesFiringsData]
    meta: AuditIndexMeta


class SchedulesPauseSchedule(TypedDict):
    at: Any
    catch_up: str
    catch_up_window: int
    cron: str | None
    ends_at: Any
    environment: str
    every_seconds: float | None
    id: str
    is_active: bool
    is_paused: bool
    jitter_seconds: float | None
    next_at: Any
    node_id: str | None
    overlap: str
    pause: Pause
    starts_at: Any
    timezone: str
    workflow_id: str | None
    workflow_name: str


class SchedulesPauseReply(TypedDict):
    message: NotRequired[str | None]
    schedule: SchedulesPauseSchedule


class Firing(TypedDict):
    at: str | None
    cause: str
    cause_id: str | None
    due_at: str | None
    execution_id: Any
    fires: int
    id: str
    last_due_at: str | None
    outcome: str
    overlap: str
    reason: Any


class SchedulesTriggerReply(TypedDict):
    firing: Firing
    message: NotRequired[str | None]


class Backfill(TypedDict):
    fires: int
    first: str
    id: str
    last: str


class SchedulesBackfillReply(TypedDict):
    backfill: Backfill
    message: NotRequired[str | None]


class Event(TypedDict):
    id: str
    key: str | None
    name: str


class WaitingPublishReply(TypedDict):
    event: Event
    execution_ids: list[str]
    message: NotRequired[str | None]


class WaitingSignalReply(TypedDict):
    execution: ExecutionsCancelExecution
    message: NotRequired[str | None]
    signal_id: str | None


class ApprovalsIndexData(TypedDict):
    assignees: list[str]
    attempt: int
    comment: Any
    decided_at: Any
    decided_by: Any
    decision_payload: Any
    description: str
    due_at: str | None
    execution_id: str | None
    id: str
    node_key: str
    only_assignees: bool
    payload: Any
    requested_at: str | None
    status: str
    title: str
    workflow_id: str | None


class ApprovalsIndexReply(TypedDict):
    data: list[ApprovalsIndexData]
    meta: AuditIndexMeta


class Approval(TypedDict):
    assignees: list[str]
    attempt: int
    comment: str | None
    decided_at: str | None
    decided_by: str | None
    decision_payload: Any
    description: str
    due_at: str | None
    execution_id: str | None
    id: str
    node_key: str
    only_assignees: bool
    payload: Any
    requested_at: str | None
    status: str
    title: str
    workflow_id: str | None


class ApprovalsShowReply(TypedDict):
    approval: Approval


class ApprovalsDecideReply(TypedDict):
    approval: ExecutionsCancelExecution
    execution: ExecutionsCancelExecution
    message: NotRequired[str | None]
    resumed_execution_id: str | None


class Link(TypedDict):
    approve_url: str
    expires_at: str | None
    id: NotRequired[str]
    reject_url: str
    url: str


class ApprovalsLinkReply(TypedDict):
    link: Link
    message: NotRequired[str | None]


class ApprovalsListLinksData(TypedDict):
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    id: str
    note: str
    revoked_at: str | None
    revoked_by: str | None


class ApprovalsListLinksReply(TypedDict):
    data: list[ApprovalsListLinksData]


class ApprovalsAskReply(TypedDict):
    approval: dict[str, Any]


class ApprovalsAnswerApproval(TypedDict):
    decided_at: Any
    description: str
    due_at: str | None
    payload: Any
    status: str
    title: str


class ApprovalsAnswerReply(TypedDict):
    approval: ApprovalsAnswerApproval
    message: NotRequired[str | None]


class Links(TypedDict):
    execution: str
    history: str


class DeadLettersIndexData(TypedDict):
    attempt: int
    deliveries: int
    died_at: str | None
    execution_id: str | None
    id: str
    links: Links
    node: str
    priority: int
    queue: str
    reason: str
    scheduled_at: str | None
    workflow_id: str | None
    workflow_version: int


class DeadLettersIndexReply(TypedDict):
    data: list[DeadLettersIndexData]
    meta: AuditIndexMeta


class DeadLettersRedriveManyFilter(TypedDict):
    ids: list[str]


class DeadLettersRedriveManyBulk(TypedDict):
    actor: str
    created_at: str | None
    done: int
    errors: list[Any]
    failed: int
    filter: DeadLettersRedriveManyFilter
    finished_at: Any
    id: str
    more: bool
    node: Any
    progress: float
    reason: str
    skipped: int
    status: str
    total: int
    updated_at: str | None
    verb: str
    workspace_id: str | None


class DeadLettersRedriveManyReply(TypedDict):
    bulk: NotRequired[DeadLettersRedriveManyBulk]
    message: NotRequired[str | None]
    more: bool
    total: NotRequired[int]


class DeadLettersShowReply(TypedDict):
    dead_letter: DeadLettersIndexData


class DeadLettersRedriveReply(TypedDict):
    dropped: int
    execution: ExecutionsCancelExecution
    message: NotRequired[str | None]


class DeadLettersPurgeReply(TypedDict):
    dropped: int
    message: NotRequired[str | None]


class Given(TypedDict):
    burst: int
    keys: dict[str, Any]
    rate: float
    weight: float


class Keys(TypedDict):
    burst: int
    rate: float
    weight: float


class Limits(TypedDict):
    burst: int
    keys: dict[str, Keys]
    rate: float


class QueuesIndexData(TypedDict):
    added_per_minute: NotRequired[float]
    given: Given
    is_served: bool
    limits: Limits
    name: str
    oldest_seconds: float | None
    open: int
    taken_per_minute: NotRequired[float]
    workers: int


class QueuesIndexReply(TypedDict):
    data: list[QueuesIndexData]


class QueuesShowLimits(TypedDict):
    burst: int
    keys: dict[str, Any]
    rate: float


class Queue(TypedDict):
    given: Given
    is_served: bool
    limits: QueuesShowLimits
    name: str
    oldest_seconds: float | None
    open: int
    workers: int


class QueuesShowReply(TypedDict):
    queue: Queue


class QueuesLimitReply(TypedDict):
    message: NotRequired[str | None]
    queue: QueuesIndexData


class Retention(TypedDict):
    days: int | None
    unset_days: int
    workflows: dict[str, int]


class RetentionShowReply(TypedDict):
    retention: Retention


class RetentionUpdateReply(TypedDict):
    message: NotRequired[str | None]
    retention: Retention


class Channel(TypedDict):
    credential: Any
    to: list[Any] | None
    type: str
    url: str


class NotificationsIndexData(TypedDict):
    after_seconds: int | None
    channel: Channel
    created_at: str | None
    deliveries_href: str
    events: list[str]
    every_seconds: int | None
    id: str
    is_enabled: bool
    name: str
    updated_at: str | None
    version: int
    workflow_ids: list[str]


class NotificationsIndexReply(TypedDict):
    data: list[NotificationsIndexData]


class NotificationsCreateChannel(TypedDict):
    credential: str | None
    to: list[str] | None
    type: str
    url: str | None


class Notification(TypedDict):
    after_seconds: int | None
    channel: NotificationsCreateChannel
    created_at: str | None
    deliveries_href: str
    events: list[str]
    every_seconds: int | None
    id: str
    is_enabled: bool
    name: str
    updated_at: str | None
    version: int
    workflow_ids: list[str]


class NotificationsCreateReply(TypedDict):
    message: NotRequired[str | None]
    notification: Notification


class NotificationsShowReply(TypedDict):
    notification: NotificationsIndexData


class NotificationsUpdateNotification(TypedDict):
    after_seconds: int | None
    channel: Channel
    created_at: str | None
    deliveries_href: str
    events: list[str]
    every_seconds: int | None
    id: str
    is_enabled: bool
    name: str
    updated_at: str | None
    version: int
    workflow_ids: list[Any]


class NotificationsUpdateReply(TypedDict):
    message: NotRequired[str | None]
    notification: NotificationsUpdateNotification


class NotificationsTestExecution(TypedDict):
    error: Any
    href: str
    id: str
    status: str


class NotificationsTestReply(TypedDict):
    execution: NotificationsTestExecution
    message: NotRequired[str | None]


class Egress(TypedDict):
    allow: list[str]
    changed_at: str | None
    changed_by: str | None
    only: list[str]


class EgressShowReply(TypedDict):
    egress: Egress


class EgressUpdateReply(TypedDict):
    egress: Egress
    message: NotRequired[str | None]


class WebhooksIndexData(TypedDict):
    auth: str
    cors_origins: list[Any]
    credential_id: str | None
    environment: str
    id: str
    is_active: bool
    max_body: Any
    methods: list[str]
    node_id: str | None
    path: str
    rate_limit: Any
    response_mode: str
    url: str
    workflow_id: str | None


class WebhooksIndexReply(TypedDict):
    data: list[WebhooksIndexData]
    meta: Meta


class Webhook(TypedDict):
    auth: str
    cors_origins: list[Any]
    credential_id: Any
    environment: str
    id: str
    is_active: bool
    max_body: Any
    methods: list[str]
    node_id: str | None
    path: str
    rate_limit: Any
    response_mode: str
    url: str
    workflow_id: str | None


class WebhooksShowReply(TypedDict):
    webhook: Webhook


class WebhooksActivateReply(TypedDict):
    message: NotRequired[str | None]
    webhook: Webhook


class WebhooksDeliveriesData(TypedDict):
    accepted: bool
    at: str | None
    code: str
    detail: str
    headers: dict[str, str]
    id: str
    ip: str
    method: str
    path: str
    size: int
    status: int


class WebhooksDeliveriesReply(TypedDict):
    data: list[WebhooksDeliveriesData]
    meta: AuditIndexMeta


class WebhooksRedeliverExecution(TypedDict):
    id: str


class WebhooksRedeliverReply(TypedDict):
    execution: WebhooksRedeliverExecution
    message: NotRequired[str | None]


class WebhooksListenReply(TypedDict):
    message: NotRequired[str | None]
    until: str | None
    url: str


class WebhooksCapturesData(TypedDict):
    at: str | None
    id: str
    trigger: Any


class WebhooksCapturesReply(TypedDict):
    data: list[WebhooksCapturesData]


class Policy(TypedDict):
    allowed_hosts: list[Any]
    allowed_models: list[Any]
    allowed_nodes: list[Any]
    changed_at: Any
    changed_by: Any
    denied_hosts: list[Any]
    denied_models: list[Any]
    denied_nodes: list[Any]
    max_concurrent_runs: int
    max_cost_per_run: float
    max_nodes: int
    max_payload: int


class PoliciesShowReply(TypedDict):
    policy: Policy


class PoliciesUpdatePolicy(TypedDict):
    allowed_hosts: list[Any]
    allowed_models: list[str]
    allowed_nodes: list[str]
    changed_at: str | None
    changed_by: str | None
    denied_hosts: list[str]
    denied_models: list[str]
    denied_nodes: list[str]
    max_concurrent_runs: int
    max_cost_per_run: float
    max_nodes: int
    max_payload: int


class PoliciesUpdateReply(TypedDict):
    message: NotRequired[str | None]
    policy: PoliciesUpdatePolicy


class ShelfTagsData(TypedDict):
    color: str | None
    created_at: str | None
    id: str
    name: str
    updated_at: str | None
    workflows: int


class ShelfTagsReply(TypedDict):
    data: list[ShelfTagsData]


class ShelfAddTagReply(TypedDict):
    message: NotRequired[str | None]
    tag: ShelfTagsData


class ShelfFoldersData(TypedDict):
    created_at: str | None
    id: str
    name: str
    parent_id: str | None
    path: str
    updated_at: str | None
    workflows: int


class ShelfFoldersReply(TypedDict):
    data: list[ShelfFoldersData]


class Folder(TypedDict):
    created_at: str | None
    id: str
    name: str
    parent_id: str | None
    updated_at: str | None
    workflows: int


class ShelfAddFolderReply(TypedDict):
    folder: Folder
    message: NotRequired[str | None]


class ShelfChangeFolderFolder(TypedDict):
    created_at: str | None
    id: str
    name: str
    parent_id: Any
    updated_at: str | None
    workflows: int


class ShelfChangeFolderReply(TypedDict):
    folder: ShelfChangeFolderFolder
    message: NotRequired[str | None]


class ShelfPutTagsWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Lock | None
    lock_version: int
    name: str
    nodes: list[WorkflowsCreateNode]
    settings: Any
    tags: list[Tag]
    triggers: list[Any]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class ShelfPutTagsReply(TypedDict):
    message: NotRequired[str | None]
    workflow: ShelfPutTagsWorkflow


class ShelfMoveWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: str | None
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[Any]
    triggers: list[Any]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class ShelfMoveReply(TypedDict):
    message: NotRequired[str | None]
    workflow: ShelfMoveWorkflow


class ShelfLockWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Lock
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[Any]
    triggers: list[Any]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class ShelfLockReply(TypedDict):
    message: NotRequired[str | None]
    workflow: ShelfLockWorkflow


class ShelfUnlockWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[Edge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[Node]
    settings: Any
    tags: list[WorkflowsAmendTag]
    triggers: list[Any]
    updated_at: str | None
    version: int
    warnings: list[Any]
    workspace_id: str | None


class ShelfUnlockReply(TypedDict):
    message: NotRequired[str | None]
    workflow: ShelfUnlockWorkflow


class Metadata(TypedDict):
    source: str
    tags: NotRequired[list[str]]
    workflow_id: str | None
    workflow_version: int


class ExchangeExportWorkflow(TypedDict):
    edges: list[Edge]
    id: str
    name: str
    nodes: list[WorkflowsCreateNode]
    settings: Any


class ExchangeExportReply(TypedDict):
    exported_at: str | None
    metadata: Metadata
    version: str
    workflow: ExchangeExportWorkflow


class Error(TypedDict):
    code: str
    detail: str
    pointer: str
    severity: str


class ExchangeExportBulkWorkflow(TypedDict):
    exported_at: str
    metadata: dict[str, Any]
    version: str
    workflow: dict[str, Any]


class ExchangeExportBulkReply(TypedDict):
    errors: NotRequired[list[Error]]
    exported_at: str
    version: str
    workflows: list[ExchangeExportBulkWorkflow]


class Result(TypedDict):
    name: str
    problems: list[Error]
    source: str
    status: str
    version: int | None
    workflow_id: str | None


class ExchangeImportReply(TypedDict):
    created: int
    dry_run: bool
    failed: int
    message: NotRequired[str | None]
    results: list[Result]


class ExchangeValidateReply(TypedDict):
    errors: int
    problems: list[Error]
    valid: bool
    warnings: int


class Need(TypedDict):
    name: str
    type: str


class Variable(TypedDict):
    description: str
    key: str


class GalleryIndexData(TypedDict):
    category: str
    description: str
    name: str
    needs: list[Need]
    node_types: list[str]
    slug: str
    variables: list[Variable]


class GalleryIndexReply(TypedDict):
    data: list[GalleryIndexData]


class GalleryCategoriesData(TypedDict):
    name: str
    templates: int


class GalleryCategoriesReply(TypedDict):
    data: list[GalleryCategoriesData]


class GalleryShowEdge(TypedDict):
    id: str
    source: str
    source_output: NotRequired[str]
    target: str


class Retry(TypedDict):
    max_attempts: int


class GalleryShowNode(TypedDict):
    config: NotRequired[Any]
    credentials: NotRequired[dict[str, str]]
    id: str
    name: NotRequired[str]
    on_error: NotRequired[str]
    retry: NotRequired[Retry]
    type: str


class GalleryShowWorkflow(TypedDict):
    description: str
    edges: list[GalleryShowEdge]
    name: str
    nodes: list[GalleryShowNode]
    settings: NotRequired[Any]


class Template(TypedDict):
    category: str
    description: str
    input: Any
    name: str
    needs: list[Need]
    node_types: list[str]
    slug: str
    variables: list[Variable]
    workflow: GalleryShowWorkflow


class GalleryShowReply(TypedDict):
    template: Template


class GalleryUseWorkflow(TypedDict):
    created_at: str | None
    description: str
    edges: list[GalleryShowEdge]
    folder_id: Any
    id: str
    is_active: bool
    is_locked: bool
    last_version: int
    lock: Any
    lock_version: int
    name: str
    nodes: list[GalleryShowNode]
    settings: Any
    tags: list[Any]
    triggers: list[Trigger]
    updated_at: str | None
    version: int
    warnings: list[Warning]
    workspace_id: str | None


class GalleryUseReply(TypedDict):
    message: NotRequired[str | None]
    workflow: GalleryUseWorkflow


class Kind(TypedDict):
    kind: str
    schema: Any
    title: str


class Credential(TypedDict):
    description: str
    kinds: list[Kind]
    required: bool
    slot: str


class Fault(TypedDict):
    code: str
    meaning: str
    retryable: bool


class NodesIndexData(TypedDict):
    aliases: list[str]
    category: str
    credentials: list[Credential]
    description: str
    examples: Any
    faults: list[Fault]
    help: str
    name: str
    outputs: list[str]
    produces: Any
    pure: bool
    schema: Any
    type: str
    version: int
    versions: list[int]


class NodesIndexReply(TypedDict):
    data: list[NodesIndexData]


class NodesShowNode(TypedDict):
    aliases: list[str]
    category: str
    credentials: list[Any]
    description: str
    examples: Any
    faults: list[Fault]
    help: str
    name: str
    outputs: list[str]
    produces: Any
    pure: bool
    schema: Any
    type: str
    version: int
    versions: list[int]


class NodesShowReply(TypedDict):
    node: NodesShowNode


class CredentialsIndexData(TypedDict):
    created_at: str | None
    created_by: str | None
    data: dict[str, Any]
    description: str
    expires_at: Any
    hosts: list[Any]
    id: str
    key_id: str | None
    lock_version: int
    name: str
    roles: list[Any]
    slug: str
    status: str
    status_at: str | None
    status_detail: Any
    type: str
    updated_at: str | None


class CredentialsIndexReply(TypedDict):
    data: list[CredentialsIndexData]
    meta: Meta


class CredentialsCreateWarning(TypedDict):
    code: str
    message: NotRequired[str | None]
    path: str


class CredentialsCreateCredential(TypedDict):
    created_at: str | None
    created_by: str | None
    data: dict[str, Any]
    description: str
    expires_at: Any
    hosts: list[str]
    id: str
    key_id: Any
    lock_version: int
    name: str
    roles: list[str]
    slug: str
    status: str
    status_at: str | None
    status_detail: Any
    type: str
    updated_at: str | None
    warnings: NotRequired[list[CredentialsCreateWarning]]


class CredentialsCreateReply(TypedDict):
    credential: CredentialsCreateCredential
    message: NotRequired[str | None]


class CredentialsShowReply(TypedDict):
    credential: CredentialsIndexData


class CredentialsReplaceReply(TypedDict):
    credential: CredentialsIndexData
    message: NotRequired[str | None]


class CredentialsAmendCredential(TypedDict):
    created_at: str | None
    created_by: str | None
    data: dict[str, Any]
    description: str
    expires_at: str | None
    hosts: list[str]
    id: str
    key_id: str | None
    lock_version: int
    name: str
    roles: list[str]
    slug: str
    status: str
    status_at: str | None
    status_detail: Any
    type: str
    updated_at: str | None


class CredentialsAmendReply(TypedDict):
    credential: CredentialsAmendCredential
    message: NotRequired[str | None]


class CredentialsTrialReply(TypedDict):
    duration_ms: int | None
    message: NotRequired[str | None]
    ok: bool


class CredentialsUsesData(TypedDict):
    id: str
    is_active: bool
    name: str


class CredentialsUsesReply(TypedDict):
    data: list[CredentialsUsesData]
    meta: AuditIndexMeta


class CredentialsConnectReply(TypedDict):
    authorize_url: str
    expires_at: str | None
    redirect_uri: str


class CredentialsKindsData(TypedDict):
    kind: str
    schema: Any
    title: str
    type: str


class CredentialsKindsReply(TypedDict):
    data: list[CredentialsKindsData]


class CredentialsKindReply(TypedDict):
    credential_type: CredentialsKindsData


class VariablesIndexData(TypedDict):
    created_at: str | None
    description: str
    environment: str
    id: str
    is_secret: bool
    key: str
    lock_version: int
    secret: bool
    updated_at: str | None
    value: Any


class VariablesIndexReply(TypedDict):
    data: list[VariablesIndexData]
    meta: Meta


class VariablesCreateReply(TypedDict):
    message: NotRequired[str | None]
    variable: VariablesIndexData


class VariablesShowReply(TypedDict):
    variable: VariablesIndexData
