"""What of a run people may want to be told, by which rules, and the workflow that tells them.

A rule's deliveries are runs of a small workflow of its own, so they are as durable as any run, are tried again as its
node says, and can be looked at, repeated and cancelled like others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from . import definition as d
from . import events as e
from .decider import Decision
from .evolve import TIMED_OUT
from .ids import derived_id, shard_of_workflow, time_of
from .outcomes import DEAD_LETTER_CODE, NodeError
from .state import State

FAILED, OUT_OF_TIME, DEAD_LETTER, APPROVAL, LONG = "failed", "timed_out", "dead_letter", "approval", "long_running"
KINDS = (FAILED, OUT_OF_TIME, DEAD_LETTER, APPROVAL, LONG)
TEST = "test"
WEBHOOK, EMAIL, SLACK = "webhook", "email", "slack"
CHANNELS = (WEBHOOK, EMAIL, SLACK)

MODE = "notification"
"""Of runs that tell somebody. Nobody is told how these fare."""

TRIGGER, SEND = "occurrence", "send"
"""The nodes of a rule's workflow."""

RETRY = d.Retry(12, 1.0, 3.0, 3600.0, 0.2)
"""For about four hours."""

TEXT = 500
"""Characters of an error that are told."""

_LOUD = frozenset({e.ExecutionFailed, e.ExecutionTimedOut, e.NodeFailed, e.ApprovalRequested})
_WINDOWED = (FAILED, OUT_OF_TIME, DEAD_LETTER)


class Rule(Struct, frozen=True):
    """Who is to be told of what. The id is also that of the workflow whose runs are its deliveries, `version` that
    workflow's. No `workflows` are all. Within `every` ms the same is told once; `after` is how long (ms) a run is open
    before it is long-running, and runs accepted before `looked_to` have been looked at for that."""

    id: str
    workspace_id: str
    version: int
    kinds: tuple[str, ...]
    workflows: tuple[str, ...] = ()
    every: int = 0
    after: int = 0
    looked_to: int = 0

    def wants(self, kind: str, workflow_id: str) -> bool:
        return kind in self.kinds and (not self.workflows or workflow_id in self.workflows)


class Channel(Struct, frozen=True, omit_defaults=True):
    """How somebody is told: ``webhook`` at `url`, ``email`` to addresses, ``slack`` to a channel."""

    type: str
    url: str = ""
    to: tuple[str, ...] = ()
    credential: str = ""


class Occurrence(Struct, frozen=True, omit_defaults=True):
    """Something that happened to a run, `place` in it (an event's id), at `at` (ms). `sort` is what else of the same
    kind is told apart by, where a rule tells of the same once in a while."""

    kind: str
    place: int
    at: int
    workflow_id: str
    execution_id: str
    subject: str
    text: str
    data: dict[str, Any]
    sort: str = ""

    def told_by(self, rule: Rule) -> str:
        """The run that tells of it: told twice, it is the same."""
        text = f"{self.execution_id}/{MODE}/{rule.id}/{self.kind}/{self.place}"
        return derived_id(text, self.at, shard_of_workflow(rule.id))

    def key(self, rule: Rule) -> str:
        """The idempotency key under which the rule tells of such once in a while."""
        if not rule.every or self.kind not in _WINDOWED:
            return ""
        return f"ttl:{rule.every}:{MODE}:{self.workflow_id}:{self.kind}:{self.sort}"

    def trigger(self, base_url: str, workspace_id: str) -> dict[str, Any]:
        """What the rule's workflow is given, which is what a webhook is sent."""
        return {
            "type": f"execution.{self.kind}" if self.kind != TEST else TEST,
            "timestamp": e.iso(self.at),
            "subject": self.subject,
            "text": self.text,
            "url": f"{base_url}/api/v1/workspaces/{workspace_id}/executions/{self.execution_id}",
            "data": self.data,
        }


def is_quiet(decision: Decision) -> bool:
    """Has this transition surely nothing that somebody may want to know? Asked of each, so it is quick."""
    return _LOUD.isdisjoint(map(type, decision.events))


def occurrences(decision: Decision, name: str) -> Iterator[Occurrence]:
    """What this transition of a run of the workflow `name` has that somebody may want to know. Test runs
    and deliveries have nothing, and a sub-workflow's end is its parent's to tell."""
    for event in decision.events:
        if type(event) in _LOUD:
            state = decision.state
            if state.mode == MODE or state.trial is not None:
                return
            found = None if event.kept_at else _occurrence(state, name, event)
            if found is not None:
                yield found


