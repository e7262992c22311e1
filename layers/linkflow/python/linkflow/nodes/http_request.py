"""Call an HTTP API. The output is ``{status, status_code, headers, body, data, duration_ms}``.

`status` and `status_code`, `data` and `body` are the same values under both of the original's names.
"""

from __future__ import annotations

import builtins
import time
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import ANY, GOING_OUT, Call, Example, Fault, Refusal
from linkflow.nodes.auth import Auth, gather
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import credential
from linkflow.nodes.fields import Headers, Text, header_key, to_text
from linkflow.nodes.replies import body_of, failure
from linkflow.nodes.slots import Slot

SLOT = "http"


class HttpParams(Params):
    url: Annotated[Text, Field(min_length=1)]
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    ] = "GET"
    query: Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("query", "query_params"),
        description="Added to the URL's own; a list repeats its name, null leaves it out.",
    )
    headers: Headers = Field(default_factory=dict)
    body: Any = Field(None, description="Any JSON value; text is sent as it is.")
    body_type: Literal["", "json", "form", "text", "raw"] = Field("", description="Left out: json, or text for text.")
    auth: Auth = Field(default_factory=Auth, validation_alias=AliasChoices("auth", "authentication"))
    timeout: float = Field(30, gt=0, le=600, description="Seconds, redirects included.")
    follow_redirects: bool = True
    verify_tls: bool = True
    never_error: bool = Field(False, description="Complete whatever the status is.")
    response_type: Literal["auto", "json", "text"] = "auto"

    _gather = model_validator(mode="before")(gather)


class HttpRequest(Base):
    type: ClassVar[str] = "action_http_request"
    aliases: ClassVar[tuple[str, ...]] = ("action_http", "http")
    name: ClassVar[str] = "HTTP request"
    description: ClassVar[str] = "Call an HTTP API."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = HttpParams
    slots = (Slot(SLOT, ("http_basic", "http_bearer", "http_header"), "How the request says who it is from."),)
    help = """
    - A body that is text is sent as text, anything else as JSON; null sends none. With `body_type: json`, text that is
      JSON is sent as it is.
    - The answer is JSON by its content type, else text, else `{"base64": …}` for bytes that are no text.
    - Status 408, 425, 429 and 5xx fail retryably (`http_status`, honouring `Retry-After`), other 4xx fail for good,
      unless `never_error`. `details` has `status` and the start of the body.
    - Every method but GET, HEAD and OPTIONS carries `Idempotency-Key`, the same on every attempt of the node run.
    - A redirect to another origin takes no header along that could hold a secret.
    - `status` and `status_code`, `data` and `body` are the same values under both of the original's names.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "status_code": {"type": "integer"},
                "headers": {"type": "object", "description": "Names are lower case."},
                "body": ANY,
                "data": ANY,
                "duration_ms": {"type": "integer"},
            },
            "required": ["status", "status_code", "headers", "body", "data", "duration_ms"],
        }
    }
    faults = (
        Fault("http_status", "The server answered 400 or more; retryable for 408, 425, 429 and 5xx.", True),
        Fault("http_bad_json", "The answer is not the JSON that was asked for."),
        Fault("bad_body", "The body cannot be sent in this form."),
        Fault("bad_credential", "The credential has none of the known fields."),
        *GOING_OUT,
    )
    examples = (
        Example(
            name="Send an order",
            config={
                "method": "POST",
                "url": "http://api.example/orders",
                "query": {"dry": True},
                "body": {"id": "{{ input.id }}"},
            },
            input={"id": 7},
            calls=(
                Call(
                    method="POST",
                    url="http://api.example/orders?dry=true",
                    sends={"Idempotency-Key": "rehearsal/it"},
                    body={"id": 7},
                    status=201,
                    answer={"ok": True},
                ),
            ),
            output={"status": 201, "status_code": 201, "body": {"ok": True}, "data": {"ok": True}},
            varies=("headers", "duration_ms"),
        ),
    )
    refuses = (
        Refusal({"method": "GET"}, "/url", "missing_field"),
        Refusal({"url": "https://a.example", "methd": "GET"}, "/methd", "unknown_field"),
    )

    async def run(self, params: HttpParams, context: Context) -> Outcome:
        content, kind = encode(params)
        started = time.perf_counter()
        response = await context.http().request(
            params.method,
            with_query(params.url, params.query),
            headers=_headers(params, kind, context),
            content=content,
            timeout=params.timeout,
            follow_redirects=params.follow_redirects,
            verify=params.verify_tls,
        )
        taken = round((time.perf_counter() - started) * 1000)
        status = response.status_code
        if status >= 400 and not params.never_error:
            raise failure("http_status", urlsplit(params.url).hostname or "The server", response, context.now_ms)
        body = body_of(response, params.response_type)
        return Completed(
            output={
                "status": status,
                "status_code": status,
                "headers": dict(response.headers),
                "body": body,
                "data": body,
                "duration_ms": taken,
            }
        )


def with_query(url: str, query: dict[str, Any]) -> str:
    """`url` with `query` behind its own query."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        pairs += [(name, to_text(item)) for item in (value if isinstance(value, list) else [value]) if item is not None]
    if not pairs:
        return url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise NodeFailure("http_bad_request", f"This is not a URL: {error}.", retryable=False) from None
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(pairs))))))


def encode(params: HttpParams) -> tuple[bytes | None, str]:
    """Body bytes and media type. A body of null sends none."""
    body = params.body
    if body is None:
        return None, ""
    kind = params.body_type or ("text" if isinstance(body, str) else "json")
    if kind == "json":
        return _json(body), "application/json"
    if kind == "form":
        if isinstance(body, str):
            return body.encode(), "application/x-www-form-urlencoded"
        if not isinstance(body, dict):
            raise NodeFailure("bad_body", "A form body must be an object.", retryable=False)
        return with_query("", body)[1:].encode(), "application/x-www-form-urlencoded"
    text = str(to_text(body)).encode()
    return text, "text/plain; charset=utf-8" if kind == "text" else "application/octet-stream"


def _json(body: Any) -> bytes:
    # Text under body_type json is JSON that the author wrote by hand, if it parses; otherwise it is a JSON string.
    if isinstance(body, str):
        try:
            msgspec.json.decode(body)
            return body.encode()
        except msgspec.DecodeError:
            pass
    return msgspec.json.encode(body)


def _headers(params: HttpParams, kind: str, context: Context) -> dict[str, str]:
    """The author's headers win over all that is added here, but for the credential's."""
    headers = dict(params.headers)
    given = {name.lower() for name in headers}
    if kind and "content-type" not in given:
        headers["Content-Type"] = kind
    if params.method not in ("GET", "HEAD", "OPTIONS") and "idempotency-key" not in given:
        headers["Idempotency-Key"] = header_key(context.idempotency_key)
    auth = _auth(params, context).headers()
    taken = {name.lower() for name in auth}
    return {**{name: value for name, value in headers.items() if name.lower() not in taken}, **auth}


def _auth(params: HttpParams, context: Context) -> Auth:
    secret = credential(context, SLOT)
    if secret is None or params.auth.type != "none":
        return params.auth
    known = {name: secret[name] for name in _AUTH_FIELDS if name in secret}
    try:
        return Auth.model_validate(known)
    except ValidationError:
        message = "The credential holds none of: token; username and password; header_name and header_value; api_key."
        raise NodeFailure("bad_credential", message, retryable=False) from None


_AUTH_FIELDS = ("type", "username", "password", "token", "header_name", "name", "header_value", "value", "api_key")

node = HttpRequest()
