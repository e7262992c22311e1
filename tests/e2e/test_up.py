"""`linkflow up` beside others on a machine: it answers its probes as every service of a deployment does."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.documents import node, workflow
from tests.e2e.person import Person
from tests.e2e.topologies import free_ports, in_process


def test_one_process_has_probes_and_numbers(database_url: str, redis_url: str, tmp_path: Path) -> None:
    probes = f"127.0.0.1:{free_ports(1)[0]}"
    with in_process(database_url, redis_url, tmp_path, probes=probes) as running:
        person = Person(running.url)
        person.run(workflow(node("out", "noop"))).check()
        person.close()
        for path in ("live", "ready"):
            answer = httpx.get(f"http://{probes}/health/{path}", trust_env=False)
            assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        numbers = httpx.get(f"http://{probes}/metrics", trust_env=False).text
        assert 'linkflow_events_total{type="ExecutionCompleted"}' in numbers
        assert "linkflow_http_seconds_count" in numbers
