"""Drafts, versions, environments and releases: what runs where."""

from __future__ import annotations

from typing import Any

from tests.integration.control.plane import Person, Plane, check_problem, cron_document, document, hook_document


def _logs(message: str, **more: Any) -> dict[str, Any]:
    made = document(**more)
    made["nodes"][1]["config"]["message"] = message
    return made


class Desk:
    """One workflow, as its author handles it."""

    def __init__(self, plane: Plane, who: Person, workflow: dict[str, Any]) -> None:
        self.plane, self.who, self.id = plane, who, workflow["id"]
        self.url = f"{who.base}/workflows/{self.id}"

    async def ask(self, method: str, tail: str, body: Any = None, status: int = 200, **headers: str) -> dict[str, Any]:
        given = {} if body is None else {"json": body}
        url = self.url + tail if tail.startswith("/") or not tail else f"{self.who.base}/{tail}"
        response = await self.plane.client.request(method, url, headers={**self.who.auth, **headers}, **given)
        assert response.status_code == status, response.text
        if status >= 400:
            check_problem(response, status)
        found: dict[str, Any] = response.json()
        return found

    async def run(self, **more: Any) -> tuple[int, str]:
        """The version and environment that a start of now gets."""
        await self.ask("POST", "/execute", more, 201)
        return self.plane.frontend.last.workflow_version, self.plane.frontend.last.environment


async def _desk(plane: Plane, made: dict[str, Any] | None = None) -> Desk:
    ada = await plane.somebody()
    return Desk(plane, ada, await plane.workflow(ada, **(made or _logs("one"))))


async def test_a_draft_runs_nowhere_until_it_is_published(plane: Plane):
    desk = await _desk(plane)
    await desk.ask("GET", "/draft", status=404)
    saved = (await desk.ask("PUT", "/draft", _logs("two")))["draft"]
    assert (saved["revision"], saved["base_version"], saved["publishable"]) == (1, 1, True)
    shown = (await desk.ask("GET", ""))["workflow"]
    assert (shown["version"], shown["nodes"][1]["config"]["message"]) == (1, "one")
    diff = (await desk.ask("GET", "/versions/compare?from_version=current&to_version=draft"))["diff"]
    assert diff["changed"] == [
        {"id": "log", "name": "log", "changes": [{"path": "/config/message", "before": "one", "after": "two"}]}
    ]
    assert diff["text"] == ["~ node log", '    ~ config/message: "one" → "two"']
    published = (await desk.ask("POST", "/publish", {"change_summary": "Say two"}))["workflow"]
    assert (published["version"], published["nodes"][1]["config"]["message"]) == (2, "two")
    await desk.ask("GET", "/draft", status=404)
    [newest, first] = (await desk.ask("GET", "/versions"))["data"]
    assert (newest["version"], newest["summary"], newest["author"], first["version"]) == (2, "Say two", "Ada L", 1)
    assert await desk.run() == (2, "")


async def test_a_draft_may_have_problems_and_its_saves_do_not_overwrite_each_other(plane: Plane):
    desk = await _desk(plane)
    broken = _logs("two")
    broken["nodes"] += [
        {"id": "x", "type": "no_such_type"},
        {"id": "c", "type": "code", "config": {"code": "return ("}},
    ]
    saved = (await desk.ask("PUT", "/draft", broken, **{"If-Match": '"0"'}))["draft"]
    assert (saved["publishable"], {fault["code"] for fault in saved["problems"]}) == (
        False,
        {"unknown_type", "unreachable", "script_syntax"},
    )
    await desk.ask("POST", "/publish", status=422)
    await desk.ask("PUT", "/draft", _logs("three"), 412, **{"If-Match": '"0"'})
    again = (await desk.ask("PUT", "/draft", _logs("three"), **{"If-Match": '"1"'}))["draft"]
    assert (again["revision"], again["publishable"]) == (2, True)
    await desk.ask("PUT", "/draft", {"nodes": "none"}, 422)
    await desk.ask("DELETE", "/draft")
    await desk.ask("DELETE", "/draft", status=404)
    await desk.ask("POST", "/publish", status=409)


async def test_a_secret_in_a_draft_is_sealed(plane: Plane):
    desk = await _desk(plane, hook_document())
    await desk.ask("PUT", "/draft", hook_document(auth={"type": "bearer", "token": "planted-secret"}))
    async with plane.database.connection() as connection:
        [[data]] = await (await connection.execute("SELECT definition FROM workflow_drafts")).fetchall()
    assert b"planted-secret" not in data
    assert b"sha256:" in data


