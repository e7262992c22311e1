"""Workflows kept in order: tags, folders, locks, and finding them again."""

from __future__ import annotations

from typing import Any

from tests.integration.control.plane import Person, Plane, check_problem, document, hook_document


class Desk:
    """Somebody at work in a workspace."""

    def __init__(self, plane: Plane, who: Person) -> None:
        self.plane, self.who = plane, who

    async def ask(self, method: str, tail: str, body: Any = None, status: int = 200) -> dict[str, Any]:
        given = {} if body is None else {"json": body}
        response = await self.plane.client.request(method, f"{self.who.base}{tail}", headers=self.who.auth, **given)
        assert response.status_code == status, response.text
        if status >= 400:
            check_problem(response, status)
        found: dict[str, Any] = response.json()
        return found

    async def flow(self, name: str, **more: Any) -> str:
        return str((await self.plane.workflow(self.who, name=name, **more))["id"])

    async def names(self, query: str) -> list[str]:
        return [one["name"] for one in (await self.ask("GET", f"/workflows?{query}"))["data"]]


async def _desk(plane: Plane) -> Desk:
    return Desk(plane, await plane.somebody())


async def test_tags_are_made_hung_and_found(plane: Plane):
    desk = await _desk(plane)
    a, b = await desk.flow("A"), await desk.flow("B")
    made = (await desk.ask("POST", "/tags", {"name": "Billing", "color": "#00ff00"}, 201))["tag"]
    await desk.ask("POST", "/tags", {"name": "billing"}, 409)
    shown = (await desk.ask("PUT", f"/workflows/{a}/tags", {"tags": ["billing", "new", "NEW"]}))["workflow"]
    assert [(tag["name"], tag["color"]) for tag in shown["tags"]] == [("Billing", "#00ff00"), ("new", None)]
    await desk.ask("PUT", f"/workflows/{b}/tags", {"tags": [made["id"]]})
    assert await desk.names("tag=BILLING") == ["B", "A"]
    assert await desk.names("tag=billing&tag=new") == ["A"]
    assert await desk.names("tag=nothing") == []
    listed = (await desk.ask("GET", "/tags"))["data"]
    assert [(tag["name"], tag["workflows"]) for tag in listed] == [("Billing", 2), ("new", 1)]
    await desk.ask("PUT", f"/tags/{made['id']}", {"name": "NEW"}, 409)
    assert (await desk.ask("PUT", f"/tags/{made['id']}", {"name": "Money"}))["tag"]["name"] == "Money"
    bare = (await desk.ask("PUT", f"/tags/{made['id']}", {"color": ""}))["tag"]
    assert (bare["name"], bare["color"], bare["workflows"]) == ("Money", None, 2)
    await desk.ask("DELETE", f"/tags/{made['id']}")
    await desk.ask("DELETE", f"/tags/{made['id']}", status=404)
    assert (await desk.ask("GET", f"/workflows/{b}"))["workflow"]["tags"] == []
    unknown = await desk.ask("PUT", f"/workflows/{b}/tags", {"tags": ["new", made["id"]]}, 422)
    assert [fault["pointer"] for fault in unknown["errors"]] == ["/tags/1"]


async def test_folders_are_a_tree_and_nothing_is_lost_with_one(plane: Plane):
    desk = await _desk(plane)
    top = (await desk.ask("POST", "/folders", {"name": "Shop"}, 201))["folder"]["id"]
    inner = (await desk.ask("POST", "/folders", {"name": "Orders", "parent_id": top}, 201))["folder"]["id"]
    await desk.ask("POST", "/folders", {"name": "SHOP"}, 409)
    await desk.ask("POST", "/folders", {"name": "x", "parent_id": inner[:-1] + "z"}, 422)
    await desk.ask("PATCH", f"/folders/{top}", {"parent_id": inner}, 409)
    a, _ = await desk.flow("A"), await desk.flow("B")
    assert (await desk.ask("PUT", f"/workflows/{a}/folder", {"folder_id": inner}))["workflow"]["folder_id"] == inner
    await desk.ask("PUT", f"/workflows/{a}/folder", {"folder_id": "nowhere"}, 422)
    assert await desk.names(f"folder={top}") == []
    assert await desk.names(f"folder={top}&below=true") == ["A"]
    assert await desk.names("folder=none") == ["B"]
    tree = (await desk.ask("GET", "/folders"))["data"]
    assert [(one["path"], one["workflows"]) for one in tree] == [("Shop", 0), ("Shop/Orders", 1)]
    await desk.ask("DELETE", f"/folders/{inner}")
    assert await desk.names(f"folder={top}") == ["A"]
    await desk.ask("DELETE", f"/folders/{inner}", status=404)
    moved = (await desk.ask("PATCH", f"/folders/{top}", {"name": "Store", "parent_id": None}))["folder"]
    assert (moved["name"], moved["parent_id"]) == ("Store", None)
    await desk.ask("GET", f"/workflows?folder={inner}", status=404)
    parent = top
    for depth in range(2, 12):
        made = await desk.ask("POST", "/folders", {"name": "d", "parent_id": parent}, 201 if depth <= 10 else 409)
        parent = made.get("folder", {}).get("id", parent)


