"""The webhooks' receiver: public, any method. Rules are in `services.webhooks`, answers here.

Mode ``immediate`` answers 202 (or the fixed answer that the trigger node gives) as soon as the run is stored. Mode
``wait`` answers with the run's result, or with what a respond node said. A run that ends in another way is 502: the
caller did nothing wrong, and what went wrong inside is for the workspace's members alone to read. A run that is not
over in time is 202 with the address of its status.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from linkflow.contracts.frontend import RunReply
from linkflow.domain.payloads import references
from linkflow.services.control_ports import Webhook
from linkflow.services.hook_rules import cors, preflight
from linkflow.services.webhooks import Knock

from .guard import Anybody
from .hook_bodies import fields, parsed, unpacked
from .problems import problem, respond, said
from .replying import reply
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/webhooks", tags=["Webhooks"])
tests = new_router(prefix="/webhook-test", tags=["Webhooks"])
runs = new_router(prefix="/webhook-runs", tags=["Webhooks"])

SHOWN_METHODS = ["GET", "PUT", "PATCH", "DELETE"]
OTHER_METHODS = ["HEAD", "OPTIONS"]
_METHODS = frozenset(("POST", *SHOWN_METHODS, *OTHER_METHODS))
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "set-cookie", "content-security-policy"})
# A workflow's answer has the console's origin: it may show a page, but not act as one of ours.
_SANDBOX = {"Content-Security-Policy": "sandbox", "Cache-Control": "no-store"}


@router.post("/{webhook_id}")
@router.post("/{webhook_id}/{path:path}")
@router.api_route("/{webhook_id}", methods=OTHER_METHODS, include_in_schema=False)
@router.api_route("/{webhook_id}/{path:path}", methods=OTHER_METHODS, include_in_schema=False)
async def receive(request: Request, webhook_id: str, services: Given, _: Anybody, path: str = "") -> Response:
    """Start a run with this call as its trigger data. A repeated Idempotency-Key (or webhook-id) starts none."""
    return await serve(request, services, webhook_id, path)


for _method in SHOWN_METHODS:
    router.api_route("/{webhook_id}", methods=[_method])(receive)
    router.api_route("/{webhook_id}/{path:path}", methods=[_method])(receive)


def shortcut(scope: Scope) -> tuple[str, str] | None:
    """Webhook id and path of a call that the router would bring to `receive`. The way through the router, with its
    dependencies, costs more than all the rest of the door."""
    if scope["method"] not in _METHODS or scope.get("root_path"):
        return None
    parts: list[str] = scope["path"].split("/", 3)
    if len(parts) < 3 or parts[1] != "webhooks" or not parts[2]:
        return None
    return parts[2], parts[3] if len(parts) == 4 else ""


async def serve(request: Request, services: Services, webhook_id: str, path: str) -> Response:
    """What `receive` does."""
    knock = _knock(request, webhook_id, path)
    webhook = await services.webhooks.find(knock)
    origin = knock.headers.get("origin", "")
    allowed = cors(webhook.rules, origin)
    if allowed and knock.method == "OPTIONS" and "access-control-request-method" in knock.headers:
        wanted = knock.headers.get("access-control-request-headers", "")
        return Response(status_code=204, headers=preflight(webhook.rules, origin, wanted))
    raw = await request.body()
    try:
        response = await _taken(request, services, webhook, knock, raw)
    except Exception as error:
        response = respond(request, error)
        await services.hook_log.refused(webhook, knock, response.status_code, said(response), len(raw))
    response.headers.update(allowed)
    return response


async def _taken(request: Request, services: Services, webhook: Webhook, knock: Knock, raw: bytes) -> Response:
    admitted = await services.webhooks.admit(webhook, knock, raw)
    most = webhook.rules.max_body or services.max_body
    plain = unpacked(raw, knock.headers.get("content-encoding", ""), most)
    body = parsed(plain, knock.headers.get("content-type", ""))
    run = await services.webhooks.start(webhook, knock, body, raw, admitted)
    response = _answer(request, services, webhook, run)
    if admitted.left >= 0:
        limit = webhook.rules.rate_limit
        response.headers["RateLimit-Policy"] = f'"webhook";q={limit};w=60'
        response.headers["RateLimit"] = f'"webhook";r={admitted.left};t={-(-60 * (limit - admitted.left) // limit)}'
    return response


@tests.post("/{webhook_id}")
@tests.post("/{webhook_id}/{path:path}")
@tests.api_route("/{webhook_id}", methods=OTHER_METHODS, include_in_schema=False)
@tests.api_route("/{webhook_id}/{path:path}", methods=OTHER_METHODS, include_in_schema=False)
async def capture(request: Request, webhook_id: str, services: Given, _: Anybody, path: str = "") -> Response:
    """The test address: what comes is kept and shown, and starts no run. It takes calls while somebody listens; a
    secret is asked for as at the webhook itself."""
    knock = _knock(request, webhook_id, path)
    webhook = await services.webhooks.find(knock, active=False)
    raw = await request.body()
    await services.webhooks.admit(webhook, knock, raw)
    plain = unpacked(raw, knock.headers.get("content-encoding", ""), services.max_body)
    body = parsed(plain, knock.headers.get("content-type", ""))
    trigger = await services.hook_desk.captured(webhook, knock, body, raw)
    return reply({"message": "Captured.", "trigger": trigger}, 200, _SANDBOX)


for _method in SHOWN_METHODS:
    tests.api_route("/{webhook_id}", methods=[_method])(capture)
    tests.api_route("/{webhook_id}/{path:path}", methods=[_method])(capture)


@runs.get("/{token}")
async def status(request: Request, token: str, services: Given, _: Anybody) -> Response:
    """How the run went that a webhook's call started: 202 while it goes on, then what the webhook would have answered.
    The address comes with the 202 of the call, and is good for a day."""
    run = await services.webhooks.status(token)
    if run.answered:
        return _given(run.result)
    if run.closed and run.status == "completed":
        return reply(
            {"execution_id": run.execution_id, "status": run.status} if run.result is None else run.result,
            200,
            _SANDBOX,
        )
    if run.closed:
        return _failed(request, run)
    body: dict[str, Any] = {"execution_id": run.execution_id, "status": run.status}
    if run.position:
        body["position"] = run.position
    return reply(body, 202, {**_SANDBOX, "Retry-After": "1"})


def _knock(request: Request, webhook_id: str, path: str) -> Knock:
    query = fields(request.scope.get("query_string", b"").decode("latin-1"))
    ip = request.client.host if request.client else ""
    return Knock(webhook_id, path, request.method, _headers(request), query, ip)


def _headers(request: Request) -> dict[str, str]:
    """By name in lower case; one that comes several times has its values joined, as RFC 9110 has it."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _answer(request: Request, services: Services, webhook: Webhook, run: RunReply) -> Response:
    rules = webhook.rules
    if rules.mode == "wait" and next(references(run.result), None) is not None:
        detail = "The answer is larger than one that comes by webhook may be."
        return problem(request, 502, "answer_too_large", detail, extra={"execution_id": run.execution_id})
    if rules.mode == "wait" and run.answered:
        return _given(run.result)
    if rules.mode == "wait" and run.closed:
        if run.status == "completed":
            return reply(run.result, 200, {**_SANDBOX, "X-Execution-Id": run.execution_id})
        return _failed(request, run)
    token = services.webhooks.status_token(webhook, run.execution_id)
    status_url = f"{services.public_url}/webhook-runs/{token}" if token else ""
    headers = {**_SANDBOX, "X-Execution-Id": run.execution_id}
    if rules.mode == "immediate" and (rules.status or rules.body is not None):
        return _given({"status": rules.status or 200, "headers": headers, "body": rules.body})
    body: dict[str, Any] = {"execution_id": run.execution_id, "status_url": status_url}
    if run.status in ("queued", "collecting"):
        body["status"] = run.status
        if run.position:
            body["position"] = run.position
    if status_url:
        headers["Location"] = status_url
    if not run.created:
        return reply(body, 200, {**headers, "Idempotency-Replayed": "true"})
    return reply(body, 202, headers)


