"""What GitHub is asked (https://docs.github.com/rest), and its two rate limits."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import to_text
from linkflow.nodes.github import FAMILY, GitHubParams
from linkflow.nodes.json_api import Api, Trouble, gather, relative, set_up
from linkflow.nodes.operations import Route, picked, segment
from linkflow.nodes.replies import next_link, retry_after_ms

_ISSUE = ("title", "body", "labels", "assignees", "milestone")
_AT = "/repos/{owner}/{name}"
_ROUTES: Mapping[str, Route] = {
    "create_issue": Route("POST", f"{_AT}/issues", _ISSUE),
    "get_issue": Route("GET", f"{_AT}/issues/{{number}}"),
    "update_issue": Route("PATCH", f"{_AT}/issues/{{number}}", (*_ISSUE, "state", "state_reason")),
    "list_issues": Route("GET", f"{_AT}/issues", query=("state", "labels")),
    "search_issues": Route("GET", "/search/issues", query=("query:q",)),
    "comment": Route("POST", f"{_AT}/issues/{{number}}/comments", ("body",)),
    "list_comments": Route("GET", f"{_AT}/issues/{{number}}/comments"),
    "add_labels": Route("POST", f"{_AT}/issues/{{number}}/labels", ("labels",)),
    "remove_label": Route("DELETE", f"{_AT}/issues/{{number}}/labels/{{label}}"),
    "create_pull": Route("POST", f"{_AT}/pulls", ("title", "body", "head", "base", "draft")),
    "get_pull": Route("GET", f"{_AT}/pulls/{{number}}"),
    "update_pull": Route("PATCH", f"{_AT}/pulls/{{number}}", ("title", "body", "base", "state")),
    "list_pulls": Route("GET", f"{_AT}/pulls", query=("state", "head", "base")),
    "merge_pull": Route("PUT", f"{_AT}/pulls/{{number}}/merge", ("merge_method",)),
    "review": Route("POST", f"{_AT}/pulls/{{number}}/reviews", ("event", "body")),
    "dispatch": Route("POST", f"{_AT}/dispatches", ("event_type", "payload:client_payload")),
    "run_workflow": Route("POST", f"{_AT}/actions/workflows/{{workflow}}/dispatches", ("inputs",)),
    "create_release": Route(
        "POST", f"{_AT}/releases",
        ("tag:tag_name", "name", "body", "target:target_commitish", "draft", "prerelease",
         "generate_notes:generate_release_notes"),
    ),
    "get_release": Route("GET", f"{_AT}/releases/tags/{{tag}}"),
    "list_releases": Route("GET", f"{_AT}/releases"),
    "get_repository": Route("GET", _AT),
}  # fmt: skip
_LISTS = frozenset({"list_issues", "list_comments", "list_pulls", "list_releases", "search_issues"})
_SECONDARY_MS = 60_000
"""How long GitHub wants to be left alone where its secondary limit says no time."""


class GitHubApi(Api):
    name, code, base_url = "GitHub", "github", "https://api.github.com"

    def trouble(self, response: EgressResponse) -> Trouble | None:
        status, headers = response.status_code, response.headers
        if status < 300:
            return None
        found = self.told(response)
        why = str(found.get("message") or "")
        if isinstance(faults := found.get("errors"), list) and faults:
            why += ": " + "; ".join(_said(fault) for fault in faults[:5])
        if status not in (403, 429):
            return Trouble(why)
        now = self.context.now_ms
        wait, is_used_up = retry_after_ms(headers, now), headers.get("x-ratelimit-remaining") == "0"
        if not wait and is_used_up and headers.get("x-ratelimit-reset", "").isdecimal():
            wait = max(1000, int(headers["x-ratelimit-reset"]) * 1000 - now)
        is_limit = status == 429 or is_used_up or bool(wait) or "rate limit" in why.lower()
        return Trouble(why, is_limit=is_limit, wait_ms=(wait or _SECONDARY_MS) if is_limit else 0)

    async def items(self, path: str, query: Mapping[str, Any], most: int) -> dict[str, Any]:
        """Up to `most` items of a list."""

        async def page(following: Any) -> tuple[list[Any], Any]:
            asked = {"per_page": min(most, 100), **query}
            response = await self.send("GET", following or path, query=None if following else asked)
            answer = self.hiding.value(self.read(response))
            found = answer.get("items") if isinstance(answer, dict) else answer
            return found if isinstance(found, list) else [], next_link(response.headers.get("link", ""))

        return await gather(page, most, self.name)


def _said(fault: Any) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    return str(fault.get("message") or " ".join(str(fault[key]) for key in ("field", "code") if fault.get(key)))


def api_of(secrets: Mapping[str, Any], context: Context) -> GitHubApi:
    """The API with its token. Raises `NodeFailure` ``no_credential``."""
    token = str(secrets.get("token") or "")
    if not token:
        raise set_up("GitHub", "give the node a credential with a `token`")
    return GitHubApi(context, secrets, {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    })  # fmt: skip


async def do(params: GitHubParams, context: Context) -> Any:
    """The node's output."""
    secrets = {"token": params.token} if params.token else connection(context, FAMILY)
    api = api_of(secrets, context)
    operation = params.operation
    if operation == "call":
        return await _call(api, params)
    owner, _, name = params.repository.partition("/")
    if operation in ("get_file", "put_file", "delete_file"):
        place = "/".join(segment(part, "path") for part in params.path.strip("/").split("/"))
        at = f"/repos/{segment(owner, 'repository')}/{segment(name, 'repository')}/contents/{place}"
        return await {"get_file": _get_file, "put_file": _put_file, "delete_file": _delete_file}[operation](
            api, params, at
        )
    route = _ROUTES[operation]
    path = f"{_AT}/releases/latest" if operation == "get_release" and not params.tag else route.path
    url = Route("", path).url(params, owner=owner, name=name)
    if operation in _LISTS:
        asked = picked(params, route.query)
        asked |= {"labels": ",".join(asked["labels"])} if "labels" in asked else {}
        return await api.items(url, asked | params.parameters, params.limit)
    answer = await api.ask(route.method, url, body=await _body(api, params, route))
    return {"ok": True} if operation in ("dispatch", "run_workflow") else _shown(answer)


