"""Every named statement of the product: those that run on the hot path or in a loop, with arguments as in production,
and those that do not, each with its reason. `crowd.sql` says what the database holds.
"""

from __future__ import annotations

from typing import Any

BATCH = 50
"""Runs in one batch of transitions."""

PAGE = 100


def nth(kind: int, n: int) -> str:
    """`pg_temp.nth` of crowd.sql."""
    return f"{1780000000000 + n:012x}7{n % 4096:03x}8{kind}{n:014x}"


def runs(first: int = 2, count: int = BATCH) -> list[str]:
    """Runs of the first workspace and others, all with rows everywhere."""
    return [nth(0, n) for n in range(first, first + count)]


def all_of(value: Any, count: int = BATCH) -> list[Any]:
    return [value] * count


BIG, FLOW, USER = nth(1, 0), nth(2, 0), nth(3, 0)
"""The workspace and the workflow that have most, and a user."""

_NEW = runs(500_000)
_OLD = runs()
_REFS = {"id": _OLD, "key": all_of("node"), "attempt": all_of(1)}
_OUTBOX = {
    "task_key": all_of("next"), "task_attempt": all_of(1), "task_queue": all_of("default"),
    "task_priority": all_of(0), "task_at": all_of(0), "task_offer": all_of(10**12), "timer_name": all_of("sleep/next/1"),
    "timer_due": all_of(10**12), "message_name": all_of("m2"), "message_kind": all_of("kind"),
    "message_body": all_of(b"{}"), "message_offer": all_of(10**12),
}  # fmt: skip
_TALLY = {"tally": all_of(21), "compute": all_of(900), "tally_at": 1}
_PAGE = {"workspace": BIG, "before": "f" * 32, "limit": PAGE, "status": -1, "mode": ""}
_RANGE = {"workspace": BIG, "before": "f" * 32, "floor": nth(0, 0)}
_SCAN = {**_RANGE, "status": -1, "mode": "", "version": 0, "min": 0, "max": 0, "scan": 1000, "limit": 1000}
_WEBHOOK_PAGE = {**_PAGE, "before": nth(0, 50_000), "mode": "webhook"}
_KEYS = [f"key{n}" for n in range(BATCH)]

_FILE = {"drawer": nth(0, 0), "workspace": BIG, "name": "file:a"}

Cases = dict[str, dict[str, Any] | list[dict[str, Any]] | tuple[Any, ...]]
"""Arguments by the statement's name; several where it has to hold for several."""

