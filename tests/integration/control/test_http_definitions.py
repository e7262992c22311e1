"""The malformed definitions over HTTP: refused with every path and code at once, and nothing is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.control.plane import Plane, check_problem

FILES = sorted((Path(__file__).parents[2] / "data" / "malformed").glob("*.json"))
CASES: dict[str, Any] = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}
DOOR = ("not_an_object", "numbers_that_cannot_be_stored", "text_that_is_no_text")
"""What is no JSON object, or holds what JSON or the store cannot: refused by the door, before it is read."""


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


@pytest.mark.parametrize("name", CASES)
async def test_a_malformed_definition_is_refused(plane: Plane, name: str):
    ada, case = await plane.person(f"{name}@example.com"), CASES[name]
    headers = {**ada.auth, "Content-Type": "application/json"}
    response = await plane.client.post(f"{ada.base}/workflows", content=json.dumps(case["document"]), headers=headers)
    problem = check_problem(response, response.status_code)
    assert 400 <= response.status_code < 500
    if name not in DOOR:
        assert response.status_code == 422
        told = {(error["pointer"], error["code"]) for error in problem["errors"]}
        assert {(item["path"], item["code"]) for item in case["expected"]} <= told
    listed = (await plane.client.get(f"{ada.base}/workflows", headers=ada.auth)).json()
    assert listed["data"] == []