async def test_a_copy_is_where_the_original_is(plane: Plane):
    desk = await _desk(plane)
    id = await desk.flow("Invoices")
    folder = (await desk.ask("POST", "/folders", {"name": "Money"}, 201))["folder"]["id"]
    await desk.ask("PUT", f"/workflows/{id}/tags", {"tags": ["monthly", "legal"]})
    await desk.ask("PUT", f"/workflows/{id}/folder", {"folder_id": folder})
    copy = (await desk.ask("POST", f"/workflows/{id}/duplicate", {}, 201))["workflow"]
    assert copy["folder_id"] == folder
    assert sorted(tag["name"] for tag in copy["tags"]) == ["legal", "monthly"]
    await desk.ask("PUT", f"/workflows/{copy['id']}/tags", {"tags": ["legal"]})
    kept = (await desk.ask("GET", f"/workflows/{id}"))["workflow"]
    assert sorted(tag["name"] for tag in kept["tags"]) == ["legal", "monthly"]
    loose = (await desk.ask("POST", f"/workflows/{await desk.flow('Plain')}/duplicate", {}, 201))["workflow"]
    assert (loose["folder_id"], loose["tags"]) == (None, [])


async def test_search_by_words_node_types_and_order(plane: Plane):
    desk = await _desk(plane)
    await desk.flow("order-import_v2", description="Reads CSV.files of the Été shop")
    await desk.flow("Zebra orders")
    await plane.workflow(desk.who, **{**hook_document(), "name": "alpha"})
    assert await desk.names("q=ord") == ["Zebra orders", "order-import_v2"]
    assert await desk.names("q=ord imp") == ["order-import_v2"]
    assert await desk.names("q=FILES été") == ["order-import_v2"]
    assert await desk.names("q=' %26 |:* (") == ["alpha", "Zebra orders", "order-import_v2"]
    assert await desk.names("q=nothing") == []
    assert await desk.names("node_type=trigger_webhook") == ["alpha"]
    assert await desk.names("node_type=trigger_webhook&node_type=delay") == []
    assert await desk.names("active=true&sort=name") == []
    for sort, names in (("name", ["alpha", "order-import_v2", "Zebra orders"]), ("created_at", None)):
        seen, cursor = [], ""
        while True:
            page = await desk.ask("GET", f"/workflows?sort={sort}&per_page=1&cursor={cursor}")
            seen += [one["name"] for one in page["data"]]
            cursor = page["meta"]["next_cursor"]
            if not cursor:
                break
        assert seen == (names or ["order-import_v2", "Zebra orders", "alpha"])
    for cursor in ("x", "WyJhIiwiYiJd", "a" * 4000):
        await desk.ask("GET", f"/workflows?sort=name&cursor={cursor}", status=422)
    other = await _desk(plane)
    assert await other.names("q=ord") == []


async def test_a_locked_workflow_stays_as_it_is_and_runs_on(plane: Plane):
    desk = await _desk(plane)
    flow = await desk.flow("A")
    url = f"/workflows/{flow}"
    locked = (await desk.ask("POST", f"{url}/lock", {"reason": "Year end"}))["workflow"]
    assert locked["is_locked"]
    assert (locked["lock"]["locked_by"]["name"], locked["lock"]["reason"]) == ("Ada L", "Year end")
    for method, tail, body in (
        ("PUT", "", document()), ("PATCH", "", {"name": "B"}), ("DELETE", "", None), ("POST", "/activate", None),
        ("PUT", "/draft", document()), ("POST", "/publish", {}), ("POST", "/versions", {"definition": document()}),
        ("POST", "/versions/1/restore", None), ("POST", "/environments/rollback", {}), ("POST", "/lock", {}),
    ):  # fmt: skip
        refused = await desk.ask(method, url + tail, body, 423)
        assert (refused["code"], refused["reason"], refused["locked_by"]["name"]) == ("locked", "Year end", "Ada L")
    await desk.ask("POST", f"{url}/execute", {}, 201)
    await desk.ask("PUT", f"{url}/tags", {"tags": ["x"]})
    assert await desk.names("locked=true") == ["A"]
    other = await plane.somebody()
    here = await plane.services.workspaces.membership(desk.who.user_id, desk.who.workspace_id)
    await plane.services.workspaces.add_member(here, other.email, "member")
    theirs = await plane.client.post(f"{desk.who.base}{url}/unlock", headers=other.auth)
    assert "Ada L" in check_problem(theirs, 403)["detail"]
    assert not (await desk.ask("POST", f"{url}/unlock"))["workflow"]["is_locked"]
    await desk.ask("POST", f"{url}/unlock", status=409)
    await desk.ask("PATCH", url, {"name": "B"})


async def test_nothing_of_it_is_another_workspaces(plane: Plane):
    mine, theirs = await _desk(plane), await _desk(plane)
    flow, own = await mine.flow("A"), await theirs.flow("B")
    tag = (await mine.ask("POST", "/tags", {"name": "t"}, 201))["tag"]["id"]
    folder = (await mine.ask("POST", "/folders", {"name": "f"}, 201))["folder"]["id"]
    await theirs.ask("PUT", f"/workflows/{flow}/tags", {"tags": []}, 404)
    await theirs.ask("PUT", f"/workflows/{own}/tags", {"tags": [tag]}, 422)
    await theirs.ask("PUT", f"/workflows/{own}/folder", {"folder_id": folder}, 422)
    await theirs.ask("POST", "/folders", {"name": "x", "parent_id": folder}, 422)
    for method, tail, body in (
        ("PUT", f"/tags/{tag}", {"name": "x"}), ("DELETE", f"/tags/{tag}", None), ("DELETE", f"/folders/{folder}", None),
        ("PATCH", f"/folders/{folder}", {"name": "x"}), ("POST", f"/workflows/{flow}/lock", {}),
        ("POST", f"/workflows/{flow}/unlock", None), ("PUT", f"/workflows/{flow}/folder", {"folder_id": None}),
        ("GET", f"/workflows?folder={folder}", None),
    ):  # fmt: skip
        await theirs.ask(method, tail, body, 404)
    assert (await theirs.ask("GET", "/tags"))["data"] == []
    assert (await theirs.ask("GET", "/folders"))["data"] == []