HOT: dict[str, Cases] = {
    "executions": {
        "create": {
            "id": _NEW, "shard": all_of(1), "workspace": all_of(BIG), "workflow": all_of(FLOW),
            "workflow_version": all_of(1), "status": all_of(0), "mode": all_of("webhook"), "version": all_of(3),
            "started": all_of(1), "closed": all_of(0), "parent": all_of(None), "state": all_of(b"{}"),
            "events": all_of(b"[]"), "key": [f"new{n}" for n in range(BATCH)], "format": 1, "task_id": _NEW, **_TALLY,
            "timer_id": _NEW, "message_id": _NEW, **_OUTBOX,
        },
        "holder": {"workflow": FLOW, "key": "k1"},
        "advance": {
            "id": _OLD, "expected": all_of(9), "version": all_of(12), "status": all_of(1), "closed": all_of(3),
            "state": all_of(b"{}"), "events": all_of(b"[]"), "snapshot": all_of(0), "format": 1, "done_id": _OLD, **_TALLY,
            "done_key": all_of("node"), "done_attempt": all_of(1), "gone_id": _OLD,
            "gone_name": all_of("sleep/node/1"), "task_id": _OLD, "timer_id": _OLD, "message_id": _OLD, **_OUTBOX,
        },
        "advance_waits": {
            "over_id": _OLD, "over_key": all_of("wait"), "over_attempt": all_of(1), "wait_id": _OLD,
            "wait_node": all_of("more"), "wait_attempt": all_of(1), "wait_workspace": all_of(BIG),
            "wait_workflow": all_of(FLOW), "wait_kind": all_of("event"), "wait_name": all_of("paid"),
            "wait_key": all_of("new"), "wait_due": all_of(0), "wait_at": all_of(0), "wait_detail": all_of(b"{}"),
        },
        "waiting": [
            {"workspace": BIG, "name": "paid", "key": "all", "limit": PAGE},
            {"workspace": BIG, "name": "paid", "key": "k3", "limit": PAGE},
            {"workspace": BIG, "name": "nobody", "key": "", "limit": PAGE},
        ],
        "approvals": [
            {"workspace": BIG, "before": "f" * 32, "after": "", "workflow": None, "limit": PAGE},
            {"workspace": BIG, "before": nth(0, 25_000), "after": "a", "workflow": FLOW, "limit": PAGE},
        ],
        "keep_event": {
            "workspace": BIG, "id": "new", "name": "early", "key": "", "payload": b"{}", "actor": "", "until": 10**12
        },
        "kept_events": [
            {"workspace": BIG, "name": "early", "key": "k1", "now": 0},
            {"workspace": BIG, "name": "early", "key": "", "now": 0},
            {"workspace": BIG, "name": "early", "key": "", "now": 24_000},
        ],
        "kept_after": [
            {"now": 0, "until": 0, "workspace": nth(0, 0), "id": "", "limit": 500},
            {"now": 0, "until": 15_000, "workspace": BIG, "id": "e10000", "limit": 500},
        ],
        "overlooked": {
            "workspace": all_of(BIG, 2 * BATCH), "name": all_of("paid", 2 * BATCH), "limit": PAGE,
            "key": ["", "all", *(f"k{n}" for n in range(2, 2 * BATCH))],
        },
        "forget_events": {"now": 10_000, "limit": PAGE},
        "drop_events": {"workspace": BIG, "ids": [f"e{n}" for n in range(BATCH)]},
        "drop_timers": {"id": _OLD, "name": all_of("sleep/node/1"), "due": all_of(10**12)},
        "load": [{"ids": _OLD, "format": 1}, {"ids": [nth(0, 1)], "format": 1}],
        "describe": [
            {"ids": _OLD, "with_state": True, "workspace": BIG, "workspace_id": BIG, "format": 1},
            {"ids": [nth(0, 1)], "with_state": True, "workspace": "*", "workspace_id": None, "format": 1},
        ],
        "error_runs": {"ids": _OLD},
        "page_by_workspace": [_PAGE, {**_PAGE, "before": nth(0, 50_000)}, _WEBHOOK_PAGE, {**_PAGE, "workspace": nth(1, 4)}],
        "page_by_workspace_status": [{**_PAGE, "status": status} for status in (0, 2, 5)],
        "page_by_workspace_mode": [{**_PAGE, "mode": mode} for mode in ("error", "manual")],
        "page_by_workflow_status": [{"workflow": FLOW, **_PAGE, "status": status} for status in (0, 2, 5)],
        "page_by_workflow_mode": [{"workflow": FLOW, **_PAGE, "mode": mode} for mode in ("error", "manual")],
        "page_by_workflow": [{"workflow": FLOW, **_PAGE}, {"workflow": FLOW, **_WEBHOOK_PAGE}],
        "history": [
            {"id": nth(0, 1), "after": 0, "limit": PAGE}, {"id": nth(0, 1), "after": 10_000, "limit": PAGE},
            {"id": nth(0, 1), "after": 19_950, "limit": PAGE}
        ],
        "history_within": {"id": nth(0, 5), "after": 3},
        "delete": {"ids": _OLD[:1], "workspace": BIG, "keys": _KEYS, "kind": "forget", "body": b"", "offer": 10**12},
        "definition": {"workflow": FLOW, "version": 1},
        "lost_tasks": {"now": 15_000, "next": 10**12, "limit": PAGE},
        "lost_messages": {"now": 15_000, "next": 10**12, "limit": PAGE},
        "drop_messages": {"execution": _OLD, "id": all_of("m")},
        "touch": {"until": 10**12, **_REFS},
        "workflow": [{"workflow": FLOW, "environment": ""}, {"workflow": FLOW, "environment": "staging"}],
        "under_way": {"workspace": BIG, "limit": PAGE},
    },
    "notifications": {
        "of": {"workspace": BIG},
        "take_long": {"now": 30_000, "until": 10**12, "limit": 20},
        "looked": {"id": nth(2, 100_000), "to": 10**12, "again": 10**12},
    },
    "timers": {
        "due": [{"now": 30_000, "limit": PAGE}, {"now": 0, "limit": PAGE}],
        "next_due": {},
        "wanted": {},
        "due_schedules": [{"now": 15_000, "limit": PAGE}, {"now": 0, "limit": PAGE}],
        "open_firings": {
            "workflow": [nth(2, 50 * n) for n in range(BATCH)], "node": all_of("s0"), "tracked": all_of(True)
        },
        "settle": {
            "workflow": [nth(2, n) for n in range(BATCH)], "node": all_of("s0"), "revision": all_of(0),
            "was": [1000 + n for n in range(BATCH)], "version": all_of(1), "next": all_of(10**12), "delay": all_of(0),
            "look": all_of(None),
        },
        "rest": {
            "workflow": [nth(2, n) for n in range(BATCH)], "node": all_of("s0"), "revision": all_of(0),
            "look": all_of(None),
        },
        "put_firings": {
            "workflow": [nth(2, n) for n in range(BATCH)], "node": all_of("s0"), "due": all_of(10**12),
            "cause": all_of("schedule"), "outcome": all_of("starting"), "at": all_of(0), "overlap": all_of("skip"),
            "reason": all_of(""), "execution": all_of(None), "missed": all_of(0), "fires": all_of(1),
            "last": all_of(0), "offer": all_of(0), "open": all_of(True),
        },
        "look_at_firings": {"now": 1, "workflow": [nth(2, 50 * n) for n in range(BATCH)]},
        "now_ms": {},
    },
    "shards": {
        "map": {},
        "home": {},
        "epoch": {},
        "open_runs": {"ids": _OLD},
        "started_firings": [
            {"workflow": nth(0, 0), "node": "", "due": -1, "cause": "", "limit": PAGE},
            {"workflow": nth(2, 100), "node": "s0", "due": 5, "cause": "", "limit": PAGE},
        ],
    },
    "facts": {
        "read": {"ids": _OLD},
        "drop_terms": {"ids": _OLD},
        "put": {
            "id": _NEW, "workspace": all_of(BIG), "environment": all_of(""), "attributes": all_of(b"{}"),
            "error": all_of(None),
        },
        "put_terms": {"id": _NEW, "term": all_of("w:new"), "workspace": all_of(BIG)},
        "spread": {"workspace": BIG, "terms": ["w:timeout", "e:http_500", "w:nobody", "w:w7"], "most": 100},
        "by_terms": [
            {"term": term, "others": ["e:http_500", "w:w7"], **_RANGE, "limit": 1000}
            for term in ("w:timeout", "w:w7", "w:nobody")
        ],
        "runs": {"ids": runs(2, 1000), "workflow": None, **_SCAN},
        "scan_workspace": [_SCAN, {**_SCAN, "min": 10**9}, {**_SCAN, "before": nth(0, 50_000)}],
        "scan_workspace_status": [{**_SCAN, "status": status} for status in (0, 2, 5)],
        "scan_workflow": [{"workflow": FLOW, **_SCAN}, {"workflow": FLOW, **_SCAN, "version": 7}],
        "scan_workflow_status": [{"workflow": FLOW, **_SCAN, "status": status} for status in (0, 2, 5)],
    },
    "tallies": {
        "take": {"limit": 1000},
        "add": {
            "workspace": all_of(BIG), "span": all_of(60), "at": [3_600_000 * n for n in range(BATCH)],
            "workflow": all_of(FLOW), "started": all_of(1), "nodes": all_of(10), "compute": all_of(900),
            "bytes": all_of(100), "ended": all_of("{0,1}"), "durations": all_of("{0,0,1}"), "input": all_of(0),
            "output": all_of(0), "cost": all_of(0),
        },
        "sums": {"workspace": BIG, "span": 60, "workflow": FLOW, "first": 0, "beyond": 3_600_000 * 24, "limit": 10_000},
        "count_ai": {
            "workspace": all_of(BIG), "workflow": all_of(FLOW), "at": all_of(1), "input": all_of(9),
            "output": all_of(3), "cost": all_of(0),
        },
        "open_of_workspace": {"workspace": BIG, "statuses": [0, 6, 7, 8, 9], "most": 1000},
        "open_of_workflow": {"workflow": FLOW, "workspace": BIG, "statuses": [0, 6, 7, 8, 9], "most": 1000},
    },
    "beats": {
        "beat": {
            **_REFS, "timer": all_of("sleep/node/1"), "due": all_of(10**12), "details": all_of(b"{}"), "at": 2000
        },
        "beats": _REFS,
        "beats_of": {"ids": _OLD},
        "beaten": {**_REFS, "seen": all_of(10**12)},
        "drop_beats": _REFS,
    },
    "admission": {
        "lock": {"locks": list(range(BATCH))},
        "runs": {"ids": _OLD},
        "holders": {"workflow": FLOW, "keys": [f"k{n}" for n in range(BATCH)], "newest": nth(0, 1)},
        "lines": [{"workflow": FLOW, "keys": _KEYS}, {"workflow": FLOW, "keys": ["busy"]}],
        "staying": {"workflow": FLOW, "keys": _KEYS},
        "rates": {"workflow": FLOW, "keys": _KEYS},
        "collectors": {"workflow": FLOW, "triggers": all_of("start"), "keys": _KEYS},
        "next": [{"workflow": FLOW, "key": "busy", "limit": PAGE}, {"workflow": FLOW, "key": "key1", "limit": PAGE}],
        "leave": {"ids": _OLD},
        "take_slots": {
            "slot_id": _NEW, "slot_workflow": all_of(FLOW), "slot_key": all_of("new"), "slot_queued": all_of(False),
            "slot_position": all_of(1), "slot_bound": all_of(1),
        },
        "pass_slot": {"source": nth(0, 1), "workflow": FLOW, "key": "key1"},
        "known": {"id": nth(0, 1), "workflow": FLOW, "key": "k1"},
        "let_in": {"in_id": _OLD, "in_at": all_of(1)},
        "fairness": {"fair_id": _NEW, "fair_key": all_of("tenant")},
        "collects": {
            "col_workflow": all_of(FLOW), "col_trigger": all_of("start"), "col_key": [f"new{n}" for n in range(BATCH)],
            "col_id": _NEW,
        },
        "keep_keys": {
            "kept_workflow": all_of(FLOW), "kept_key": [f"new{n}" for n in range(BATCH)], "kept_id": _NEW
        },
        "pass_keys": {
            "passed_workflow": all_of(FLOW), "passed_key": [f"k{4 * n + 1}" for n in range(BATCH)], "passed_id": _NEW
        },
        "mark_ending": {"ids": _OLD},
        "keep_rates": {
            "rate_workflow": all_of(FLOW), "rate_key": [f"new{n}" for n in range(BATCH)], "rate_until": all_of(1)
        },
        "positions": {"ids": [nth(0, 10_100), nth(0, 19_000)]},
        "free_closed": [{"after": nth(0, 0), "limit": 500}, {"after": nth(0, 12_000), "limit": 500}],
        "forget_rates": {"before": 10_000, "limit": PAGE},
        "overlooked": {"limit": PAGE},
    },
    "credentials": {
        "sealed": {"workspace": BIG, "ids": [nth(4, n) for n in range(BATCH)], "slugs": [f"c{n}" for n in range(BATCH)]},
        "briefs": {"workspace": BIG, "ids": [nth(4, n) for n in range(BATCH)], "slugs": [f"c{n}" for n in range(BATCH)]},
        "page": {"workspace": BIG, "kind": "", "before": None, "limit": PAGE},
        "get": {"workspace": BIG, "id": nth(4, 0)},
        "claim": {"workspace": BIG, "id": nth(4, 0), "holder": "w", "now": 0, "until": 1},
    },
    "variables": {
        "plain": [
            {"workspace": BIG, "environment": "production", "keys": [f"K{n}" for n in range(BATCH)]},
            {"workspace": BIG, "environment": "", "keys": None},
        ],
        "sealed": {"workspace": BIG, "environment": "", "keys": [f"K{n}" for n in range(BATCH)]},
        "page": {"workspace": BIG, "environment": None, "before": None, "limit": PAGE},
        "get": {"workspace": BIG, "id": nth(5, 0)},
    },
    "blobs": {
        "put": {"execution": _NEW, "workspace": all_of(BIG), "name": all_of("sha"), "data": all_of(b"x")},
        "get": {"execution": _OLD, "workspace": all_of(BIG), "name": [f"sha{n}" for n in range(2, 2 + BATCH)]},
        "drop": {"execution": _OLD, "workspace": all_of(BIG)},
    },
    "files": {
        "lock": _FILE, "put": {**_FILE, "data": b"x"}, "get": _FILE, "head": _FILE,
        "list": {**_FILE, "prefix": "file:", "after": "", "limit": PAGE}, "delete": {**_FILE, "names": ["file:a"]},
    },
    "webhooks": {"find": (["hook7", "hook9"],)},
    "hook_calls": {
        "note": {
            "id": _NEW, "webhook": all_of("hook7"), "at": all_of(1), "method": all_of("POST"), "path": all_of(""),
            "ip": all_of(""), "status": all_of(401), "code": all_of(""), "detail": all_of(""), "headers": all_of(b"{}"),
            "size": all_of(0),
        },
        "forget_old": {"older": 1100},
        "forget_many": {"webhooks": ["hook7", "hook9"], "most": 2},
        "refusals": [{"webhook": "hook1", "before": before, "limit": PAGE} for before in ("f" * 32, nth(4, 5_000))],
        "of_workflow": {"workflow": FLOW, "workspace": BIG, "before": "", "limit": PAGE},
        "of_workspace": [{"workspace": BIG, "before": before, "limit": PAGE} for before in ("", "hook5")],
        "capture": {"webhook": "hook1", "now": 1, "most": 10, "id": nth(5, 1), "at": 1, "trigger": b"{}"},
    },
    "replies": {
        "sweep": {"at": 20_000},
        "claim": {"workspace_id": BIG, "key": "new", "fingerprint": b"", "until": 1, "at": 0},
        "get": {"workspace_id": BIG, "key": "k1"},
        "keep": {"workspace_id": BIG, "key": "k1", "status": 200, "headers": b"", "body": b"", "until": 1},
        "drop": {"workspace_id": BIG, "key": "k1"},
    },
    "approval_links": {
        "stands": {"workspace": BIG, "execution": nth(0, 7), "node": "ask", "id": ""},
        "list": {"workspace": BIG, "execution": nth(0, 7), "node": "ask"},
    },
    "purging": {
        "take": {"now": 1, "before": 0, "until": 10, "limit": PAGE},
        "some_workflows": {"workspace": BIG, "limit": PAGE},
        "drop_workflows": {"workflows": [FLOW], "workspace": nth(1, 5)},
        "drop_files": {"drawer": nth(0, 1), "workspace": BIG, "limit": 20},
        "drop_events": {"workspace": BIG, "limit": PAGE},
        "drop_sums": {"workspace": BIG, "limit": PAGE},
        "drop_bulks": {"workspace": BIG, "limit": PAGE},
    },
    "workspaces": {
        "of_user": (USER,),
        "get": {"id": BIG, "user_id": USER},
        "enter": {"ids": [BIG] * 3, "users": [USER] * 3, "families": [USER] * 3},
        "plain": (BIG,),
        "own_role": {"id": BIG, "name": "Auditor"},
        "members": (BIG,),
    },
    "accounts": {
        "alive": (USER,),
        "touch_session": {"family": USER, "user_id": USER, "ip": "", "user_agent": "", "at": 1},
        "drop_sessions": {"user_id": USER},
        "sessions": {"user_id": USER, "at": 0},
        "sent": {"hash": b"t7", "purpose": "reset", "at": 0},
        "take": {"hash": b"t7", "purpose": "reset", "at": 0},
        "drop_sent": {"user_id": USER, "purpose": "reset"},
        "end_sessions": {"user_id": USER, "but": None},
        "locked_until": (b"k7",),
        "factor": (USER,),
        "find_identity": {"provider": "p", "subject": "s7", "at": 1},
        "identities": (USER,),
        "clean_keys": (USER,),
        "clean_identities": (USER,),
        "finish_attempt": {"hash": b"a7", "browser": b"", "provider": "p", "at": 0},
    },
    "teams": {
        "find_key": (b"key7",),
        "used_key": {"id": nth(3, 7), "at": 5, "ip": ""},
        "keys_of_user": (USER,),
        "keys_of_workspace": (BIG,),
        "roles": (BIG,),
        "invitations": {"workspace_id": BIG, "at": 0},
        "invitation": {"hash": b"i7", "at": 0},
    },
    "audit_log": {
        "page": {"workspace": BIG, "first": nth(3, 0), "beyond": nth(3, 19_000), "limit": PAGE},
        "by_actor": {"workspace": BIG, "actor": "user:x", "action": "", "first": nth(3, 0), "beyond": nth(3, 19_000), "limit": PAGE},
        "by_action": {"workspace": BIG, "action": "a1", "first": nth(3, 0), "beyond": nth(3, 19_000), "limit": PAGE},
        "by_target": {
            "workspace": BIG, "target": "t5", "actor": "", "action": "", "first": nth(3, 0), "beyond": nth(3, 19_000),
            "limit": PAGE,
        },
        "names": {"users": [USER], "keys": [nth(3, 7)]},
        "of_account": {"user": USER, "action": "", "first": nth(3, 0), "beyond": nth(3, 19_000), "limit": PAGE},
    },
    "users": {
        "by_email": ("U7@example.com",),
        "by_id": (USER,),
        "add_token": {"hash": b"new", "family": USER, "user_id": USER, "created_at": 0, "expires_at": 1},
        "drop_expired": {"user_id": USER, "at": 5},
        "use_token": {"old": b"new", "at": 0},
        "revoke_reused": {"old": b"new"},
        "revoke": (USER,),
    },
    "workflows": {
        "page": {"workspace_id": BIG, "active": None, "before": None, "limit": PAGE},
        "get": {"id": FLOW, "workspace_id": BIG},
        "definition": {"id": FLOW, "version": 1},
        "versions": {"id": FLOW, "before": 0, "limit": PAGE},
        "triggers": {"ids": [nth(2, 2000 * n) for n in range(5)]},
        "tags": {"ids": [nth(2, 2000 * n) for n in range(5)]},
        "put_webhook": {
            "webhook_id": "new", "id": FLOW, "node_id": "hook", "workspace_id": BIG, "version": 1, "active": True,
            "rules": b"{}", "at": 0,
        },
        "drop_firings": {"id": FLOW, "nodes": ["s0"], "environment": ""},
        "running": {"id": FLOW, "workspace_id": BIG, "name": "staging"},
    },
    "bulk": {
        "show": [{"workspace": BIG, "before": before, "limit": PAGE} for before in ("f" * 32, nth(3, 2_000))],
        "one": {"workspace": BIG, "id": nth(3, 1)},
        "cancel": {"now": 1, "id": nth(3, 1), "workspace": BIG},
        "claim": {"now": 5_000, "owner": "me", "until": 6_000, "page": PAGE},
        "advance": {
            "count": 1, "done": 1, "failed": 0, "skipped": 0, "errors": b"[]", "now": 1, "until": 1, "id": nth(3, 1),
            "cursor": 0,
        },
        "release": {"now": 1, "owner": "me"},
    },
    "forks": {
        "remember": {"source": all_of(nth(0, 0)), "id": _NEW},
        "page_by_source": {"source": nth(0, 7), "workflow": None, **_PAGE},
    },
    "schedules": {
        "page": [
            {"workspace_id": BIG, "after": nth(0, 0), "limit": PAGE},
            {"workspace_id": BIG, "after": nth(3, 9_000), "limit": PAGE},
        ],
        "page_of_workflow": {"workspace_id": BIG, "workflow_id": FLOW, "after": nth(0, 0), "limit": PAGE},
        "get": {"id": nth(3, 2000), "workspace_id": BIG},
        "firings": {
            "workflow_id": FLOW, "node_id": "s0", "outcome": "", "due_at": None, "cause": None, "limit": PAGE
        },
        "look": {"id": nth(3, 2000), "at": 0},
    },
}  # fmt: skip

