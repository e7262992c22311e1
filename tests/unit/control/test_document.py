"""The OpenAPI document: valid, complete, and of every route. Tests of the API hold every answer against it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from linkflow.bootstrap import System
from linkflow.config import Config
from linkflow.http.app import routes
from linkflow.http.document import answers
from linkflow.http.guard import permission_of
from tests.integration.control.answers import MEND


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    config = Config(secret="0" * 32, database_url="postgresql://", redis_url="redis://127.0.0.1:1")
    return System(config).http_app().openapi()


def test_it_is_valid(spec: dict[str, Any]) -> None:
    validate(spec)
    assert spec["openapi"].startswith("3.1")


def test_it_has_every_route_with_all_there_is_to_say(spec: dict[str, Any]) -> None:
    faults = []
    for route in routes():
        for method in sorted(route.methods or ()):
            if route.include_in_schema:
                missing = lacks(spec["paths"][route.path_format][method.lower()], permission_of(route))
                faults += [f"{method} {route.path_format}: {what}" for what in missing]
    assert not faults, "\n".join([*faults, MEND])
    ids = [operation["operationId"] for path in spec["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


def lacks(operation: dict[str, Any], permission: str) -> list[str]:
    """What an operation does not say."""
    found = [f"no {name}" for name in ("summary", "description", "operationId", "tags") if not operation.get(name)]
    if operation.get("x-permission") != permission or (operation.get("security") == []) != (permission == "public"):
        found.append("not who may call it")
    bodies = [("request", kind, one) for kind, one in operation.get("requestBody", {}).get("content", {}).items()]
    done = {status: one for status, one in operation["responses"].items() if status[0] in "23" and status != "304"}
    for status, response in done.items():
        bodies += [(status, kind, one) for kind, one in response.get("content", {}).items()]
    if not done or "default" not in operation["responses"]:
        found.append("not how it answers")
    for where, kind, body in bodies:
        if "schema" not in body:
            found.append(f"no schema ({where})")
        if "example" not in body and kind == "application/json":
            found.append(f"no example ({where})")
    return found


def test_examples_are_as_their_schemas_say(spec: dict[str, Any]) -> None:
    for operation, entry in answers().items():
        for status, one in entry.items():
            if status != "request" and "example" in one:
                faults = [fault.message for fault in Draft202012Validator(one["schema"]).iter_errors(one["example"])]
                assert not faults, f"{operation} {status}: {faults}"


def test_nothing_is_said_of_routes_that_are_gone() -> None:
    there = {f"{method} {route.path_format}" for route in routes() for method in route.methods or ()}
    gone = {operation for operation in answers() if not operation.startswith("ANY ")} - there
    assert not gone, f"{gone}: make api-docs"


def test_it_can_be_read_by_line(spec: dict[str, Any]) -> None:
    execute = spec["paths"]["/api/v1/workspaces/{workspace_id}/workflows/{workflow_id}/execute"]["post"]
    assert execute["operationId"] == "workflows_execute"
    assert {one["name"] for one in execute["parameters"]} >= {"workspace_id", "workflow_id", "Idempotency-Key"}
    assert json.loads(json.dumps(spec)) == spec, "plain JSON"


def test_what_answers_in_its_own_words_may_be_refused_as_well(spec: dict[str, Any]) -> None:
    """`POST …/test` of a credential says 422 where the credential is no good, and where the body is none."""
    path = "/api/v1/workspaces/{workspace_id}/credentials/{credential_id}/test"
    content = spec["paths"][path]["post"]["responses"]["422"]["content"]
    assert set(content) == {"application/json", "application/problem+json"}
