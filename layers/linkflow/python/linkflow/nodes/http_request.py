"""Call an HTTP API. The output is ``{status, status_code, headers, body, data, duration_ms}``.

`status` and `status_code`, `data` and `body` are the same values under both of the original's names.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import ANY, GOING_OUT, Call, Example, Fault, Refusal
from linkflow.nodes.auth import Auth, gather
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Headers, Text, to_list, ui
from linkflow.nodes.slots import Slot
from linkflow.nodes.storage import FAULTS as STORAGE_FAULTS

SLOT, TLS_SLOT, PROXY_SLOT = "http", "tls", "proxy"
KINDS_OF_HTTP = (
    "http_basic", "http_bearer", "http_header", "http_query", "oauth2_client", "oauth2_refresh", "oauth2",
    "google_service_account", "aws",
)  # fmt: skip


Calling = Callable[["HttpParams", Context], Awaitable[dict[str, Any]]]

Method = Annotated[
    Literal[
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PROPFIND", "PROPPATCH", "MKCOL", "COPY",
        "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "PURGE",
    ],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]  # fmt: skip
Query = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]
Status = Annotated[Text, Field(pattern=r"^([45]xx|[45]\d\d)$")]


def _statuses(value: Any) -> Any:
    return [str(one).strip() for one in to_list(value)] if isinstance(value, str | list) else value


class Pagination(Params):
    """How the next page is found. Items of all pages become one list."""

    mode: Literal["link", "cursor", "page", "offset"] = Field(
        description="link: the Link header. cursor: a value in the answer. page, offset: a number that grows."
    )
    items: Text = Field("", description="Dot path to the items in an answer. Left out: the answer is the list.")
    cursor: Text = Field(
        "", description="Mode cursor: dot path to it in the answer; it may be the next page's address."
    )
    param: Text = Field("", description="The parameter that asks for a page. Left out: as the mode is called.")
    where: Literal["query", "body"] = Field("query", description="Where the parameters go.")
    start: int | None = Field(None, ge=0, description="The first one's number. Left out: page 1, offset 0.")
    size: int = Field(0, ge=0, description="Items of a page: a page with fewer is the last. 0: an empty one is.")
    size_param: Text = Field("", description="The parameter that asks for this size.")
    max_pages: int = Field(100, ge=1, le=10_000, description="More fail the node.")
    max_items: int = Field(10_000, ge=1, le=1_000_000, description="More fail the node.")
    interval: float = Field(0, ge=0, le=60, description="Seconds between two pages.")

    @model_validator(mode="after")
    def _has_a_cursor(self) -> Pagination:
        if self.mode == "cursor" and not self.cursor:
            raise ValueError("mode cursor needs a `cursor`: its path in the answer")
        return self

    @property
    def name(self) -> str:
        return self.param or self.mode

    @property
    def first(self) -> int:
        return (1 if self.mode == "page" else 0) if self.start is None else self.start


class OneOfMany(Params):
    """What one request of a batch has of its own; the rest is the node's."""

    url: Annotated[Text, Field(min_length=1)] = ""
    method: Method = "GET"
    query: Query = Field(default_factory=dict)
    headers: Headers = Field(default_factory=dict)
    body: Any = None


class Batch(Params):
    """Several requests in one node run."""

    requests: Annotated[list[OneOfMany], Field(min_length=1, max_length=1000)] = Field(
        description="`{url, method, query, headers, body}` in place of the node's own; an expression may make them."
    )
    concurrency: int = Field(5, ge=1, le=50, description="At once.")
    per_second: float = Field(0, ge=0, le=1000, description="How many begin in a second; 0 is no limit.")
    on_error: Literal["stop", "collect"] = Field("stop", description="collect: keep the error as the result.")


class HttpParams(Params):
    url: Annotated[Text, Field(min_length=1)]
    method: Method = "GET"
    query: Query = Field(
        default_factory=dict,
        validation_alias=AliasChoices("query", "query_params"),
        description="Added to the URL's own; a list repeats its name, null leaves it out.",
    )
    headers: Headers = Field(default_factory=dict)
    body: Any = Field(None, description="Any JSON value; text is sent as it is.")
    body_type: Literal["", "json", "form", "multipart", "text", "raw", "binary"] = Field(
        "", description="Left out: json, or text for text. multipart: files are {filename, base64, content_type}."
    )
    body_file: Text = Field("", description="A file of the workspace as the body, by its path.")
    auth: Auth = Field(default_factory=Auth, validation_alias=AliasChoices("auth", "authentication"))
    timeout: float = Field(30, gt=0, le=600, description="Seconds for a request, redirects included.")
    never_error: bool = Field(False, description="Complete whatever the status is.")
    retry_on: Annotated[list[Status] | None, BeforeValidator(_statuses)] = Field(
        None,
        description="Statuses that the node's retry policy may try again. Left out: 408, 425, 429, 5xx.",
        json_schema_extra=ui("list", "Answer"),
    )
    response_type: Literal["auto", "json", "text", "binary"] = Field("auto", json_schema_extra=ui(group="Answer"))
    save_as: Text = Field(
        "",
        description="Keep the answer as a file of the workspace in place of handing it on.",
        json_schema_extra=ui(group="Answer"),
    )
    max_size: int = Field(
        0, ge=0, description="Bytes of an answer; 0: the operator's limit.", json_schema_extra=ui(group="Answer")
    )
    pagination: Pagination | None = Field(None, json_schema_extra=ui(group="Many"))
    batch: Batch | None = Field(None, json_schema_extra=ui(group="Many"))
    follow_redirects: bool = Field(True, json_schema_extra=ui(group="Connection"))
    max_redirects: int = Field(10, ge=0, le=20, json_schema_extra=ui(group="Connection"))
    verify_tls: bool = Field(True, json_schema_extra=ui(group="Connection"))
    tls_ca: Annotated[Text, Field(max_length=100_000)] = Field(
        "",
        description="Certificates in PEM of authorities to trust as well.",
        json_schema_extra=ui("textarea", "Connection"),
    )
    proxy: Text = Field(
        "", description="http://host:port; the call goes by it.", json_schema_extra=ui(group="Connection")
    )

    _gather = model_validator(mode="before")(gather)

    @model_validator(mode="after")
    def _files_fit(self) -> HttpParams:
        if self.body_file and self.body is not None:
            raise ValueError("use either `body` or `body_file`")
        if self.save_as and (self.pagination or self.batch):
            raise ValueError("`save_as` is for one answer, not for pages or a batch")
        return self