_ROTATION = {"after": "when keys are rotated, page by page", "rewrap": "when keys are rotated, row by row"}
_PURGE = "once in a workspace's life, at its end"
_PERSON = "one row by its key, when a person changes something"
_SETTING = "when somebody reads or changes a queue's settings, or Valkey has lost its copy of them"
_DAILY = "upkeep, once in a while: what it reads is what it tidies"

COLD: dict[str, dict[str, str]] = {
    "files": {"others": "a file that a node writes: it counts the workspace's, of which there are so many at most"},
    "moving": dict.fromkeys(
        (
            "alone", "not_alone", "found", "begin", "phase", "end", "strangers", "wait", "patience", "as_mover", "not_for_ever", "still",
            "mark", "unmark", "hold", "note_changes", "forget_changes", "clear_changes", "changes", "drop_changes",
            "columns", "read", "read_all", "read_keys", "incoming", "receive", "take_in", "drop_incoming", "drop_keys",
            "drop_all", "count", "rates", "put_rates", "drop_rates", "clear_map", "put_map", "runs",
        ),
        "when an operator moves shards: it reads what it moves",
    ),
    "shards": {
        "used": "migration", "adopt": "migration", "set_guard": "migration", "close_firings": _DAILY,
    },
    "bulk": {
        "count": "a person's choice of runs: it reads those that fit, and those that its filter drops",
        "begin": "the same choice, kept", "choose": "the same choice, a page", "begin_with": "a choice, kept",
    },
    "queue_settings": dict.fromkeys(
        ("read", "rules", "every", "change", "drop_rules", "add_rules", "own_lock", "own_rules"), _SETTING
    ),
    "credentials": {
        "insert": _PERSON, "update": _PERSON, "delete": _PERSON, "uses": "a page of workflows that a person asks for",
        "keep_tokens": "one row by its key, when its token is over", **_ROTATION, "keys": "an operator asks",
    },
    "variables": {
        "insert": _PERSON, "update": _PERSON, "delete": _PERSON, "count": _PERSON, **_ROTATION,
    },
    "releases": {
        **dict.fromkeys(
            ("environments", "add_environment", "change_environment", "running", "releases", "releases_of", "draft", "put_draft",
             "drop_draft"), "a few rows of a workspace or a workflow, when a person looks at releases or changes something",
        ),
        **dict.fromkeys(
            ("drop_environment", "drop_running", "rest_running", "drop_hooks", "rest_hooks", "drop_crons", "rest_crons",
             "rest_firings"), "when an environment is dropped or switched off: all that is in it",
        ),
    },
    "shelf": {
        **dict.fromkeys(("add_tag", "change_tag", "drop_tag", "untag", "tag", "put_folder", "move", "lock", "unlock"), _PERSON),
        **dict.fromkeys(
            ("tags", "named", "own_tree", "folders", "lift_folders", "lift_workflows", "drop_folder"),
            "a workspace's tags or folders, of which there are so many at most",
        ),
        "search": "a person's search: it reads the workflows of the workspace, and those with the words by their index",
    },
    "policies": {"read": "one row by its key, once in some seconds", "write": _PERSON},
    "reach": {"read": "one row by its key, once in some seconds", "write": _PERSON},
    "audit": {"states_with_events": "a check that an operator runs, page by page"},
    "migrate": {
        "lock": "migration", "index": "migration", "table": "migration", "applied": "migration", "record": "migration",
        "partitions": "migration",
    },
    "retention": {
        "lock": _DAILY, "patience": _DAILY, "own": _DAILY, "moving": _DAILY, "partitions": _DAILY, "count": _DAILY,
        "forget": _DAILY, "drop_partition": _DAILY, "clear_history": _DAILY, "clear_blobs": _DAILY,
    },
    "notifications": {
        "list": _PERSON, "get": _PERSON, "put": _PERSON, "put_workflow": _PERSON, "add_version": _PERSON,
        "delete": _PERSON, "workflows": _PERSON,
    },
    "retention_settings": {
        "read": _PERSON, "clear": _PERSON, "put": _PERSON, "workflows": _PERSON, "every": _DAILY,
    },
    "tallies": {"forget": _DAILY},
    "timers": {
        "upkeep_lock": _DAILY, "upkeep": _DAILY, "close_firings": _DAILY, "drop_old_firings": _DAILY,
        "drop_many_firings": _DAILY,
    },
    "users": {"add": _PERSON, "rehash": _PERSON},
    "accounts": {
        **dict.fromkeys(
            ("open_session", "end_session", "rename", "send", "verified", "set_password", "sole_owner_of", "delete",
             "failed", "clear_failures", "begin_factor", "confirm_factor", "use_step", "use_code", "drop_codes",
             "add_codes", "drop_factor", "begin_attempt", "link", "unlink", "lock_workspaces"),
            _PERSON,
        ),
        "drop_attempts": "by its index on the time, a few at a sign-in",
        "drop_old_tokens": _DAILY, "drop_old_failures": _DAILY,
    },
    "teams": dict.fromkeys(
        ("add_role", "update_role", "loosen_role", "delete_role", "lock", "invite", "drop_old_invitations", "withdraw",
         "join", "hand_over", "add_key", "delete_key"),
        _PERSON,
    ),
    "audit_log": {"add": "one row", "add_many": "one row a call", "forget": _DAILY},
    "approval_links": {"add": _PERSON, "revoke": _PERSON, "revoke_messages": _PERSON, "forget": _DAILY},
    "purging": {
        **dict.fromkeys(("drop", "drop_reach", "drop_settings", "drop_shares", "silence_rules"), _PURGE),
        **dict.fromkeys(("drop_rates", "drop_keys"), "a portion of workflows that nothing has started for a month"),
        "drop_replies": "a portion; answers that are kept are a day old at most, so there are none",
        "drop_tallies": "the table has what the last seconds led to",
    },
    "workspaces": {
        **dict.fromkeys(("deleted", "lock_deleted", "restore_workflows", "restore", "stop_environments"), _PERSON),
        "add": _PERSON, "rename": _PERSON, "delete": _PERSON, "lock": _PERSON, "put_member": _PERSON,
        "remove_member": _PERSON, "delete_workflows": "when a workspace is deleted: all its workflows",
        "stop_webhooks": "when a workspace is deleted", "stop_schedules": "when a workspace is deleted",
    },
    "workflows": {
        "insert": _PERSON, "update": _PERSON, "add_version": _PERSON, "stop_webhooks": _PERSON,
        "touch": _PERSON, "put_environment": _PERSON, "add_release": _PERSON, "drop_draft": _PERSON,
        "put_schedule": _PERSON, "place_like": _PERSON, "tag_like": _PERSON, "drop_schedules": _PERSON, "delete": _PERSON, "named": "when a person imports a file",
    },
    "schedules": {"hold": _PERSON, "resume": _PERSON},
    "hook_calls": dict.fromkeys(("get", "switch", "move", "listen", "forget_captures", "captures"), _PERSON),
}  # fmt: skip
