"""What clients get: our values as JSON. Times are ISO 8601 in UTC; what has not happened yet is null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.contracts.frontend import RunReply
from linkflow.contracts.history import Execution, LastBeat
from linkflow.contracts.matching import DeadLetter
from linkflow.domain.definition import Definition
from linkflow.domain.environments import shown as shown_environment
from linkflow.domain.events import iso
from linkflow.domain.state import Entry, State
from linkflow.domain.steps import BILLIONTH, Spent, Usage
from linkflow.domain.trial import Trial
from linkflow.services.auth import Session
from linkflow.services.control_ports import Deleted, Member, TriggerRow, User, Workflow, WorkflowTag, Workspace
from linkflow.services.executions import RunOfNode
from linkflow.services.noderuns import PUBLIC_STATUS
from linkflow.services.workflows import Shown
from linkflow.services.world import ApprovalView

from .payloads import Shelf, segment
from .payloads import shown as shown_payload

Json = dict[str, Any]


def at(ms: int | None) -> str | None:
    return iso(ms) if ms else None


def user(who: User) -> Json:
    return {
        "id": who.id,
        "email": who.email,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "email_verified_at": at(who.email_verified_at),
        "has_password": bool(who.password_hash),
        "created_at": at(who.created_at),
    }


def session(opened: Session) -> Json:
    return {
        "user": user(opened.user),
        "access_token": opened.access_token,
        "refresh_token": opened.refresh_token,
        "token_type": "Bearer",
        "expires_in": opened.expires_in,
    }


def workspace(found: Workspace) -> Json:
    return {
        "id": found.id,
        "name": found.name,
        "role": found.role or None,
        "permissions": None if found.grants is None else list(found.grants),
        "created_at": at(found.created_at),
        "updated_at": at(found.updated_at),
    }


def deleted_workspace(found: Deleted) -> Json:
    return {
        "id": found.id,
        "name": found.name,
        "created_at": at(found.created_at),
        "deleted_at": at(found.deleted_at),
        "restore_until": at(found.restore_until),
    }


def member(found: Member) -> Json:
    return {
        "user_id": found.user_id,
        "email": found.email,
        "first_name": found.first_name,
        "last_name": found.last_name,
        "role": found.role,
        "joined_at": at(found.joined_at),
    }


def trigger(row: TriggerRow, public_url: str) -> Json:
    if row.webhook_id:
        tail = f"/{row.path}" if row.path else ""
        url = f"{public_url}/webhooks/{row.webhook_id}{tail}"
        return {
            "type": "webhook", "node_id": row.node_id, "id": row.webhook_id, "url": url, "is_active": row.active,
            "environment": shown_environment(row.environment),
        }  # fmt: skip
    return {
        "type": "schedule",
        "node_id": row.node_id,
        "cron": row.cron,
        "timezone": row.timezone,
        "next_at": at(row.next_at) if row.active else None,
        "is_active": row.active,
        "environment": shown_environment(row.environment),
    }


def workflow(found: Workflow, triggers: Sequence[TriggerRow], tags: Sequence[WorkflowTag], public_url: str) -> Json:
    """Without the definition, as in lists."""
    return {
        "id": found.id,
        "workspace_id": found.workspace_id,
        "name": found.name,
        "description": found.description,
        "is_active": found.active,
        "version": found.version,
        "last_version": found.last_version,
        "lock_version": found.lock_version,
        "triggers": [trigger(row, public_url) for row in triggers],
        "tags": [{"id": tag.id, "name": tag.name, "color": tag.color or None} for tag in tags],
        "folder_id": found.folder_id or None,
        "is_locked": bool(found.locked_at),
        "lock": _lock(found) if found.locked_at else None,
        "created_at": at(found.created_at),
        "updated_at": at(found.updated_at),
    }


def _lock(found: Workflow) -> Json:
    by = {"id": found.locked_by, "name": found.locker}
    return {"locked_by": by, "locked_at": at(found.locked_at), "reason": found.lock_reason}


def shown(found: Shown, public_url: str) -> Json:
    """With the definition, its fields beside the others, as the original has it."""
    document = workflow(found.workflow, found.triggers, found.tags, public_url) | definition(found.definition)
    return document | {"warnings": msgspec.to_builtins(found.warnings)}


def definition(found: Definition) -> Json:
    document: Json = {"edges": [], "description": "", "settings": {}, **msgspec.to_builtins(found)}
    return document


def execution(found: Execution) -> Json:
    """As in lists."""
    return {
        "id": found.id,
        "workspace_id": found.workspace_id,
        "workflow_id": found.workflow_id,
        "workflow_version": found.workflow_version,
        "status": found.status,
        "mode": found.mode,
        "started_at": at(found.started_at),
        "completed_at": at(found.closed_at),
        "duration_ms": found.closed_at - found.started_at if found.closed_at and found.started_at else None,
        "parent_execution_id": (found.mode != "error" and found.parent_id) or None,
        "caused_by": (found.mode == "error" and found.parent_id) or None,
        "last_event_id": found.version,
        "attributes": found.attributes,
        "environment": found.environment or None,
        "error": found.error,
    }


def execution_in_full(found: Execution, state: State | None) -> Json:
    document = execution(found)
    if state is None:
        return document
    if state.entry is not None:
        document["waiting"] = _waiting(found, state.entry)
    return document | {
        "environment": shown_environment(state.environment),
        "trigger_node": state.trigger_node,
        "trigger_data": shown_payload(state.trigger, found.workspace_id),
        "result": shown_payload(state.result, found.workspace_id),
        "error": msgspec.to_builtins(state.error),
        "failed_node": state.failed_node or None,
        "source": {"execution_id": state.source_id} if state.source_id else None,
        "test": _trial(state.trial) if state.trial else None,
        "error_executions": list(found.error_runs),
        "usage": usage(state.spent) if state.spent else None,
        "warnings": [
            {"limit": said.limit, "value": said.value, "max": said.max, "at": at(said.at)} for said in state.warnings
        ],
        "nodes": {
            key: {"status": PUBLIC_STATUS.get(run.status, run.status), "attempt": run.attempt}
            for key, run in state.runs.items()
        },
    }


def _trial(found: Trial) -> Json:
    """How a test run differs; what the mocks say stands in its first event."""
    return {
        "up_to": found.up_to or found.alone or None,
        "alone": bool(found.alone),
        "mocked": list(found.mocks),
        "blocked": list(found.blocked),
        "skip_delays": found.skip_delays,
        "error_workflow": found.error_workflow,
        "limits": found.limits,
    }


def usage(spent: Spent) -> Json:
    """What calls of models used. `cost_usd` leaves those out whose price nobody knows; null where that is all."""
    return {
        "calls": spent.calls,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "cached_tokens": spent.cached_tokens,
        "cost_usd": spent.cost / BILLIONTH if spent.unpriced < spent.calls else None,
        "unpriced_calls": spent.unpriced,
    }


def step(event: Json, workspace_id: str) -> Json:
    """A step inside a node run."""
    used = event.get("usage")
    return {
        "id": event["step"],
        "kind": event.get("kind") or None,
        "name": event.get("name") or None,
        "attempt": event["attempt"],
        "started_at": at(event.get("started_at") or event["at"]),
        "duration_ms": round(event.get("duration_us", 0) / 1000, 3),
        "input": shown_payload(event.get("input"), workspace_id),
        "output": shown_payload(event.get("output"), workspace_id),
        "error": event.get("error"),
        "usage": usage(Spent().and_(msgspec.convert(used, Usage))) | {"model": used.get("model")} if used else None,
    }


def _waiting(found: Execution, entry: Entry) -> Json:
    """Why a run was not let in yet: the limit, its key, and when or behind how many others it will be."""
    return {
        "for": entry.line,
        "key": entry.key,
        "since": at(entry.at),
        "until": at(entry.due_at),
        "position": found.position or None,
        "collected": entry.count or None,
    }


def approval(found: ApprovalView, workspace_id: str) -> Json:
    """`id` names it in addresses."""
    return {
        "id": found.id,
        "execution_id": found.execution_id,
        "workflow_id": found.workflow_id,
        "node_key": found.node_key,
        "attempt": found.attempt,
        "status": found.status,
        "title": found.title,
        "description": found.description,
        "payload": shown_payload(found.payload, workspace_id),
        "assignees": list(found.assignees),
        "only_assignees": found.only_assignees,
        "requested_at": at(found.requested_at),
        "due_at": at(found.due_at),
        "decision_payload": shown_payload(found.decision_payload, workspace_id),
        "decided_by": found.decided_by or None,
        "decided_at": at(found.decided_at),
        "comment": found.comment or None,
    }


def started(run: RunReply, found: Workflow, environment: str = "") -> Json:
    document: Json = {
        "id": run.execution_id,
        "workspace_id": found.workspace_id,
        "workflow_id": found.id,
        "workflow_version": found.version,
        "status": run.status,
        "mode": "manual",
        "environment": shown_environment(environment),
    }
    if run.position:
        document["position"] = run.position
    if run.closed:
        document |= {"result": shown_payload(run.result, found.workspace_id), "error": run.error}
    return document


def node_run(run: RunOfNode, workspace_id: str, execution_id: str, shelf: Shelf) -> Json:
    view, node = run.view, run.node
    over = bool(view.completed_at)
    href = f"/api/v1/workspaces/{workspace_id}/executions/{execution_id}/nodes/{segment(view.key)}"
    return {
        "key": view.key,
        "node_id": node.id if node else view.key,
        "name": node.label if node else view.key,
        "type": node.type if node else None,
        "status": view.status,
        "attempt": view.attempt,
        "kept": view.kept,
        "stood_in": view.by or None,
        "started_at": at(view.started_at),
        "completed_at": at(view.completed_at),
        "duration_ms": round(view.duration_us / 1000, 3) if over else None,
        "input": shelf.put(run.input, f"{href}/input"),
        "output": shelf.put(view.output, f"{href}/output"),
        "error": view.error,
        "child_execution_id": view.child or None,
        "heartbeat": heartbeat(view.heartbeat),
        "logs": list(view.logs),
        "steps": [step(event, workspace_id) for event in view.steps],
    }


def heartbeat(found: LastBeat | None) -> Json | None:
    """The latest one, of the attempt that runs or the one before."""
    return {"at": at(found.at), "attempt": found.attempt, "details": found.details} if found else None


def dead_letter(letter: DeadLetter) -> Json:
    task = letter.task
    return {
        "id": letter.id,
        "execution_id": task.execution_id,
        "workflow_id": task.workflow_id,
        "workflow_version": task.workflow_version,
        "node": task.node_key,
        "attempt": task.attempt,
        "queue": task.queue,
        "priority": task.priority,
        "scheduled_at": at(task.scheduled_at),
        "deliveries": letter.deliveries,
        "reason": letter.reason,
        "died_at": at(letter.at),
        "links": _run_links(task.workspace_id, task.execution_id),
    }


def _run_links(workspace_id: str, execution_id: str) -> Json:
    run = f"/api/v1/workspaces/{workspace_id}/executions/{execution_id}"
    return {"execution": run, "history": f"{run}/history"}