async def test_versions_that_run_nowhere_and_back_again(plane: Plane):
    desk = await _desk(plane)
    made = await desk.ask("POST", "/versions", {"definition": _logs("two"), "change_summary": "Try"}, 201)
    assert made["version"] == {"version": 2}
    await desk.ask("POST", "/versions", status=409)
    shown = (await desk.ask("GET", ""))["workflow"]
    assert (shown["version"], shown["last_version"], await desk.run()) == (1, 2, (1, ""))
    assert (await desk.ask("PUT", "", _logs("three")))["workflow"]["version"] == 3
    await desk.ask("POST", "/versions/2/publish", {})
    assert await desk.run() == (2, "")
    await desk.ask("POST", "/versions/2/publish", {}, 409)
    await desk.ask("POST", "/versions/9/publish", {}, 404)
    await desk.ask("PUT", "/draft", _logs("unfinished"))
    restored = (await desk.ask("POST", "/versions/1/restore"))["workflow"]
    assert (restored["version"], restored["nodes"][1]["config"]["message"]) == (5, "one")
    versions = (await desk.ask("GET", "/versions"))["data"]
    assert [v["summary"] for v in versions[:2]] == ["Version 1 restored", "Draft, kept before restoring version 1"]
    assert (await desk.ask("GET", "/versions/4"))["version"]["definition"]["nodes"][1]["config"][
        "message"
    ] == "unfinished"
    await desk.ask("GET", "/draft", status=404)


async def test_each_environment_runs_its_own_version(plane: Plane):
    desk = await _desk(plane)
    await desk.ask("POST", "/execute", {"environment": "staging"}, 422)
    made = (await desk.ask("POST", "environments", {"name": "staging", "description": "Try it"}, 201))["environment"]
    assert (made["name"], made["is_default"], made["is_active"]) == ("staging", False, True)
    await desk.ask("POST", "environments", {"name": "staging"}, 409)
    await desk.ask("POST", "environments", {"name": "production"}, 409)
    await desk.ask("POST", "environments", {"name": "Not so"}, 422)
    names = [one["name"] for one in (await desk.ask("GET", "environments"))["data"]]
    assert names == ["production", "staging"]
    await desk.ask("POST", "/execute", {"environment": "staging"}, 409)

    await desk.ask("PUT", "/draft", _logs("two"))
    await desk.ask("POST", "/publish", {"environment": "staging", "summary": "Two"})
    assert (await desk.run(), await desk.run(environment="staging")) == ((1, ""), (2, "staging"))
    assert await desk.run(environment="production") == (1, "")
    await desk.ask("POST", "/environments/promote", {"from": "staging", "to": "nowhere"}, 404)
    await desk.ask("POST", "/environments/promote", {"from": "staging", "to": "staging"}, 422)
    done = await desk.ask("POST", "/environments/promote", {"from": "staging", "to": "production", "note": "Go"}, 201)
    assert (done["environment"]["version"], done["environment"]["release"]["from"]) == (2, "staging")
    assert await desk.run() == (2, "")
    await desk.ask("POST", "/environments/promote", {"from": "staging", "to": "production"}, 409)
    back = await desk.ask("POST", "/environments/rollback", {"environment": "production"}, 201)
    assert (back["environment"]["version"], await desk.run(), await desk.run(environment="staging")) == (
        1, (1, ""), (2, "staging"),
    )  # fmt: skip
    await desk.ask("POST", "/environments/rollback", {"environment": "production"}, 409)
    ahead = await desk.ask("POST", "/environments/rollback", {"environment": "production", "release": 3}, 201)
    assert ahead["environment"]["version"] == 2
    await desk.ask("POST", "/environments/rollback", {"environment": "production", "release": 2}, 404)
    releases = (await desk.ask("GET", "/environments/releases?per_page=3"))["data"]
    assert [(r["number"], r["environment"], r["verb"], r["version"]) for r in releases] == [
        (5, "production", "rollback", 2), (4, "production", "rollback", 1), (3, "production", "promote", 2),
    ]  # fmt: skip
    [only] = (await desk.ask("GET", "/environments/releases?environment=staging"))["data"]
    assert (only["version"], only["verb"], only["note"]) == (2, "publish", "Two")
    assert [(one["environment"], one["version"]) for one in (await desk.ask("GET", "/environments"))["data"]] == [
        ("production", 2), ("staging", 2),
    ]  # fmt: skip


async def test_rolling_back_twice_goes_further_back(plane: Plane):
    desk = await _desk(plane)
    for message in ("two", "three"):
        await desk.ask("PUT", "", _logs(message))
    for version in (2, 1):
        back = await desk.ask("POST", "/environments/rollback", {}, 201)
        assert back["environment"]["version"] == version


