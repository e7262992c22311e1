"""What nodes for AWS services have in common: whose keys sign, where a call goes, and what errors mean.

A call is signed with the node's own credential, or with the operator's connection ``aws``. The worker's own role signs
nothing, unless that connection says ``"ambient": true``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from pydantic import Field

from linkflow.nodes.about import GOING_OUT, Fault, Schema
from linkflow.nodes.base import Context, EgressResponse, NodeFailure, Params
from linkflow.nodes.connections import credential
from linkflow.nodes.fields import Text, ui
from linkflow.nodes.replies import is_retryable, parse_json, retry_after_ms
from linkflow.nodes.slots import Slot

FAMILY = "aws"
SLOTS = (Slot(FAMILY, ("aws",), "An access key that may do this and no more."),)

FAULTS: tuple[Fault, ...] = (
    Fault("aws_error", "The service refused the call; `details.code` says why."),
    Fault("aws_busy", "The service is busy, or asks for fewer calls.", True),
    Fault("aws_answer", "The answer is none of this service."),
    Fault("no_credential", "There is no access key."),
    Fault("bad_credential", "The access key, region or endpoint cannot be used."),
    *GOING_OUT,
)
HELP = """
    Calls are signed with the credential (`access_key_id`, `secret_access_key`, `region`, perhaps `session_token` and
    `endpoint`), or with the operator's connection `aws`. What the worker's own role may do is nothing that a workflow
    may do, unless the operator says so: `LINKFLOW_CONNECTIONS` `{"aws": {"ambient": true, "region": "eu-central-1"}}`.
    A node's `endpoint` goes with a credential of the workspace's own only.
"""
FAILED: Schema = {
    "type": "array",
    "description": "Those that were not taken, each with its place.",
    "items": {
        "type": "object",
        "properties": {
            "index": {"type": "integer"},
            "code": {"type": "string"},
            "message": {"type": "string"},
            "retryable": {"type": "boolean"},
        },
    },
}

_REGION = r"^[a-z0-9-]{0,40}$"
_BUSY = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
     "TooManyRequestsException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "SlowDown",
     "BandwidthLimitExceeded", "PriorRequestNotComplete", "RequestTimeout", "RequestTimeoutException",
     "InternalFailure", "InternalError", "InternalServerError", "InternalException", "ServiceUnavailable",
     "ServiceException", "KmsThrottled", "KMSThrottlingException", "OperationAborted"}
)  # fmt: skip
_MESSAGE = 500
"""Characters of a service's message that are kept."""


class AwsParams(Params):
    """Fields that every node for AWS has."""

    region: Text = Field(
        "", pattern=_REGION, description="Left out: the credential's.", json_schema_extra=ui(group="Connection")
    )
    endpoint: Text = Field(
        "",
        description="Another address of the service, https://…; needs a credential of the workspace's own.",
        json_schema_extra=ui(group="Connection"),
    )
    timeout: float = Field(
        30, gt=0, le=900, description="Seconds for a call.", json_schema_extra=ui(group="Connection")
    )


@dataclass(frozen=True, slots=True)
class Account:
    """Keys that sign for one service, and the address that was given for it; empty: the region's."""

    keys: Mapping[str, str]
    endpoint: str

    @property
    def region(self) -> str:
        return self.keys["region"]

    def url(self, host: str = "") -> str:
        """Where the service is, without a slash at the end; `host` stands for the service's name in its region."""
        if self.endpoint:
            return self.endpoint
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://{host or self.keys['service']}.{self.region}.{suffix}"


async def account(context: Context, service: str, region: str, endpoint: str) -> Account:
    """Who signs. `region` and `endpoint` are the node's own. Raises ``no_credential``, ``bad_credential``."""
    given = credential(context, FAMILY)
    if given is None:
        given = context.connections.get(FAMILY) or {}
        if not given:
            text = "AWS is not set up: give the node a credential with `access_key_id` and `secret_access_key`."
            raise NodeFailure("no_credential", text, retryable=False)
        if endpoint:
            # Keys of the operator go where the operator says.
            text = "`endpoint` needs a credential of the workspace's own."
            raise NodeFailure("bad_credential", text, retryable=False)
        if given.get("ambient") is True:
            from linkflow.nodes.ambient import keys as ambient_keys

            given = {**given, **await ambient_keys()}
    from linkflow.nodes.http_auth import checked

    keys = {**checked(given, "aws"), "service": service}
    if region:
        keys["region"] = region
    if not re.fullmatch(_REGION, keys["region"]) or not keys["region"]:
        raise NodeFailure("bad_credential", "This is no region of AWS.", retryable=False)
    return Account(keys, _endpoint(endpoint or keys.get("endpoint", "")))


