"""Templates over the API. That each works is for tests/e2e/test_templates.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linkflow.cli.template_page import page
from linkflow.services.gallery import templates
from tests.integration.control.plane import Plane
from tests.integration.control.test_http_shelf import Desk


async def test_the_gallery_is_looked_at_and_used(plane: Plane):
    desk = Desk(plane, await plane.somebody())

    async def look(tail: str, status: int = 200) -> dict[str, Any]:
        response = await plane.client.get(f"/api/v1/templates{tail}", headers=desk.who.auth)
        assert response.status_code == status, response.text
        found: dict[str, Any] = response.json()
        return found

    assert len((await look(""))["data"]) == len(templates()) >= 10
    await look("/categories")
    for one in templates():
        assert (await look(f"/{one.slug}"))["template"]["name"] == one.name
        taken = (await desk.ask("POST", f"/templates/{one.slug}/use", {}, 201))["workflow"]
        assert taken["name"] == one.name
    await look("/none", 404)
    made = (await desk.ask("POST", "/templates/webhook-to-slack/use", {"name": "Mine"}, 201))["workflow"]
    assert (made["name"], made["is_active"]) == ("Mine", False)
    assert [warning["code"] for warning in made["warnings"]] == ["unknown_credential"]
    await desk.ask("PUT", "/policy", {"denied_nodes": ["action_slack"]})
    refused = await desk.ask("POST", "/templates/webhook-to-slack/use", {}, 422)
    assert refused["code"] == "policy_violation"


def test_the_page_about_templates_is_that_of_now():
    stored = (Path(__file__).parents[3] / "docs" / "templates.md").read_text(encoding="utf-8")
    assert stored == page(), "linkflow template docs"
