"""``python -m tests.fuzz``: schemathesis against a whole LinkFlow on this machine, as each role.

It reads the OpenAPI document that this LinkFlow gives, sends what the document allows and what it forbids, and checks every
answer: no 5xx, documented statuses and media types, bodies as their schema says, headers, what is forbidden is
refused. Runs, workflows and members are there, so that ids lead somewhere. A seed repeats a round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
ROLES = ("owner", "admin", "member", "viewer", "nobody")
PASSWORD = "Correct1horse"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ENDS = {"workspaces_delete", "workspaces_leave", "accounts_logout"}
"""What would end the round for all that comes after: these come last."""

CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 423, 428, 429]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 400, 401, 403, 404, 409, 412, 413, 415, 422, 423, 428, 429, 503]
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 404, 422]
"""


@contextmanager
def stack() -> Iterator[str]:
    """LinkFlow with stores of its own; its address."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        env = {**os.environ, "LINKFLOW_API_RATE_LIMIT": "0", "LINKFLOW_RATE_LIMIT": "100000"}
        for name in ("DATABASE_URL", "REDIS_URL"):
            env.pop(name, None)
        command = [str(ROOT / ".venv/bin/linkflow"), "up", "--home", home, "--port", str(port)]
        with (Path(home) / "fuzz.log").open("w") as log:
            server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
            try:
                url = f"http://127.0.0.1:{port}"
                _wait(url)
                yield url
            finally:
                server.terminate()
                server.wait(30)


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/health/ready", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError("LinkFlow did not come up.")


class Town:
    """A workspace with people of every role, a workflow and runs of it."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        self.tokens = {"nobody": ""}
        people = {role: self._register(role) for role in ROLES[:-1]}
        self.workspace = people["owner"]["workspace"]["id"]
        self.base = f"/api/v1/workspaces/{self.workspace}"
        for role in ("admin", "member", "viewer"):
            form = {"email": f"{role}@fuzz.example.com", "role": role}
            self.post("/members", form)
        document = {
            "name": "Fuzzed",
            "nodes": [{"id": "start", "type": "trigger_manual"}, {"id": "hook", "type": "trigger_webhook", "config": {"methods": list(METHODS)}},
                      {"id": "ask", "type": "approval", "config": {"title": "May I?"}}],
            "edges": [{"id": "e1", "source": "start", "target": "ask"}],
        }  # fmt: skip
        workflow = self.post("/workflows", document)["workflow"]
        run = self.post(f"/workflows/{workflow['id']}/execute", {"input": {"n": 1}})["execution"]
        self.known = {
            "workspace_id": self.workspace, "workflow_id": workflow["id"], "execution_id": run["id"],
            "webhook_id": next(one["id"] for one in workflow["triggers"] if one["type"] == "webhook"),
            "version": 1, "node_id": "ask",
        }  # fmt: skip

    def _register(self, role: str) -> dict[str, Any]:
        form = {
            "first_name": role, "last_name": "F", "email": f"{role}@fuzz.example.com", "password": PASSWORD,
            "password_confirmation": PASSWORD,
        }  # fmt: skip
        answer = self.http.post("/api/v1/auth/register", json=form)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        self.tokens[role] = found["access_token"]
        return found

    def sign_in(self, role: str) -> str:
        """A fresh token: the round may have ended the one before."""
        if role == "nobody":
            return ""
        form = {"email": f"{role}@fuzz.example.com", "password": PASSWORD}
        answer = self.http.post("/api/v1/auth/login", json=form)
        answer.raise_for_status()
        self.tokens[role] = str(answer.json()["access_token"])
        return self.tokens[role]

    def post(self, path: str, body: Any) -> Any:
        answer = self.http.post(
            self.base + path, json=body, headers={"Authorization": f"Bearer {self.tokens['owner']}"}
        )
        answer.raise_for_status()
        return answer.json()


def fuzz(url: str, town: Town, role: str, seed: int, options: argparse.Namespace, *, ends: bool) -> int:
    """One round; the exit code of schemathesis. What it says comes as a whole where another round is on beside it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        schema = httpx.get(f"{url}/openapi.json", timeout=30).json()
        (Path(folder) / "openapi.json").write_text(json.dumps(schema, ensure_ascii=False), encoding="utf-8")
        values = "".join(f'"path.{name}" = {json.dumps(value)}\n' for name, value in town.known.items())
        (Path(folder) / "schemathesis.toml").write_text(f"[parameters]\n{values}{CONFIG}", encoding="utf-8")
        command = [
            options.schemathesis, "--config-file", f"{folder}/schemathesis.toml", "run", f"{folder}/openapi.json",
            "--url", url, "--checks", "all", "--max-examples", str(options.examples), "--seed", str(seed),
            "--phases", options.phases, "--continue-on-failure", "--warnings", "off", "--no-shrink",
            "--request-timeout", "60", "--suppress-health-check", "all", "--report", "json", "--report-json-path", f"{folder}/report.json",
        ]  # fmt: skip
        for id in sorted(ENDS):
            command += ["--include-operation-id" if ends else "--exclude-operation-id", id]
        if options.only and not ends:
            command += ["--include-path-regex", options.only]
        if token := town.sign_in(role):
            command += ["-H", f"Authorization: Bearer {token}"]
        if role == "nobody":
            command += ["--exclude-checks", "ignored_auth"]
        print(f"== as {role}{', what ends it' if ends else ''}", flush=True)
        if options.at_once == 1:
            return subprocess.run(command, cwd=folder, check=False).returncode
        done = subprocess.run(
            command, cwd=folder, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        print(f"== as {role}{', what ends it' if ends else ''}, at an end", done.stdout, sep="\n", flush=True)
        return done.returncode


def rounds(role: str, seed: int, options: argparse.Namespace) -> bool:
    """All rounds of a role, with a LinkFlow of its own: is everything as it should be?"""
    with stack() as url:
        town = Town(url)
        codes = [fuzz(url, town, role, seed, options, ends=ends) for ends in (False, True)]
    return codes == [0, 0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--examples", type=int, default=20, help="requests an operation, in the fuzzing phase")
    parser.add_argument("--phases", default="examples,coverage,fuzzing")
    parser.add_argument("--only", default="", help="paths that fit this expression")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--at-once", type=int, default=1, help="roles at the same time")
    parser.add_argument("--schemathesis", default=str(Path(sys.executable).parent / "schemathesis"))
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 2**31)
    print(f"seed {seed}", flush=True)
    roles = options.roles.split(",")
    with ThreadPoolExecutor(options.at_once) as threads:
        fine = list(threads.map(lambda role: rounds(role, seed, options), roles))
    failed = [role for role, well in zip(roles, fine, strict=True) if not well]
    print("failed: " + ", ".join(failed) if failed else "0 failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