def _occurrence(state: State, name: str, event: e.Event) -> Occurrence | None:
    own = state.parent is None or state.parent.close_policy == "abandon"
    if isinstance(event, e.ExecutionFailed) and own:
        return _failure(state, name, event, FAILED, event.error, event.node)
    if isinstance(event, e.ExecutionTimedOut) and own:
        return _failure(state, name, event, OUT_OF_TIME, TIMED_OUT, "")
    if isinstance(event, e.NodeFailed) and event.error.code == DEAD_LETTER_CODE:
        return _failure(state, name, event, DEAD_LETTER, event.error, event.node)
    if isinstance(event, e.ApprovalRequested):
        asked = {
            "node": event.node, "title": event.title, "description": event.description[:TEXT],
            "assignees": list(event.assignees), "due_at": e.iso(event.due_at) if event.due_at else None,
        }  # fmt: skip
        subject = f"{name} waits for an approval"
        text = f"{name} waits for an approval: {event.title[:TEXT]}"
        return _told(state, name, event, APPROVAL, subject, text, {"approval": asked}, event.node)
    return None


def _failure(state: State, name: str, event: e.Event, kind: str, error: NodeError, node: str) -> Occurrence:
    what = {FAILED: "failed", OUT_OF_TIME: "ran out of time", DEAD_LETTER: "has a task that no worker finished"}[kind]
    at = f" at {node}" if node else ""
    text = f"{name} {what}{at}: {error.message[:TEXT]} ({error.code})"
    told = {"code": error.code, "message": error.message[:TEXT], "node": node or None}
    return _told(state, name, event, kind, f"{name} {what}", text, {"error": told}, error.code)


def _told(
    state: State, name: str, event: e.Event, kind: str, subject: str, text: str, more: dict[str, Any], sort: str
) -> Occurrence:
    data = _about(name, state.execution_id, state.workflow_id, state.workflow_version, state.status, state.mode)
    return Occurrence(
        kind, event.event_id, event.at, state.workflow_id, state.execution_id, subject, text, {**data, **more}, sort
    )


def long_running(
    rule: Rule, name: str, execution_id: str, workflow_id: str, version: int, status: str, mode: str
) -> Occurrence:
    """A run that is open for longer than the rule says."""
    minutes = rule.after / 60_000
    lasted = f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:.3g} h"
    subject = f"{name} takes long"
    text = f"{name} is {status} for more than {lasted}"
    data = {**_about(name, execution_id, workflow_id, version, status, mode), "after_seconds": rule.after // 1000}
    at = time_of(execution_id) + rule.after
    return Occurrence(LONG, rule.after, at, workflow_id, execution_id, subject, text, data)


def trial_of(at: int, name: str, execution_id: str) -> Occurrence:
    """What a rule tells when somebody tries it."""
    data = _about("A workflow", execution_id, "00000000-0000-0000-0000-000000000000", 1, "failed", TEST)
    told = {"code": "test", "message": "Nothing has happened: somebody tries this rule.", "node": None}
    text = f"A test of the rule {name}: nothing has happened."
    return Occurrence(
        TEST, at, at, data["workflow"]["id"], execution_id, f"Test of {name}", text, {**data, "error": told}
    )


def _about(name: str, execution_id: str, workflow_id: str, version: int, status: str, mode: str) -> dict[str, Any]:
    return {
        "workflow": {"id": workflow_id, "name": name, "version": version},
        "execution": {"id": execution_id, "status": status, "mode": mode},
    }


def document(name: str, channel: Channel) -> dict[str, Any]:
    """The workflow of a rule, to be read like any other."""
    node: dict[str, Any] = {"id": SEND, **_node(channel), "name": name}
    if channel.credential:
        node["credentials"] = {{WEBHOOK: "webhook", EMAIL: "smtp", SLACK: "slack"}[channel.type]: channel.credential}
    return {
        "name": name,
        "nodes": [{"id": TRIGGER, "type": "trigger_manual", "config": {}}, node],
        "edges": [{"id": "e", "source": TRIGGER, "target": SEND}],
    }


def patient(definition: d.Definition) -> d.Definition:
    """The same, tried again for hours where the other side is away."""
    nodes = tuple(replace(node, retry=RETRY) if node.id == SEND else node for node in definition.nodes)
    return replace(definition, nodes=nodes)


def _node(channel: Channel) -> dict[str, Any]:
    if channel.type == WEBHOOK:
        config: dict[str, Any] = {"url": channel.url, "event_type": "linkflow.notification"}
        return {"type": "action_webhook", "config": config}
    if channel.type == EMAIL:
        body = "{{ trigger.text }}\n\n{{ trigger.url }}"
        config = {"to": list(channel.to), "subject": "{{ trigger.subject }}", "body": body}
        return {"type": "action_email", "config": config}
    # Slack reads <!channel> and the like in texts: a workflow's name or an error must not call everybody.
    quiet = '{{ trigger.text.split("&").join("&amp;").split("<").join("&lt;").split(">").join("&gt;") }}'
    to: Sequence[str] = channel.to[:1]
    return {
        "type": "action_slack",
        "config": {**({"channel": to[0]} if to else {}), "text": f"{quiet}\n{{{{ trigger.url }}}}"},
    }
