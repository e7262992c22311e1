"""compose.yaml's six services with its own commands, each in a network of its own: they do the main job, answer their
probes, and none of them is missed for long."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import fresh_database
from tests.e2e.conftest import emptied
from tests.e2e.containers import Containers, compose, image, served
from tests.e2e.documents import http, node, workflow
from tests.e2e.losing import Load, lose_each, table
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound

SIX = ("api", "frontend", "history", "matching", "worker", "timer")


@pytest.fixture(scope="module")
def containers(postgres, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    redis_url = emptied(valkey.url, "containers")
    with (
        fresh_database(postgres.url) as database_url,
        Containers(tmp_path_factory.mktemp("containers"), database_url, redis_url) as made,
    ):
        yield made
        assert_sound(database_url)


def test_the_file_has_the_six_and_each_its_own_certificate() -> None:
    found = served(compose())
    assert set(found) == set(SIX)
    for name, service in found.items():
        assert service["command"] == ["serve", name]
        assert [v["volume"]["subpath"] for v in service["volumes"] if v["source"] == "certs"] == [name]
        assert ("keys" in {v["source"] for v in service["volumes"]}) == (name in ("api", "worker")), (
            "who neither seals nor opens secrets has no key"
        )
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert image()["LINKFLOW_PROBES"] == ":9090"


def test_the_main_job(containers: Containers) -> None:
    person = Person(containers.url)
    containers.web.place("/flaky", {"fine": True}, statuses=[503, 503])
    retry = {"max_attempts": 5, "initial_interval": 0.1}
    flaky = http("flaky", containers.web.url("/flaky"), retry=retry)
    approve = node("boss", "action_approval", {"title": "Shall we?"})
    hook = node("in", "trigger_webhook", {"path": "job", "method": "POST"})
    answer = person.knock(person.hook(workflow(hook, flaky, node("rest", "delay", {"milliseconds": 300}), approve)), {})
    assert answer.status_code == 202
    run = answer.json()["execution_id"]
    person.wait_event(run, "ApprovalRequested")
    (asked,) = person.get(f"{person.base}/approvals")["data"]
    person.post(f"{person.base}/approvals/{asked['id']}/decision", {"decision": "approved"})
    assert person.end(run).check().nodes["flaky"]["attempt"] == 3


def test_probes_say_who_is_ready(containers: Containers) -> None:
    for name in SIX:
        for path in ("/health/live", "/health/ready"):
            answer = httpx.get(containers.probe(name, path), trust_env=False)
            assert (answer.status_code, answer.json()["status"]) == (200, "ok"), name
    assert httpx.get(containers.probe("api", "/elsewhere"), trust_env=False).status_code == 404


def test_numbers_of_what_was_done(containers: Containers) -> None:
    def numbers(name: str) -> dict[str, float]:
        text = httpx.get(containers.probe(name, "/metrics"), trust_env=False).text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {key: float(value) for key, _, value in lines}

    history, worker, matching = numbers("history"), numbers("worker"), numbers("matching")
    assert history['linkflow_events_total{type="ExecutionCompleted"}'] >= 1
    assert history["linkflow_commit_seconds_count"] >= 1
    assert worker['linkflow_node_seconds_count{outcome="failed",type="action_http_request"}'] >= 2
    assert worker['linkflow_task_wait_seconds_count{queue="default"}'] >= 3
    assert matching['linkflow_queue_oldest_age_seconds{queue="default"}'] == 0
    assert matching['linkflow_rpc_seconds_count{method="claim",service="matching"}'] >= 1
    assert numbers("timer")["linkflow_timer_lag_seconds_count"] >= 1
    hooks = 'linkflow_http_requests_total{method="POST",route="/webhooks/{webhook_id}",status="202"}'
    assert numbers("api")[hooks] >= 1


def test_a_trace_follows_a_run_through_every_service(containers: Containers) -> None:
    person = Person(containers.url)
    containers.web.place("/traced")
    call, rest = http("call", containers.web.url("/traced")), node("rest", "delay", {"milliseconds": 100})
    run = person.run(workflow(call, rest)).check().id
    found: dict[str, set[str]] = {}
    until = time.monotonic() + 20
    while len(found) < len(SIX) or "execution" not in found["linkflow-history"]:
        assert time.monotonic() < until, f"spans only of {found}"
        time.sleep(0.1)
        for resource, span in containers.collector.spans():
            if span.trace_id.hex() == run.replace("-", ""):
                found.setdefault(resource["service.name"], set()).add(span.name)
    assert set(found) == {f"linkflow-{name}" for name in SIX}
    assert "POST /api/v1/workspaces/{workspace_id}/workflows/{workflow_id}/execute" in found["linkflow-api"]
    assert "frontend.run" in found["linkflow-frontend"]
    assert found["linkflow-history"] >= {"execution", "history.start", "history.complete", "history.fire"}
    assert "matching.add" in found["linkflow-matching"]
    assert found["linkflow-worker"] >= {"queue default", "node action_http_request"}
    assert "timer" in found["linkflow-timer"]


def test_services_take_no_calls_without_a_certificate(containers: Containers) -> None:
    history = containers.processes["history"]
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{history.host}:{history.port}/", trust_env=False)


def test_none_of_them_is_missed_for_long(containers: Containers) -> None:
    """Runs are started all the while, and each of the six is killed in turn; what was accepted ends as it had to."""
    lose_each(containers, Load(containers))


@pytest.mark.slow
def test_the_table(containers: Containers, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed, ended and cut off, one after another."""
    rows = table(containers)
    with capsys.disabled():
        print("\n".join(["", *rows]))
