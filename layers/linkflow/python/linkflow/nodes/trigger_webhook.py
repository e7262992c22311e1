"""Start by an HTTP call. The output is ``{method, headers, query, body, ip, path}``."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, StringConstraints, model_validator

from linkflow.nodes.about import ANY, Example, Refusal
from linkflow.nodes.auth import Auth, gather
from linkflow.nodes.base import Params
from linkflow.nodes.fields import Secret, Text, to_list
from linkflow.nodes.trigger_manual import InputSchema, Trigger

Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
_PART = r"(:[A-Za-z_][A-Za-z0-9_]{0,63}|[A-Za-z0-9_-][A-Za-z0-9_.-]*)"
Path = Annotated[
    str,
    BeforeValidator(lambda value: value.strip("/") if isinstance(value, str) else value),
    StringConstraints(max_length=200, pattern=rf"^({_PART}(/{_PART})*)?$"),
]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$", to_lower=True)]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[a-z0-9.-]+(:\d{1,5})?)$", to_lower=True)]


class CustomSignature(Params):
    """How a sender signs for whom there is no preset."""

    header: HeaderName = "x-signature"
    signed: str = Field(
        "{body}", max_length=200, description="The text that is signed: {body}, {timestamp} and {id} in it."
    )
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = Field("", max_length=50, description="Before the signature in its header, such as sha256=.")
    timestamp_header: HeaderName | Literal[""] = ""
    id_header: HeaderName | Literal[""] = Field(
        "", description="A delivery's own id: a repeated one starts no second run."
    )
    key: Literal["text", "hex", "base64", "whsec"] = Field("text", description="What the secret is written in.")

    @model_validator(mode="after")
    def _says_what_it_signs(self) -> CustomSignature:
        if "{body}" not in self.signed:
            raise ValueError("`signed` has {body} in it, or anything could be sent")
        if "{timestamp}" in self.signed and not self.timestamp_header:
            raise ValueError("`signed` has {timestamp} in it: say which header it is in, `timestamp_header`")
        if "{id}" in self.signed and not self.id_header:
            raise ValueError("`signed` has {id} in it: say which header it is in, `id_header`")
        return self


INLINE = ("secret", "previous_secret", "public_key", "jwks", "jwks_url")
"""What signatures are checked with, where it is written here: it becomes a credential when the workflow is saved."""


class WebhookAuth(Auth):
    """What a call must bring. A password, token or header's value is hashed before the workflow is stored; what
    signatures are checked with is a credential."""

    type: Literal["none", "basic", "bearer", "header", "hmac", "jwt"] = "none"  # type: ignore[assignment]
    credential: str = Field(
        "", max_length=255, description="hmac, jwt: the credential with the secret or key, by id or name."
    )
    secret: Secret = Field(
        "", description="hmac, jwt: the secret itself. It is kept as a credential, and its id stands here then."
    )
    previous_secret: Secret = Field("", description="hmac, jwt: the one before, while it is changed.")
    public_key: Text = Field("", description="jwt: a public key in PEM.", json_schema_extra={"widget": "textarea"})
    jwks: Text = Field("", description="jwt: a JWK Set.", json_schema_extra={"widget": "textarea"})
    jwks_url: Text = Field("", description="jwt: where a JWK Set is.")
    preset: Literal["standard", "stripe", "github", "slack", "shopify", "custom"] = Field(
        "standard", description="hmac: whose signatures."
    )
    custom: CustomSignature | None = Field(None, description="hmac, preset custom.")
    tolerance: int = Field(300, ge=10, le=86_400, description="hmac, jwt: seconds that a signed time may be off.")
    issuer: str = Field("", max_length=500, description="jwt: `iss` has to be this.")
    audience: str = Field("", max_length=500, description="jwt: `aud` has to name this.")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> WebhookAuth:
        if self.type == "basic" and not self.password:
            raise ValueError("auth basic needs `password`")
        given = any(getattr(self, name) for name in INLINE)
        if self.type not in ("hmac", "jwt") and given:
            raise ValueError("`secret` and keys are for auth hmac and jwt")
        if self.type in ("hmac", "jwt") and not self.credential and not given:
            raise ValueError(f"auth {self.type} needs `credential`, or the secret or key itself")
        if self.type == "hmac" and self.preset == "custom" and self.custom is None:
            raise ValueError("preset custom needs `custom`")
        return self


def gathered(data: Any) -> Any:
    """`gather`, with what only webhooks have."""
    if not isinstance(data, dict) or not {"auth_type", "auth_config"} & data.keys():
        return gather(data)
    own = {name: data[name] for name in _FLAT if name in data}
    rest = gather({name: value for name, value in data.items() if name not in own})
    return {**rest, "auth": {**own, **rest["auth"]}}


_FLAT = (*INLINE, "credential", "preset", "custom", "tolerance", "issuer", "audience")


class Dedupe(Params):
    """Calls that are one."""

    header: HeaderName | Literal[""] = Field("", description="By this header.")
    key: str = Field(
        "", max_length=2000, description="By this expression over the call, such as {{ trigger.body.id }}."
    )
    ttl: float = Field(0, ge=0, le=366 * 86_400, description="Seconds; 0 for as long as the run is kept.")

    @model_validator(mode="after")
    def _says_by_what(self) -> Dedupe:
        if bool(self.header) == bool(self.key):
            raise ValueError("say one of `header` and `key`")
        return self


class WebhookParams(Params):
    """What the receiver asks of a call, and how it answers."""

    path: Path = Field("", description="Letters, digits, - _ and .; / between parts. :name is a parameter.")
    methods: Annotated[list[Method], BeforeValidator(to_list), Field(min_length=1)] = Field(
        default=["POST"], validation_alias=AliasChoices("methods", "method")
    )
    auth: WebhookAuth = Field(default_factory=lambda: WebhookAuth.model_validate({}))
    response_mode: Literal["immediate", "wait"] = Field(
        "immediate",
        validation_alias=AliasChoices("response_mode", "mode"),
        description="wait: answer when the run has one.",
    )
    wait_timeout: float = Field(25, gt=0, le=28, description="Seconds; mode wait.")
    response_status: int = Field(200, ge=200, le=599)
    response_body: Any = None
    input_schema: InputSchema = Field(
        default_factory=dict, description="JSON Schema of the body. A call with another one is refused: 422."
    )
    rate_limit: int | None = Field(None, ge=1, le=10_000, description="Calls a minute from one address.")
    dedupe: Dedupe | None = None
    cors_origins: Annotated[list[Origin], BeforeValidator(to_list), Field(max_length=50)] = Field(
        default=[], description="Whose pages may call: https://shop.example, or * for any."
    )
    max_body: int | None = Field(None, ge=1, le=16 * 1024 * 1024, description="Bytes; below the installation's limit.")
    raw_body: bool = Field(False, description="Give the run the bytes as well, as `raw` in base64.")

    _gather = model_validator(mode="before")(gathered)


class WebhookTrigger(Trigger):
    type: ClassVar[str] = "trigger_webhook"
    name: ClassVar[str] = "Webhook"
    description: ClassVar[str] = "Start by an HTTP call."
    params: ClassVar[builtins.type[Params]] = WebhookParams
    help = """
    The call is answered at once with `response_status` and `response_body`, or with `response_mode: wait` by the run's
    `respond` node, within `wait_timeout` seconds. What signs, repeats or comes from a page in a browser is in
    [webhooks.md](../webhooks.md). The original's flat `auth_type` with its fields is read too. A password or token
    is hashed before the workflow is stored, and the `secret` of signatures becomes a credential.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "method": {"type": "string"},
                "headers": {"type": "object"},
                "query": {"type": "object"},
                "body": ANY,
                "ip": {"type": "string"},
                "path": {"type": "string"},
                "params": {"type": "object", "description": "The path's parameters, where it has some."},
                "raw": {"type": "string", "description": "The body's bytes in base64, with `raw_body`."},
            },
        }
    }
    examples = (
        Example(
            name="An order comes in",
            config={"path": "my-hook", "method": "POST"},
            input={"method": "POST", "path": "my-hook", "headers": {}, "query": {}, "body": {"order": "A7"}, "ip": ""},
            output={"method": "POST", "path": "my-hook", "headers": {}, "query": {}, "body": {"order": "A7"}, "ip": ""},
        ),
    )
    refuses = (
        Refusal({"path": "a b"}, "/path", "invalid_value"),
        Refusal({"auth": {"type": "hmac"}}, "/auth", "invalid_value"),
        Refusal({"cors_origins": ["shop.example"]}, "/cors_origins/0", "invalid_value"),
    )


node = WebhookTrigger()
