"""The webhooks' receiver: public, any method. Rules are in `services.webhooks`, answers here.

Mode ``immediate`` answers 202 (or the fixed answer that the trigger node gives) as soon as the run is stored. Mode
``wait`` answers with the run's result, or with what a respond node said. A run that ends in another way is 502: the
caller did nothing wrong, and what went wrong inside is for the workspace's members alone to read. A run that is not
over in time is 202 with the address of its status.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from linkflow.contracts.frontend import RunReply
from linkflow.domain.payloads import references
from linkflow.services.control_ports import Webhook
from linkflow.services.webhooks import Knock

from . import strict_json
from .door import is_json
from .guard import Anybody
from .idempotency import key_of
from .problems import problem
from .replying import reply
from .routing import router as new_router
from .strict_json import Malformed
from .wiring import Given, Services

router = new_router(prefix="/webhooks", tags=["Webhooks"])

OTHER_METHODS = ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_METHODS = frozenset(("POST", *OTHER_METHODS))
MAX_FIELDS = 1000
"""Fields of a form or a query."""

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
    knock = Knock(
        webhook_id=webhook_id,
        path=path,
        method=request.method,
        headers=_headers(request),
        query=_fields(request.scope.get("query_string", b"").decode("latin-1")),
        ip=request.client.host if request.client else "",
    )
    webhook = await services.webhooks.admit(knock)
    body = _body(await request.body(), request.headers.get("content-type", ""))
    run = await services.webhooks.start(webhook, knock, body, key_of(request, "idempotency-key", "webhook-id"))
    return _answer(request, services, webhook, run)


def _headers(request: Request) -> dict[str, str]:
    """By name in lower case; one that comes several times has its values joined, as RFC 9110 has it."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _body(raw: bytes, content_type: str) -> Any:
    """JSON, a form or text, by what the header says. Raises `Malformed`, or 415 for what is none of them."""
    if not raw:
        return None
    if is_json(content_type):
        return strict_json.load(raw)
    if content_type.lower().startswith("multipart/"):
        raise HTTPException(415, "Webhooks take JSON, URL-encoded forms and text, not multipart bodies.")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise HTTPException(415, "The body is neither JSON nor UTF-8 text.") from None
    if "\0" in text:
        raise Malformed("The body has a NUL character, which cannot be stored.")
    form = content_type.lower().startswith("application/x-www-form-urlencoded")
    return _fields(text) if form else text


def _fields(text: str) -> dict[str, Any]:
    """A query or form: one value as it is, several as a list. Raises `Malformed`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Malformed(f"A query or form is UTF-8 and has at most {MAX_FIELDS} fields.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise Malformed("A query or form cannot have a NUL character.")
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


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
        detail = "The workflow run that this call started did not complete."
        extra = {"execution_id": run.execution_id, "execution_status": run.status}
        return problem(request, 502, f"execution_{run.status}", detail, extra=extra)
    status_url = f"{services.public_url}/api/v1/workspaces/{webhook.workspace_id}/executions/{run.execution_id}"
    headers = {**_SANDBOX, "X-Execution-Id": run.execution_id}
    if rules.mode == "immediate" and (rules.status or rules.body is not None):
        return _given({"status": rules.status or 200, "headers": headers, "body": rules.body})
    body: dict[str, Any] = {"execution_id": run.execution_id, "status_url": status_url}
    if run.status in ("queued", "collecting"):
        body["status"] = run.status
        if run.position:
            body["position"] = run.position
    return reply(body, 202, {**headers, "Location": status_url})


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
