"""Workflows as files: export, import, and what would be said of a document."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from linkflow.services.archives import pack
from tests.integration.control.plane import PASSWORD, Plane, check_problem, document, hook_document
from tests.integration.control.test_http_shelf import Desk


async def _desk(plane: Plane) -> Desk:
    return Desk(plane, await plane.somebody())


def _calls(workflow_id: str, **more: Any) -> dict[str, Any]:
    nodes = [
        {"id": "start", "type": "trigger_manual"},
        {"id": "call", "type": "sub_workflow", "config": {"workflow_id": workflow_id}},
    ]
    return {"name": "Parent", "nodes": nodes, "edges": [{"id": "e", "source": "start", "target": "call"}], **more}


async def test_what_is_exported_comes_in_again_with_its_links(plane: Plane):
    desk, other = await _desk(plane), await _desk(plane)
    key = {"name": "Shop key", "type": "http_bearer", "data": {"token": PASSWORD}}
    secret = (await desk.ask("POST", "/credentials", key, 201))["credential"]["id"]
    http = {"id": "get", "type": "http", "config": {"url": "https://a.example"}, "credentials": {"default": secret}}
    child_doc = document(name="Child")
    child_doc["nodes"].append(http)
    child_doc["edges"].append({"id": "e2", "source": "log", "target": "get"})
    child = (await plane.workflow(desk.who, **child_doc))["id"]
    parent = (await plane.workflow(desk.who, **_calls(child, settings={"error_workflow": child})))["id"]
    await desk.ask("PUT", f"/workflows/{child}/tags", {"tags": ["Shop"]})
    one = await desk.ask("GET", f"/workflows/{child}/export")
    assert one["workflow"]["nodes"][2]["credentials"] == {"default": "Shop key"}
    assert (one["version"], one["metadata"]["tags"], one["metadata"]["workflow_version"]) == ("1.0", ["Shop"], 1)
    bundle = await desk.ask("POST", "/workflows/export-bulk", {"ids": [parent, child]})
    assert PASSWORD not in json.dumps(bundle)
    dry = await other.ask("POST", "/workflows/import?dry_run=true", bundle, 200)
    assert [(one["status"], one["workflow_id"]) for one in dry["results"]] == [("created", None)] * 2
    assert await other.names("") == []
    done = await other.ask("POST", "/workflows/import", bundle, 201)
    new_parent, new_child = (one["workflow_id"] for one in done["results"])
    assert [one["code"] for one in done["results"][1]["problems"]] == ["unknown_credential"]
    shown = (await other.ask("GET", f"/workflows/{new_parent}"))["workflow"]
    assert shown["nodes"][1]["config"]["workflow_id"] == new_child
    assert shown["settings"]["error_workflow"] == new_child
    assert await other.names("tag=shop") == ["Child"]
    again = await desk.ask("POST", "/workflows/import?on_conflict=skip", bundle, 201)
    assert [(one["status"], one["workflow_id"]) for one in again["results"]] == [
        ("skipped", parent),
        ("skipped", child),
    ]
    same = await desk.ask("POST", "/workflows/import?on_conflict=replace", bundle, 201)
    assert {one["status"] for one in same["results"]} == {"unchanged"}
    bundle["workflows"][1]["workflow"]["description"] = "New"
    changed = await desk.ask("POST", "/workflows/import?on_conflict=replace", bundle, 201)
    assert [(one["status"], one["version"]) for one in changed["results"]] == [("unchanged", 1), ("updated", 2)]


async def test_each_document_is_for_itself(plane: Plane):
    desk = await _desk(plane)
    lost = "01900000-0000-7000-8000-000000000001"
    broken = {"id": lost, **document(name="Broken")}
    broken["nodes"].append({"id": "x", "type": "no_such_type"})
    needs = document(name="Needs it", settings={"error_workflow": lost})
    needs_that = document(name="Needs that", settings={"error_workflow": "01900000-0000-7000-8000-000000000002"})
    needs["id"] = "01900000-0000-7000-8000-000000000002"
    given = [document(name="Fine"), broken, needs, needs_that, 5, {"workflow": document(name="Wrapped")}]
    done = await desk.ask("POST", "/workflows/import", given, 207)
    told = [(one["source"], one["status"], {p["code"] for p in one["problems"]}) for one in done["results"]]
    assert told == [
        ("/0", "created", set()),
        ("/1", "failed", {"unknown_type", "unreachable"}),
        ("/2", "failed", {"unknown_workflow"}),
        ("/3", "failed", {"unknown_workflow"}),
        ("/4", "failed", {"invalid_type"}),
        ("/5", "created", set()),
    ]
    assert (done["created"], done["failed"]) == (2, 4)
    lines = (await desk.ask("GET", "/audit?action=exchange.import_"))["data"]
    made = {one["workflow_id"] for one in done["results"] if one["workflow_id"]}
    assert made < {line["target"]["id"] for line in lines}
    assert await desk.names("sort=name") == ["Fine", "Wrapped"]
    alone = await desk.ask("POST", "/workflows/import", broken, 422)
    assert "/nodes/2/type" in {fault["pointer"] for fault in alone["errors"]}
    await desk.ask("POST", "/workflows/import", [], 422)
    await desk.ask("POST", "/workflows/import", [{}] * 501, 413)
    await desk.ask("POST", "/workflows/import?folder_id=x", document(), 422)


async def test_archives_and_forms(plane: Plane):
    desk = await _desk(plane)
    for name in ("A b", "a B", "ü"):
        await desk.flow(name)
    url = f"{desk.who.base}/workflows"
    packed = await plane.client.post(f"{url}/export-bulk", json={"format": "zip"}, headers=desk.who.auth)
    assert packed.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(packed.content)).namelist()
    assert sorted(names) == ["A-b-2.json", "a-B.json", "ü.json"]
    other = await _desk(plane)
    theirs = f"{other.who.base}/workflows/import"
    zipped = {**other.who.auth, "Content-Type": "application/zip"}
    taken = await plane.client.post(theirs, content=packed.content, headers=zipped)
    assert (taken.status_code, taken.json()["created"]) == (201, 3)
    mixed = pack([("one", json.dumps(document(name="One")).encode()), ("two", b"{")])
    taken = await plane.client.post(theirs, files={"file": ("w.zip", mixed)}, headers=other.who.auth)
    assert taken.status_code == 207, taken.text
    found = {one["source"]: one["status"] for one in taken.json()["results"]}
    assert found == {"one.json": "created", "two.json": "failed"}
    for body in (
        b"PK\x03\x04rest",
        b"{",
        packed.content[:200],
        packed.content[:60] + b"\xff" * 60 + packed.content[120:],
    ):
        check_problem(await plane.client.post(theirs, content=body, headers=zipped), 422)
    check_problem(await plane.client.post(theirs, files={"file": ("w.json", b"{")}, headers=other.who.auth), 400)
    check_problem(
        await plane.client.post(theirs, data={"a": "b"}, headers={**zipped, "Content-Type": "text/plain"}), 415
    )
    ghost = await desk.ask("POST", "/workflows/export-bulk", {"ids": ["none"]}, 207)
    assert (ghost["workflows"], ghost["errors"][0]["pointer"]) == ([], "/ids/0")
    foreign = (await desk.ask("GET", "/workflows"))["data"][0]["id"]
    await other.ask("GET", f"/workflows/{foreign}/export", status=404)
    assert (await other.ask("POST", "/workflows/export-bulk", {"ids": [foreign]}, 207))["workflows"] == []
    with zipfile.ZipFile(bomb := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b" " * (65 * 1024 * 1024))
    check_problem(await plane.client.post(theirs, content=bomb.getvalue(), headers=zipped), 413)


async def test_the_example_of_all_nodes_comes_in_unchanged(plane: Plane):
    desk = await _desk(plane)
    example = json.loads((Path(__file__).parents[2] / "data" / "all-nodes-template.json").read_text())
    done = await desk.ask("POST", "/workflows/import", example, 201)
    assert [one["status"] for one in done["results"]] == ["created"]


async def test_secrets_of_webhooks_stay_where_they_are(plane: Plane):
    desk, other = await _desk(plane), await _desk(plane)
    hook = hook_document(auth={"type": "hmac", "preset": "github", "secret": PASSWORD})
    assert (await desk.ask("POST", "/workflows/validate", hook))["problems"] == []
    await desk.ask("POST", "/workflows/import?dry_run=true", hook)
    assert (await desk.ask("GET", "/credentials"))["data"] == []
    flow = (await desk.ask("POST", "/workflows/import", hook, 201))["results"][0]["workflow_id"]
    (kept,) = (await desk.ask("GET", "/credentials"))["data"]
    file = await desk.ask("GET", f"/workflows/{flow}/export")
    assert file["workflow"]["nodes"][0]["config"]["auth"]["credential"] == kept["name"]
    assert PASSWORD not in json.dumps(file)
    taken = (await other.ask("POST", "/workflows/import", file, 201))["results"][0]
    assert [one["code"] for one in taken["problems"]] == ["unknown_credential"]


async def test_everything_wrong_is_said_at_once_and_nothing_is_saved(plane: Plane):
    desk = await _desk(plane)
    fine = await desk.ask("POST", "/workflows/validate", document())
    assert fine == {"valid": True, "errors": 0, "warnings": 0, "problems": []}
    bad = document(settings={"error_workflow": "nowhere"})
    bad["nodes"] += [
        {"id": "x", "type": "no_such_type"},
        {"id": "get", "type": "http", "config": {}, "credentials": {"default": "Nobody's"}},
        {"id": "lone", "type": "noop"},
    ]
    bad["edges"].append({"id": "e2", "source": "log", "target": "gone"})
    found = await desk.ask("POST", "/workflows/validate", bad)
    told = {(one["pointer"], one["code"], one["severity"]) for one in found["problems"]}
    assert not found["valid"]
    assert {
        ("/nodes/2/type", "unknown_type", "error"), ("/nodes/4", "unreachable", "warning"),
        ("/settings/error_workflow", "unknown_workflow", "error"),
        ("/nodes/3/credentials/default", "unknown_credential", "warning"),
    } <= told  # fmt: skip
    await desk.ask("PUT", "/policy", {"denied_nodes": ["output_*"]})
    found = await desk.ask("POST", "/workflows/validate", document())
    assert [one["code"] for one in found["problems"]] == ["policy_node_type"]
    assert await desk.names("") == []
