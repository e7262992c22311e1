"""A workspace's policy, when workflows are saved and published."""

from __future__ import annotations

from typing import Any

from tests.integration.control.plane import Plane, check_problem, document


def _calls(url: str = "https://api.example.com/x", type: str = "action_http_request", **config: Any) -> dict[str, Any]:
    nodes = [{"id": "start", "type": "trigger_manual"}, {"id": "call", "type": type, "config": {"url": url, **config}}]
    return document(nodes=nodes, edges=[{"id": "e", "source": "start", "target": "call"}])


async def test_what_is_forbidden_is_neither_saved_nor_published(plane: Plane):
    ada = await plane.person()
    shown = (await plane.client.get(f"{ada.base}/policy", headers=ada.auth)).json()["policy"]
    assert (shown["allowed_nodes"], shown["max_nodes"], shown["changed_at"]) == ([], 0, None)
    made = await plane.workflow(ada, **_calls())
    rules = {"denied_hosts": ["*.example.com"], "allowed_nodes": ["output_*", "action_http_*"], "max_nodes": 2}
    put = await plane.client.put(f"{ada.base}/policy", json=rules, headers=ada.auth)
    assert put.status_code == 200, put.text
    assert put.json()["policy"]["denied_hosts"] == ["*.example.com"]
    for body, wanted in (
        (_calls(), [("/nodes/1/config/url", "policy_host")]),
        (_calls(type="action_slack", url="x"), [("/nodes/1/type", "policy_node_type")]),
        (
            {"workflow": {**_calls(), "nodes": [*_calls()["nodes"], {"id": "l", "type": "output_log"}]}},
            [("/workflow/nodes", "policy_max_nodes"), ("/workflow/nodes/1/config/url", "policy_host")],
        ),
    ):
        response = await plane.client.post(f"{ada.base}/workflows", json=body, headers=ada.auth)
        if body.get("nodes", [{}, {}])[1].get("type") == "action_slack":  # which is wrong in another way as well
            found = check_problem(response, 422, "invalid_definition")["errors"]
            assert wanted[0] in [(one["pointer"], one["code"]) for one in found]
            continue
        problem = check_problem(response, 422, "policy_violation")
        assert [(one["pointer"], one["code"]) for one in problem["violations"]] == wanted
        assert [(one["pointer"], one["code"]) for one in problem["errors"]] == wanted
    url = f"{ada.base}/workflows/{made['id']}"
    check_problem(await plane.client.put(url, json=_calls(), headers=ada.auth), 422, "policy_violation")
    await plane.client.post(f"{ada.base}/environments", json={"name": "dev"}, headers=ada.auth)
    promoted = await plane.client.post(
        f"{url}/environments/promote", json={"from": "production", "to": "dev"}, headers=ada.auth
    )
    check_problem(promoted, 422, "policy_violation")
    assert (await plane.workflow(ada, **_calls("https://api.example.org/x")))["version"] == 1
    assert (await plane.client.put(url, json=document(), headers=ada.auth)).status_code == 200


async def test_models(plane: Plane):
    ada = await plane.person()
    rules = {"allowed_models": ["anthropic/*", "gpt-4o*"], "denied_models": ["gpt-4o-realtime"]}
    await plane.client.put(f"{ada.base}/policy", json=rules, headers=ada.auth)
    for provider, model, status in (
        ("openai", "gpt-4o-mini", 201), ("openai", "gpt-4o-realtime", 422), ("anthropic", "claude-x", 201),
        ("openai", "other", 422), ("openai", "{{ trigger.model }}", 201),
    ):  # fmt: skip
        body = _calls(type="action_ai", prompt="Hi", model=model, provider=provider)
        del body["nodes"][1]["config"]["url"]
        response = await plane.client.post(f"{ada.base}/workflows", json=body, headers=ada.auth)
        assert response.status_code == status, response.text


async def test_a_policy_that_cannot_be_says_all_that_is_wrong(plane: Plane):
    ada = await plane.person()
    rules = {
        "denied_hosts": ["ok.example", "not a host!"], "denied_nodes": [""], "max_nodes": -1, "max_cost_per_run": 1e12
    }  # fmt: skip
    problem = check_problem(await plane.client.put(f"{ada.base}/policy", json=rules, headers=ada.auth), 422)
    assert {one["pointer"] for one in problem["errors"]} == {
        "/denied_hosts/1", "/denied_nodes/0", "/max_nodes", "/max_cost_per_run"
    }  # fmt: skip
    check_problem(await plane.client.put(f"{ada.base}/policy", json={"max_node": 3}, headers=ada.auth), 422)
    assert (await plane.client.get(f"{ada.base}/policy", headers=ada.auth)).json()["policy"]["max_nodes"] == 0
