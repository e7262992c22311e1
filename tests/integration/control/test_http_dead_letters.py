"""Dead letters over HTTP: one's own, and nobody else's."""

from __future__ import annotations

from linkflow.contracts.history import Task
from linkflow.contracts.matching import DeadLetter
from linkflow.domain.ids import uuid7
from tests.integration.control.plane import Person, Plane, check_problem

AT = 1_764_000_000_000


def _letter(plane: Plane, who: Person, number: int, reason: str = "Delivered 10 times.") -> DeadLetter:
    task = Task(uuid7(AT, 0, number), who.workspace_id, "wf", 3, "loop/1", 2, queue="gpu", scheduled_at=AT)
    letter = DeadLetter(task, 10, reason, AT + number, f"letter-{number}")
    plane.frontend.dead_letters.append(letter)
    return letter


async def test_list_and_show(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    for number in range(3):
        _letter(plane, ada, number)
    foreign = _letter(plane, bob, 5)
    url = f"{ada.base}/dead-letters"
    first = (await plane.client.get(f"{url}?per_page=2", headers=ada.auth)).json()
    assert [letter["id"] for letter in first["data"]] == ["letter-2", "letter-1"]
    rest = (await plane.client.get(f"{url}?cursor={first['meta']['next_cursor']}", headers=ada.auth)).json()
    assert ([letter["id"] for letter in rest["data"]], rest["meta"]["next_cursor"]) == (["letter-0"], None)
    shown = (await plane.client.get(f"{url}/letter-0", headers=ada.auth)).json()["dead_letter"]
    assert (shown["execution_id"], shown["node"], shown["attempt"]) == (uuid7(AT, 0, 0), "loop/1", 2)
    assert (shown["queue"], shown["deliveries"], shown["reason"]) == ("gpu", 10, "Delivered 10 times.")
    assert shown["died_at"] == "2025-11-24T16:00:00.000Z"
    run = f"{ada.base}/executions/{shown['execution_id']}"
    assert shown["links"] == {"execution": run, "history": f"{run}/history"}
    for id in (foreign.id, "nonsense"):
        check_problem(await plane.client.get(f"{url}/{id}", headers=ada.auth), 404, "not_found")


async def test_redrive(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    letter, stuck = _letter(plane, ada, 0), _letter(plane, ada, 1, "refuse")
    foreign = _letter(plane, bob, 5)
    url = f"{ada.base}/dead-letters"
    done = (await plane.client.post(f"{url}/{letter.id}/redrive", headers=ada.auth)).json()
    assert done["execution"] == {"id": letter.task.execution_id, "status": "running"}
    assert plane.frontend.last.actor == f"user:{ada.user_id}"
    check_problem(await plane.client.post(f"{url}/{letter.id}/redrive", headers=ada.auth), 404)
    check_problem(await plane.client.post(f"{url}/{stuck.id}/redrive", headers=ada.auth), 409, "conflict")
    check_problem(await plane.client.post(f"{url}/{foreign.id}/redrive", headers=ada.auth), 404)
    assert plane.frontend.dead_letters == [stuck, foreign]


async def test_drop_and_purge(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    for number in range(4):
        _letter(plane, ada, number)
    foreign = _letter(plane, bob, 5)
    url = f"{ada.base}/dead-letters"
    assert (await plane.client.delete(f"{url}/letter-1", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.delete(f"{url}/letter-1", headers=ada.auth), 404)
    check_problem(await plane.client.delete(f"{url}/{foreign.id}", headers=ada.auth), 404)
    assert (await plane.client.post(f"{url}/purge", headers=ada.auth)).json()["dropped"] == 3
    assert plane.frontend.dead_letters == [foreign]


async def test_filters_and_many_at_once(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    for number in range(3):
        _letter(plane, ada, number)
    _letter(plane, ada, 3, "Its worker fell.")
    _letter(plane, bob, 5)
    url = f"{ada.base}/dead-letters"

    async def ids(query: str) -> list[str]:
        answer = await plane.client.get(f"{url}?{query}", headers=ada.auth)
        return [letter["id"] for letter in answer.json()["data"]]

    assert await ids("text=WORKER") == ["letter-3"]
    assert await ids("queue=gpu&node=loop/1&text=10") == ["letter-0", "letter-1", "letter-2"]
    assert await ids("queue=default") == await ids("workflow_id=other") == []
    assert await ids("died_after=2025-11-24T16:00:00.002Z") == ["letter-2", "letter-3"]
    assert await ids(f"died_before=2025-11-24T16:00:00.001Z&execution_id={uuid7(AT, 0, 0)}") == ["letter-0"]

    form = {"text": "10 times", "limit": 2}
    counted = await plane.client.post(f"{url}/redrive", json={**form, "dry_run": True}, headers=ada.auth)
    assert (counted.status_code, counted.json()["total"], counted.json()["more"]) == (200, 2, True)
    begun = await plane.client.post(f"{url}/redrive", json=form, headers=ada.auth)
    assert begun.status_code == 202
    asked = next(request for _, request in reversed(plane.frontend.calls) if hasattr(request, "verb"))
    assert (asked.verb, asked.filter.ids) == ("redrive", tuple(uuid7(AT, 0, number) for number in range(2)))
    bulk = begun.json()["bulk"]
    assert begun.headers["location"] == f"{ada.base}/executions/bulk/{bulk['id']}"
    assert (await plane.client.post(f"{url}/redrive", json={"queue": "x"}, headers=ada.auth)).json()["total"] == 0
    check_problem(await plane.client.post(f"{url}/redrive", json={"limit": 0}, headers=ada.auth), 422)

    purged = await plane.client.post(f"{url}/purge", json={"text": "fell"}, headers=ada.auth)
    assert purged.json()["dropped"] == 1
    assert await ids("") == ["letter-2", "letter-1", "letter-0"]