class HttpRequest(Base):
    type: ClassVar[str] = "action_http_request"
    aliases: ClassVar[tuple[str, ...]] = ("action_http", "http")
    name: ClassVar[str] = "HTTP request"
    description: ClassVar[str] = "Call an HTTP API."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = HttpParams
    slots = (
        Slot(SLOT, KINDS_OF_HTTP, "How the request says who it is from."),
        Slot(TLS_SLOT, ("tls_client",), "A certificate of one's own, and authorities to trust."),
        Slot(PROXY_SLOT, ("http_proxy",), "A proxy with its password."),
    )
    help = """
    - A body that is text is sent as text, anything else as JSON; null sends none. With `body_type: json`, text that is
      JSON is sent as it is. `form` and `multipart` take an object; in a list each value is a part of its own. `binary`
      takes base64, or `{base64, content_type}`. `body_file` sends [a file of the workspace](action_storage.md).
    - The answer is JSON by its content type, else text, else `{"base64": …}` for bytes that are no text; with
      `response_type: binary` always `{base64, content_type, size, filename}`. With `save_as` it is kept as a file of
      the workspace, and `body` is `{path, size, content_type, sha256, updated_at}`: for what is larger than an output.
    - Status 408, 425, 429 and 5xx fail retryably (`http_status`, honouring `Retry-After`), other 4xx fail for good,
      unless `never_error`. `details` has `status` and the start of the body. `retry_on` names other statuses.
    - Every method but GET, HEAD and OPTIONS carries `Idempotency-Key`, the same on every attempt of the node run; pages
      and requests of a batch have each their own.
    - A redirect, or a next page, of another origin takes no header along that could hold a secret.
    - `status` and `status_code`, `data` and `body` are the same values under both of the original's names.
    - OAuth 2 tokens are fetched when they are needed, kept in the worker's memory until shortly before their end, and
      fetched anew once where a call answers 401. AWS requests are signed with Signature Version 4.
    - `pagination` follows pages and hands on all items as `body`, with `pages`, their number. It never cuts: more than
      `max_pages` or `max_items` fail the node.
    - `batch` sends many requests from one node run and hands on `{results, count, failed}`. For items that need retries
      of their own, take a loop.
    - `proxy`: both its address and the target's are checked like any other ([what nodes may reach](../nodes.md)).

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
                "pages": {"type": "integer", "description": "With `pagination`."},
                "results": {"type": "array", "description": "With `batch`, in place of the fields above."},
                "count": {"type": "integer"},
                "failed": {"type": "integer"},
            },
            "required": ["duration_ms"],
        }
    }
    faults = (
        *STORAGE_FAULTS,
        Fault("http_status", "The server answered 400 or more; retryable for 408, 425, 429 and 5xx.", True),
        Fault("http_bad_json", "The answer is not the JSON that was asked for."),
        Fault("http_too_many_pages", "There are more pages or items than may be, or they go round in circles."),
        Fault("oauth_refused", "The server that gives out tokens gave none."),
        Fault("bad_body", "The body cannot be sent in this form."),
        Fault("bad_credential", "The credential lacks a field, or a certificate cannot be read."),
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
        Example(
            name="All pages of a list",
            config={
                "url": "http://api.example/users",
                "pagination": {"mode": "cursor", "items": "users", "cursor": "next"},
            },
            calls=(
                Call(method="GET", url="http://api.example/users", answer={"users": [{"id": 1}], "next": "c2"}),
                Call(
                    method="GET", url="http://api.example/users?cursor=c2", answer={"users": [{"id": 2}], "next": None}
                ),
            ),
            output={
                "status": 200,
                "status_code": 200,
                "pages": 2,
                "body": [{"id": 1}, {"id": 2}],
                "data": [{"id": 1}, {"id": 2}],
            },
            varies=("headers", "duration_ms"),
        ),
    )
    refuses = (
        Refusal({"method": "GET"}, "/url", "missing_field"),
        Refusal({"url": "https://a.example", "methd": "GET"}, "/methd", "unknown_field"),
    )

    async def run(self, params: HttpParams, context: Context) -> Outcome:
        call, many = _calls()
        return Completed(output=await (many if params.batch else call)(params, context))


@lru_cache(maxsize=1)
def _calls() -> tuple[Calling, Calling]:
    """One call, and many: asyncio, which brings TLS with it, for those who go out."""
    from linkflow.nodes.http_calls import call, many

    return call, many


node = HttpRequest()
