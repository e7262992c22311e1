"""The control plane's routes under load: by ``wrk`` where it is installed, else by our own generator (which says so)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx

from . import workflows
from .lab import Lab
from .report import combine
from .sizes import Figures, Size

_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_SCRIPT = """wrk.method = "{method}"
wrk.body = {body}
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {token}"
"""


def api_list(lab: Lab, size: Size) -> Figures:
    """A page of twenty runs."""
    _some_runs(lab)
    return _measured(lab, size, "GET", f"{lab.api.base}/executions?per_page=20", 200, '"next_cursor"')


def api_show(lab: Lab, size: Size) -> Figures:
    """One run, with its nodes."""
    id = _some_runs(lab)
    return _measured(lab, size, "GET", f"{lab.api.base}/executions/{id}", 200, id)


def api_execute(lab: Lab, size: Size) -> Figures:
    """Starting a run; that it is run all the same is part of the load."""
    workflow = lab.save({**workflows.chain_pure(), "name": "bench api-execute"})
    path = f"{lab.api.base}/workflows/{workflow['id']}/execute"
    return _measured(lab, size, "POST", path, 201, '"id"', json.dumps({"input": {"i": 0, "name": "order-42"}}))


def _some_runs(lab: Lab) -> str:
    """Stored runs to look at; the id of one."""
    workflow = lab.save({**workflows.chain_pure(), "name": "bench api"})
    path = f"{lab.api.base}/workflows/{workflow['id']}/execute?wait=10"
    return [str(lab.api.post(path, {"input": {"i": 0, "name": "x"}})["execution"]["id"]) for _ in range(30)][-1]


def _token(lab: Lab) -> str:
    who = {"email": lab.api.account.email, "password": lab.api.account.password}
    answer = httpx.post(f"http://127.0.0.1:{lab.http}/api/v1/auth/login", json=who, trust_env=False)
    return str(answer.raise_for_status().json()["access_token"])


def _measured(lab: Lab, size: Size, method: str, path: str, status: int, contains: str, body: str = "") -> Figures:
    token = _token(lab)
    wrk = shutil.which("wrk")

    def once(seconds: float) -> dict[str, Any]:
        if wrk:
            return _wrk(lab, wrk, size.in_flight, seconds, method, path, token, body)
        return lab.load(
            "hooks", port=lab.http, path=path, body=body, status=status, contains=contains, method=method, token=token,
            in_flight=size.in_flight, seconds=seconds,
        )  # fmt: skip

    once(size.warm_up)
    figures = combine([once(size.seconds) for _ in range(size.runs)], "requests/s")
    figures["by"] = "wrk" if wrk else "our generator"
    return figures


def _wrk(
    lab: Lab, wrk: str, in_flight: int, seconds: float, method: str, path: str, token: str, body: str
) -> dict[str, Any]:
    text = _SCRIPT.format(method=method, body=json.dumps(body) if body else "nil", token=token)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "ask.lua"
        script.write_text(text, encoding="utf-8")
        before = lab.meter.read()
        command = [wrk, "-t1", f"-c{in_flight}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(script)]
        said = subprocess.run(
            [*command, f"http://127.0.0.1:{lab.http}{path}"], capture_output=True, text=True, check=True
        ).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    failed = re.search(r"Socket errors: (.+)", said)
    return {
        "rate": float(_found(r"Requests/sec:\s+([\d.]+)", said)[0]),
        "p50_ms": _ms(_found(r"50%\s+([\d.]+)(us|ms|s|m)", said)),
        "p99_ms": _ms(_found(r"99%\s+([\d.]+)(us|ms|s|m)", said)),
        "cpu": lab.meter.since(before),
        "problems": {**({"refused": int(bad[1])} if bad else {}), **({failed[1]: 1} if failed else {})},
    }


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk did not say {pattern}:\n{text}")
    return match.groups()


def _ms(found: tuple[str, ...]) -> float:
    return float(found[0]) * _MS[found[1]]