def _failed(request: Request, run: RunReply) -> Response:
    detail = "The workflow run that this call started did not complete."
    extra = {"execution_id": run.execution_id, "execution_status": run.status}
    return problem(request, 502, f"execution_{run.status}", detail, extra=extra)


def _given(answer: Any) -> Response:
    """An answer that the workflow made: ``{status, headers, body}``, or any other value as a JSON body."""
    if not isinstance(answer, dict) or not answer.keys() <= {"status", "headers", "body"} or "body" not in answer:
        return reply(answer, 200, _SANDBOX)
    status = answer.get("status") or 200
    given = answer.get("headers")
    headers = {
        str(name): str(value)
        for name, value in (given.items() if isinstance(given, dict) else ())
        if str(name).lower() not in _OURS and _is_header(str(name), str(value))
    } | _SANDBOX
    body = answer["body"]
    if not isinstance(status, int) or not 200 <= status <= 599:
        status = 200
    if status in (204, 205, 304) or body is None:
        return Response(status_code=status, headers=headers)
    typed = any(name.lower() == "content-type" for name in headers)
    if isinstance(body, str):
        return Response(body, status, headers, None if typed else "text/plain")
    return Response(msgspec.json.encode(body), status, headers, None if typed else "application/json")


def _is_header(name: str, value: str) -> bool:
    """Can this be sent as a header? Anything else could smuggle in another one."""
    return (
        name.isascii() and name.replace("-", "").replace("_", "").isalnum() and value.isascii() and value.isprintable()
    )
