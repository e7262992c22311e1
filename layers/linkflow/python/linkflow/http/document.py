"""The OpenAPI document: what FastAPI knows of the routes, what all of them do (`defaults`), and what they answer.

Answers are data, ``answers/MODULE.json``: schemas and examples taken from real answers by ``make api-docs``. Tests hold
every answer against them, so neither can change without the other.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from .app import routes
from .guard import PUBLIC, permission_of
from .problems import MEDIA_TYPE, SCHEMA

Json = dict[str, Any]

PATH_WORDS = {
    "workspace_id": "The workspace.", "workflow_id": "The workflow.", "execution_id": "The run.",
    "webhook_id": "The webhook: the last part of its address.", "user_id": "The user.",
}  # fmt: skip
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_HEADER = {"type": "string"}
_SUCCESS = {
    "200": "Done", "201": "Created", "202": "Accepted", "204": "Done, and nothing to say", "207": "Some of it done",
    "302": "Go on there", "303": "Go on there", "304": "Not changed", "307": "Go on there",
}  # fmt: skip
_LIMITS = {
    "RateLimit-Policy": "What there is: quota `q` in `w` seconds.",
    "RateLimit": "What is left (`r`), and in how many seconds all is there again (`t`).",
}

PROBLEM: Json = {
    "description": "A problem (RFC 9457): `code` says which, `errors` where.",
    "content": {
        MEDIA_TYPE: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "type": "urn:linkflow:problem:invalid_input",
                "title": "Invalid input",
                "status": 422,
                "detail": "The request has 1 problem(s).",
                "code": "invalid_input",
                "instance": "/api/v1/workspaces/0198f2a0-7c3e-7aaa-9d41-5f0c2b7c9e11/members",
                "request_id": "0198f2a07c3e7aaa",
                "errors": [{"pointer": "/email", "code": "missing", "detail": "Field required"}],
            },
        }
    },
}


@cache
def answers() -> Json:
    """By ``METHOD /path``: ``request``, an example, and by status ``schema`` and ``example``."""
    found: Json = {}
    for file in files("linkflow.http").joinpath("answers").iterdir():
        found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def answer_of(method: str, path: str) -> Json:
    """What an operation answers: told for it, or for all below the first name of its path."""
    found: Json = answers().get(f"{method} {path}") or answers().get(f"ANY /{path.split('/')[1]}", {})
    return found


def module_of(route: APIRoute) -> str:
    """The module that the route is in, by its last name."""
    return str(route.endpoint.__module__.rpartition(".")[2])


def document(app: FastAPI, version: str, public_url: str) -> Json:
    """OpenAPI 3.1."""
    made = get_openapi(
        title="LinkFlow",
        version=version,
        summary="Durable workflow automation.",
        description="Conventions of all calls (errors, keys, conditions, pages, rates) are in docs/api.md.",
        routes=list(routes()),
        servers=[{"url": public_url}],
    )
    by_path = {(route.path_format, method): route for route in routes() for method in route.methods or ()}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            route = by_path[path, method.upper()]
            _complete(operation, route, method.upper(), path)
    parts = made.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = SCHEMA
    parts["responses"] = {"Problem": PROBLEM}
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    return made


def operation_id(route: APIRoute, method: str) -> str:
    """``workflows_execute``: the module that the route is in, and its function."""
    name = f"{module_of(route)}_{route.endpoint.__name__}"
    if sum(one.endpoint is route.endpoint for one in routes() if one.include_in_schema) > 1:
        return f"{name}_{method.lower()}{'_path' if ':path}' in route.path else ''}"  # one for several addresses
    return name


def _complete(operation: Json, route: APIRoute, method: str, path: str) -> None:
    operation["operationId"] = operation_id(route, method)
    operation["summary"] = (route.endpoint.__doc__ or route.name).strip().partition(".")[0].replace("\n", " ")
    known = answer_of(method, path)
    named = {(one["in"], one["name"]) for one in operation.setdefault("parameters", [])}
    for name in _PARAMETER.findall(path):
        if ("path", name) not in named:
            operation["parameters"].insert(
                0, {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            )
    for parameter in operation["parameters"]:
        if parameter["in"] == "path" and parameter["name"] in PATH_WORDS:
            parameter.setdefault("description", PATH_WORDS[parameter["name"]])
    public = permission_of(route) == PUBLIC
    if not public:
        operation["parameters"] += _conditions(method)
    if public and "ANY /" + path.split("/")[1] in answers() and method in ("POST", "PUT", "PATCH"):  # any body
        operation["requestBody"] = {"content": {"application/json": {"schema": {}}}, "required": False}
    if "requestBody" in operation and "request" in known:
        for content in operation["requestBody"]["content"].values():
            content["example"] = known["request"]
    operation["responses"] = _responses(known, route, method, public)


def _conditions(method: str) -> list[Json]:
    if method == "POST":
        words = "The same call with the same key is done once (docs/api.md)."
        return [_header("Idempotency-Key", words, pattern=r"^[\x21-\x7e]{1,200}$")]
    if method == "GET":
        return [_header("If-None-Match", "An ETag: 304 where nothing has changed.")]
    return [_header("If-Match", "An ETag: 412 where it was changed meanwhile.")]


def _header(name: str, words: str, **schema: Any) -> Json:
    return {"name": name, "in": "header", "required": False, "description": words, "schema": {**_HEADER, **schema}}


_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def _responses(known: Json, route: APIRoute, method: str, public: bool) -> Json:
    found: Json = {}
    statuses = {status: one for status, one in known.items() if status != "request"}
    for status, one in sorted(statuses.items() or {str(route.status_code or 200): {}}.items()):
        response: Json = {"description": _SUCCESS.get(status, "Refused")}
        if "schema" in one or not statuses:
            kind = one.get("type", "application/json")
            content = {"schema": one.get("schema", {}), **({"example": one["example"]} if "example" in one else {})}
            response["content"] = {kind: content, **{also: {"schema": _HEADER} for also in one.get("also", ())}}
            if status >= "4":  # whatever a route answers by itself, it may be refused like any other as well
                response["content"].setdefault("application/problem+json", {"schema": _PROBLEM})
        if not public:
            response["headers"] = {name: {"description": words, "schema": _HEADER} for name, words in _LIMITS.items()}
            if method == "GET" and status == "200":
                response["headers"]["ETag"] = {"description": "What it is like now.", "schema": _HEADER}
        found[status] = response
    if method == "GET" and not public:
        found["304"] = {"description": _SUCCESS["304"]}
    found["default"] = {"$ref": "#/components/responses/Problem"}
    return found