async def _body(api: GitHubApi, params: GitHubParams, route: Route) -> dict[str, Any] | None:
    body = {name: value for name, value in picked(params, route.body).items() if value is not False}
    if "body" in body:
        body["body"] = to_text(body["body"])
    if params.operation == "run_workflow":
        body["ref"] = params.target or await _default_branch(api, params)
    return body or ({} if route.method != "GET" and route.body else None)


async def _default_branch(api: GitHubApi, params: GitHubParams) -> str:
    owner, _, name = params.repository.partition("/")
    found = await api.ask_object("GET", Route("", _AT).url(params, owner=owner, name=name))
    return str(found.get("default_branch") or "main")


def _shown(answer: Any) -> Any:
    return {"items": answer, "count": len(answer), "more": False} if isinstance(answer, list) else answer


async def _call(api: GitHubApi, params: GitHubParams) -> Any:
    path = relative(params.path)
    body = params.body if "body" in params.model_fields_set else None
    if params.method != "GET" or body is not None:
        return _shown(await api.ask(params.method, path, query=params.parameters, body=body))
    response = await api.send("GET", path, query={"per_page": min(params.limit, 100), **params.parameters})
    answer = api.hiding.value(api.read(response))
    following = next_link(response.headers.get("link", ""))
    if not isinstance(answer, list) or not following or len(answer) >= params.limit:
        if not isinstance(answer, list):
            return answer
        kept = answer[: params.limit]
        return {"items": kept, "count": len(kept), "more": bool(following) or len(answer) > len(kept)}
    return await api.items(path, params.parameters, params.limit)


async def _file(api: GitHubApi, params: GitHubParams, at: str) -> dict[str, Any] | None:
    """What GitHub has of a file; None where there is none."""
    query = {"ref": params.branch} if params.branch else None
    try:
        found = await api.ask("GET", at, query=query)
    except NodeFailure as failure:
        if (failure.error.details or {}).get("status") == 404:
            return None
        raise
    if not isinstance(found, dict) or found.get("type", "file") != "file":
        raise NodeFailure("github_error", f"{params.path} is no file.", retryable=False)
    return found


def _bytes(found: Mapping[str, Any]) -> bytes:
    return base64.b64decode(str(found.get("content") or ""))


async def _get_file(api: GitHubApi, params: GitHubParams, at: str) -> dict[str, Any]:
    query = {"ref": params.branch} if params.branch else None
    found = await api.ask_object("GET", at, query=query)
    content = _bytes(found)
    if found.get("encoding") == "none":  # over 1 MB the bytes have to be asked for
        raw = {"Accept": "application/vnd.github.raw+json"}
        content = (await api.send("GET", at, query=query, headers=raw)).content
    try:
        text: str | None = content.decode()
    except UnicodeDecodeError:
        text = None
    about = {name: found.get(name) for name in ("path", "sha", "html_url")}
    return {"text": text, "base64": base64.b64encode(content).decode(), "size": len(content), **about}


async def _put_file(api: GitHubApi, params: GitHubParams, at: str) -> dict[str, Any]:
    try:
        wanted = base64.b64decode(params.content_base64, validate=True) or params.content.encode()
    except (binascii.Error, ValueError):
        raise NodeFailure("bad_file", "`content_base64` is no base64.", retryable=False) from None
    found = await _file(api, params, at)
    if found is not None and found.get("encoding") != "none" and _bytes(found) == wanted:
        return {"content": found | {"content": None}, "commit": None, "changed": False}
    body: dict[str, Any] = {
        "message": params.message or f"{'Change' if found else 'Add'} {params.path}",
        "content": base64.b64encode(wanted).decode(),
        **({"sha": found["sha"]} if found else {}),
        **({"branch": params.branch} if params.branch else {}),
    }
    return {**await api.ask_object("PUT", at, body=body), "changed": True}


async def _delete_file(api: GitHubApi, params: GitHubParams, at: str) -> dict[str, Any]:
    found = await _file(api, params, at)
    if found is None:
        if api.context.attempt > 1:
            return {"commit": None, "changed": False}
        raise NodeFailure("github_error", f"There is no {quote(params.path)}.", retryable=False)
    body = {"message": params.message or f"Delete {params.path}", "sha": found["sha"]}
    body |= {"branch": params.branch} if params.branch else {}
    return {**await api.ask_object("DELETE", at, body=body), "changed": True}
