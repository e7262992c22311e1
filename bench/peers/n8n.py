"""n8n's own set-up: its settings, its first user, and a workflow of ten Set nodes behind a webhook."""

from __future__ import annotations

import itertools
import secrets
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from bench.peer_scripts.in_flight import BEGIN, STEPS

PATH = "bench"
PATIENCE = 60.0
"""Seconds from a port that listens to a webhook that answers."""


def environ(folder: Path, port: int, postgres: Mapping[str, str]) -> dict[str, str]:
    """It calls nobody, listens on loopback, and keeps every execution in Postgres."""
    off = ("N8N_DIAGNOSTICS_ENABLED", "N8N_VERSION_NOTIFICATIONS_ENABLED", "N8N_TEMPLATES_ENABLED",
           "N8N_PERSONALIZATION_ENABLED", "N8N_SECURE_COOKIE")  # fmt: skip
    return {
        "HOME": str(folder),
        "N8N_USER_FOLDER": str(folder),
        "N8N_PORT": str(port),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "NODE_ENV": "production",
        "DB_TYPE": "postgresdb",
        "DB_POSTGRESDB_POOL_SIZE": "20",
        "EXECUTIONS_DATA_SAVE_ON_SUCCESS": "all",
        "N8N_EXPRESSION_ENGINE": "legacy",  # its other one takes four times the CPU
        **{f"DB_POSTGRESDB_{name}": value for name, value in postgres.items()},
        **dict.fromkeys(off, "false"),
    }


def prepare(url: str) -> None:
    """Make an owner and the workflow, activate it, and wait until its webhook answers as it should."""
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(base_url=url, timeout=30.0, trust_env=False, headers={"browser-id": "bench"}) as client:

        def until_done(path: str, body: Any) -> Any:
            """It listens before it serves, and serves a webhook a moment after it was activated."""
            while True:
                answer = client.post(path, json=body)
                if answer.status_code == 200 and "json" in answer.headers.get("content-type", ""):
                    return answer.json()
                if time.monotonic() > deadline:
                    raise RuntimeError(f"n8n answers {path} with {answer.status_code}: {answer.text[:200]}")
                time.sleep(0.2)

        owner = {"email": "bench@example.com", "firstName": "Bench", "lastName": "Bench"}
        until_done("/rest/owner/setup", {**owner, "password": f"Aa1-{secrets.token_urlsafe(12)}"})
        made = until_done("/rest/workflows", workflow())["data"]
        until_done(f"/rest/workflows/{made['id']}/activate", {"versionId": made["versionId"]})
        found = until_done(f"/webhook/{PATH}", BEGIN)
        if found.get("i") != STEPS:
            raise RuntimeError(f"n8n's workflow answers {found}")


def workflow() -> dict[str, Any]:
    """The chain as n8n takes it."""
    hook = {
        **_node("Hook", "webhook", 2),
        "webhookId": str(uuid.uuid4()),
        "parameters": {"httpMethod": "POST", "path": PATH, "responseMode": "lastNode", "options": {}},
    }
    nodes = [hook, *(_set(at) for at in range(STEPS))]
    names = [node["name"] for node in nodes]
    edges = {
        a: {"main": [[{"node": b, "type": "main", "index": 0}]]} for a, b in itertools.pairwise(names)
    }  # fmt: skip
    settings = {"executionOrder": "v1", "saveDataSuccessExecution": "all"}
    return {"name": "bench", "nodes": nodes, "connections": edges, "settings": settings, "active": False}


def _set(at: int) -> dict[str, Any]:
    """``k<at> = i * 2`` and ``i = i + 1``; the first one takes them, and the name, out of the request's body."""
    source = "$json" if at else "$json.body"
    fields = [(f"k{at}", f"={{{{ {source}.i * 2 }}}}", "number"), ("i", f"={{{{ {source}.i + 1 }}}}", "number")]
    if not at:
        fields.append(("name", "={{ $json.body.name }}", "string"))
    named = [{"id": uuid.uuid4().hex, "name": name, "value": value, "type": kind} for name, value, kind in fields]
    parameters = {"mode": "manual", "assignments": {"assignments": named}, "includeOtherFields": at > 0, "options": {}}
    return {**_node(f"Set {at}", "set", 3.4), "parameters": parameters}


def _node(name: str, kind: str, version: float) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex, "name": name, "type": f"n8n-nodes-base.{kind}", "typeVersion": version,
        "position": [0, 0],
    }  # fmt: skip