async def test_webhooks_and_schedules_by_environment(plane: Plane):
    desk = await _desk(plane, hook_document())
    await desk.ask("POST", "environments", {"name": "staging"}, 201)
    await desk.ask("POST", "/activate")
    await desk.ask("POST", "/environments/promote", {"from": "production", "to": "staging"}, 201)
    shown = (await desk.ask("GET", ""))["workflow"]
    hooks = {hook["environment"]: hook for hook in shown["triggers"]}
    assert (hooks["production"]["is_active"], hooks["staging"]["is_active"]) == (True, False)
    assert (hooks["staging"]["node_id"], hooks["staging"]["id"] != hooks["production"]["id"]) == ("hook", True)
    check_problem(await plane.client.post(f"/webhooks/{hooks['staging']['id']}", json={}), 404)
    await desk.ask("POST", "/activate?environment=staging")
    changed = hook_document()
    changed["nodes"][1]["config"]["message"] = "changed"
    assert (await desk.ask("PUT", "", changed))["workflow"]["version"] == 2
    for environment, version in (("production", 2), ("staging", 1)):
        response = await plane.client.post(f"/webhooks/{hooks[environment]['id']}", json={})
        assert response.status_code == 202, response.text
        started = plane.frontend.last
        assert (started.workflow_version, started.trigger_node, started.actor) == (version, "hook", "webhook:hook")
        assert started.environment == ("" if environment == "production" else environment)
    await desk.ask("PATCH", "environments/staging", {"is_active": False})
    check_problem(await plane.client.post(f"/webhooks/{hooks['staging']['id']}", json={}), 404)
    await desk.ask("POST", "/execute", {"environment": "staging", "trigger_node": "hook"}, 409)
    await desk.ask("POST", "/activate?environment=staging", status=409)
    await desk.ask("PATCH", "environments/staging", {"is_active": True})
    await desk.ask("POST", "/activate?environment=staging")
    assert (await plane.client.post(f"/webhooks/{hooks['staging']['id']}", json={})).status_code == 202
    await desk.ask("DELETE", "environments/staging")
    check_problem(await plane.client.post(f"/webhooks/{hooks['staging']['id']}", json={}), 404)
    assert (await plane.client.post(f"/webhooks/{hooks['production']['id']}", json={})).status_code == 202
    await desk.ask("DELETE", "environments/production", status=409)


async def test_a_schedule_in_an_environment_is_one_of_its_own(plane: Plane):
    desk = await _desk(plane, cron_document())
    await desk.ask("POST", "environments", {"name": "dev"}, 201)
    done = await desk.ask("POST", "/environments/promote", {"from": "production", "to": "dev", "activate": True}, 201)
    assert done["environment"]["is_active"]
    crons = {one["environment"]: one for one in (await desk.ask("GET", "schedules"))["data"]}
    assert (crons["dev"]["node_id"], crons["dev"]["is_active"], crons["production"]["is_active"]) == (
        "daily",
        True,
        False,
    )
    other = cron_document("30 4 * * *")
    await desk.ask("PUT", "", other)
    crons = {one["environment"]: one for one in (await desk.ask("GET", "schedules"))["data"]}
    assert (crons["dev"]["cron"], crons["production"]["cron"]) == ("0 9 * * *", "30 4 * * *")
    for verb, form in (("PATCH", {"config": {"cron": "0 1 * * *"}}), ("DELETE", None)):
        told = await desk.ask(verb, f"schedules/{crons['dev']['id']}", form, 409)
        assert (told["code"], told["environment"], told["node_id"]) == ("released", "dev", "daily"), told
        assert f"/workflows/{told['workflow_id']}/draft" in told["detail"]
    held = await desk.ask("POST", f"schedules/{crons['dev']['id']}/pause", {})
    assert held["schedule"]["is_paused"]
    resumed = await desk.ask("POST", f"schedules/{crons['dev']['id']}/resume")
    assert (resumed["schedule"]["is_paused"], resumed["schedule"]["is_active"]) == (False, True)


async def test_environments_and_releases_of_another_workspace_are_not_there(plane: Plane):
    desk = await _desk(plane)
    await desk.ask("POST", "environments", {"name": "staging"}, 201)
    bob = await plane.somebody()
    for method, tail, body in (
        ("GET", "/draft", None), ("PUT", "/draft", _logs("x")), ("POST", "/publish", {}), ("GET", "/environments", None),
        ("POST", "/environments/promote", {"from": "production", "to": "production2"}), ("GET", "/releases", None),
        ("POST", "/versions/1/restore", None), ("GET", "/versions/compare?from_version=1", None),
    ):  # fmt: skip
        given = {} if body is None else {"json": body}
        url = f"{bob.base}/workflows/{desk.id}{tail}"
        check_problem(await plane.client.request(method, url, headers=bob.auth, **given), 404)
    check_problem(await plane.client.get(f"{bob.base}/environments/staging", headers=bob.auth), 404)