def _endpoint(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment or not parts.hostname:
        text = "`endpoint` is an address such as https://host:port."
        raise NodeFailure("bad_credential", text, retryable=False)
    return text.rstrip("/")


class Service:
    """Signed calls to one service, on behalf of one node run."""

    def __init__(self, context: Context, account: Account, timeout: float) -> None:
        self.account = account
        self._context = context
        self._timeout = timeout
        self._since = time.monotonic()

    def now_ms(self) -> int:
        """Now: a node may wait for longer than a signature holds."""
        return self._context.now_ms + round((time.monotonic() - self._since) * 1000)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> EgressResponse:
        """One signed call; whatever its status is. Redirects are not followed: they would not be signed."""
        from linkflow.nodes.sigv4 import canonical_url, signed

        address = canonical_url(url)
        given = dict(headers or {})
        added = signed(method, address, given, content, self.account.keys, self.now_ms())
        body = content if content or method in ("POST", "PUT") else None
        return await self._context.http().request(
            method, address, headers={**given, **added}, content=body, timeout=self._timeout, follow_redirects=False
        )

    async def json(self, target: str, body: Mapping[str, Any], version: str = "1.0") -> dict[str, Any]:
        """A call of the JSON protocols, such as ``AmazonSQS.SendMessage``. Raises `NodeFailure` for a refusal."""
        headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
        content = msgspec.json.encode(body)
        response = await self.send("POST", f"{self.account.url()}/", headers=headers, content=content)
        if response.status_code >= 300:
            raise refused(response, self.now_ms())
        return answer_of(response)

    async def query(self, action: str, version: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """A call of the query protocol; what is inside of ``ActionResult``. Raises `NodeFailure` for a refusal."""
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        content = urlencode({"Action": action, "Version": version, **fields}, quote_via=quote).encode()
        response = await self.send("POST", f"{self.account.url()}/", headers=headers, content=content)
        if response.status_code >= 300:
            raise refused(response, self.now_ms())
        answer = xml_of(response, f"{action}Response").get(f"{action}Result")
        return answer if isinstance(answer, dict) else {}


async def service(context: Context, name: str, params: AwsParams, region: str = "") -> Service:
    """Calls to the service `name` as the node is configured; `region` is what a name of AWS says."""
    found = await account(context, name, params.region or region, params.endpoint)
    return Service(context, found, params.timeout)


def region_of(arn: str) -> str:
    """The region that an ARN names; empty for anything else."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""


def answer_of(response: EgressResponse) -> dict[str, Any]:
    """The answer's JSON object. Raises `NodeFailure` ``aws_answer``."""
    try:
        found = parse_json(response.content or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _strange()
    return found


def xml_of(response: EgressResponse, root: str) -> dict[str, Any]:
    """What is inside of the answer's root element. Raises `NodeFailure` ``aws_answer``."""
    from linkflow.nodes.heavy.xml import parse  # bounded: no entities, so deep, so many elements

    try:
        found = parse(response.content.decode(), [], False)
    except (ValueError, UnicodeDecodeError):
        raise _strange() from None
    if not isinstance(found, dict) or root not in found:
        raise _strange()
    return found[root] if isinstance(found[root], dict) else {}


def _strange() -> NodeFailure:
    return NodeFailure("aws_answer", "The answer is not what this service would say.", retryable=False)


def listed(value: Any) -> list[Any]:
    """An element that may be there never, once or often."""
    return value if isinstance(value, list) else [] if value is None else [value]


def refused(response: EgressResponse, now_ms: int) -> NodeFailure:
    """What a status of 300 or more comes to: the service's own code and words, in whichever protocol it speaks."""
    code, message = _said(response)
    status = response.status_code
    code = code or f"Http{status}"
    request_id = response.headers.get("x-amzn-requestid") or response.headers.get("x-amz-request-id", "")
    region = response.headers.get("x-amz-bucket-region", "")
    details = {"code": code, "status": status, "request_id": request_id, **({"region": region} if region else {})}
    return failure(code, message, is_retryable(status), details, retry_after_ms(response.headers, now_ms))


def failure(
    code: str, message: str, again: bool = False, details: Mapping[str, Any] | None = None, wait: int = 0
) -> NodeFailure:
    """A refusal with this code of AWS; `again`: it may be tried again whatever the code is."""
    busy = again or is_busy(code)
    text = f"AWS refused the call: {code}{': ' if message else ''}{message[:_MESSAGE]}"
    known = {"code": code, **(details or {})}
    return NodeFailure("aws_busy" if busy else "aws_error", text, retryable=busy, retry_after=wait, details=known)


def is_busy(code: str) -> bool:
    """Does this code say that the same call may succeed later?"""
    return code in _BUSY


def _said(response: EgressResponse) -> tuple[str, str]:
    """Code and message of a refusal, as JSON or XML have them."""
    text = response.content.lstrip()
    code = response.headers.get("x-amzn-errortype", "").partition(":")[0]
    if text.startswith(b"<"):
        try:
            found: Any = xml_of(response, "ErrorResponse" if b"<ErrorResponse" in text[:400] else "Error")
        except NodeFailure:
            return code, ""
        error = found.get("Error", found)
        error = error if isinstance(error, dict) else {}
        return str(error.get("Code") or code), str(error.get("Message") or "")
    try:
        found = parse_json(text)
    except ValueError:
        return code, ""
    if not isinstance(found, dict):
        return code, ""
    code = str(found.get("__type") or code or found.get("code") or found.get("Code") or "").rpartition("#")[2]
    return code, str(found.get("message") or found.get("Message") or "")
