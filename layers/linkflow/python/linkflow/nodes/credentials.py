"""The kinds of credential: what fields each has, with a JSON Schema for its form. Secrets are `writeOnly` in it.

Nodes name kinds in their `slots`; what a node is given at run time is a mapping with these fields (`connections`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from linkflow.nodes.fields import Secret, Text, sentence


class Credential(BaseModel):
    """Base of every kind."""

    model_config = ConfigDict(extra="forbid", field_title_generator=sentence, defer_build=True)

    kind: ClassVar[str]
    title: ClassVar[str]

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """Fields that nobody may see once they are saved, by the names under which they are stored."""
        return frozenset(
            info.alias or name
            for name, info in cls.model_fields.items()
            if isinstance(extra := info.json_schema_extra, dict) and extra.get("writeOnly")
        )


class HttpBasic(Credential):
    kind = "http_basic"
    title = "User name and password"

    username: Text
    password: Secret = ""


class HttpBearer(Credential):
    kind = "http_bearer"
    title = "Bearer token"

    token: Secret


class HttpHeader(Credential):
    kind = "http_header"
    title = "Secret header"

    header_name: Text = "X-API-Key"
    header_value: Secret


class HttpQuery(Credential):
    kind = "http_query"
    title = "Secret in the query"

    query_name: Text = Field("api_key", description="Name of the query parameter.")
    query_value: Secret


class OAuth2Client(Credential):
    kind = "oauth2_client"
    title = "OAuth 2, client credentials"

    token_url: Text = Field(description="Where tokens are given out.")
    client_id: Text
    client_secret: Secret
    scope: Text = Field("", description="Scopes with blanks between them.")
    audience: Text = ""
    client_auth: Literal["basic", "body"] = Field("basic", description="How the client says who it is.")


class OAuth2Refresh(Credential):
    kind = "oauth2_refresh"
    title = "OAuth 2, refresh token"

    token_url: Text = Field(description="Where tokens are given out.")
    client_id: Text
    client_secret: Secret = ""
    refresh_token: Secret
    scope: Text = Field("", description="Scopes with blanks between them.")
    client_auth: Literal["basic", "body"] = Field("basic", description="How the client says who it is.")


class OAuth2(Credential):
    kind = "oauth2"
    title = "OAuth 2, with somebody's consent"

    authorize_url: Text = Field(description="Where people are asked for their consent.")
    token_url: Text = Field(description="Where tokens are given out.")
    client_id: Text
    client_secret: Secret = ""
    scope: Text = Field("", description="Scopes with blanks between them.")
    audience: Text = ""
    parameters: Text = Field("", description="More for the authorize URL, such as access_type=offline&prompt=consent.")
    client_auth: Literal["basic", "body"] = Field("basic", description="How the client says who it is.")


class Aws(Credential):
    kind = "aws"
    title = "AWS access key"

    access_key_id: Text
    secret_access_key: Secret
    session_token: Secret = ""
    region: Text = "us-east-1"
    service: Text = Field("execute-api", description="For HTTP requests, as in the signature: execute-api, s3 …")
    endpoint: Text = Field("", description="Another address of the service: a store that speaks S3, or a test's.")


class TlsClient(Credential):
    kind = "tls_client"
    title = "TLS certificate"

    certificate: Text = Field("", description="One's own, in PEM.", json_schema_extra={"widget": "textarea"})
    key: Secret = Field("", description="Its key in PEM, without a password.")
    ca: Text = Field("", description="Authorities to trust as well.", json_schema_extra={"widget": "textarea"})


class HttpProxy(Credential):
    kind = "http_proxy"
    title = "HTTP proxy"

    url: Text = Field(description="http://host:port")
    username: Text = ""
    password: Secret = ""


class Slack(Credential):
    kind = "slack"
    title = "Slack"

    token: Secret = Field("", description="A bot's token; or give an incoming webhook.")
    webhook_url: Secret = ""
    base_url: Text = Field("", description="Another address of Slack's API.")


class Discord(Credential):
    kind = "discord"
    title = "Discord"

    webhook_url: Secret = Field("", description="A channel's webhook; or give a bot's token.")
    bot_token: Secret = ""
    base_url: Text = Field("", description="Another address of Discord's API.")


class Teams(Credential):
    kind = "teams"
    title = "Microsoft Teams"

    webhook_url: Secret = Field(description="The address of an incoming webhook, or of a workflow.")


class Telegram(Credential):
    kind = "telegram"
    title = "Telegram bot"

    token: Secret = Field(description="As BotFather gave it.")
    base_url: Text = Field("", description="The address of a Bot API server of one's own.")


class Twilio(Credential):
    kind = "twilio"
    title = "Twilio"

    account_sid: Text = Field(description="AC…")
    auth_token: Secret = Field("", description="Or give an API key.")
    api_key: Text = Field("", description="SK…")
    api_key_secret: Secret = ""
    sender: Text = Field("", alias="from", title="From", description="A number, or a messaging service (MG…).")
    base_url: Text = Field("", description="Another address of Twilio's API, such as a region's.")


class GitHub(Credential):
    kind = "github"
    title = "GitHub"

    token: Secret = Field(description="A personal access token, or one of an app's installation.")
    base_url: Text = Field("", description="GitHub Enterprise: https://HOST/api/v3.")


class Stripe(Credential):
    kind = "stripe"
    title = "Stripe"

    api_key: Secret = Field(description="A secret or restricted key: sk_… or rk_….")
    base_url: Text = Field("", description="Another address of Stripe's API.")


class GoogleServiceAccount(Credential):
    kind = "google_service_account"
    title = "Google service account"

    client_email: Text
    private_key: Secret = Field(description="In PEM, as in the account's JSON file.")
    token_url: Text = Field("https://oauth2.googleapis.com/token", description="`token_uri` of the JSON file.")
    scope: Text = Field("https://www.googleapis.com/auth/spreadsheets", description="Scopes with blanks between them.")
    subject: Text = Field("", description="The user to act for, with domain-wide delegation.")
    base_url: Text = Field("", description="Another address of the API.")


class Webhook(Credential):
    kind = "webhook"
    title = "Webhook signature"

    secret: Secret = Field(description="whsec_ and base64, or any text.")
    previous_secret: Secret = Field("", description="The one before, while receivers change over.")


class WebhookJwt(Credential):
    kind = "webhook_jwt"
    title = "Keys of tokens (JWT)"

    secret: Secret = Field("", description="For HS256, HS384 and HS512.")
    previous_secret: Secret = Field("", description="The one before, while it is changed.")
    public_key: Text = Field("", description="In PEM.", json_schema_extra={"widget": "textarea"})
    jwks: Text = Field("", description="A JWK Set.", json_schema_extra={"widget": "textarea"})
    jwks_url: Text = Field("", description="Where a JWK Set is: https://…/.well-known/jwks.json")

    @model_validator(mode="after")
    def _has_a_key(self) -> WebhookJwt:
        if not (self.secret or self.public_key or self.jwks or self.jwks_url):
            raise ValueError("give a `secret`, a `public_key`, `jwks` or a `jwks_url`")
        if self.jwks_url and not self.jwks_url.startswith(("https://", "http://")):
            raise ValueError("`jwks_url` is an address: https://…")
        if self.public_key and "-----BEGIN PUBLIC KEY-----" not in self.public_key:
            raise ValueError("`public_key` is in PEM: -----BEGIN PUBLIC KEY-----")
        if self.jwks and not _is_jwk_set(self.jwks):
            raise ValueError('`jwks` is a JWK Set: {"keys": [{"kty": …}]}')
        return self


def _is_jwk_set(text: str) -> bool:
    try:
        keys = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError):
        return False
    return isinstance(keys, list) and bool(keys) and all(isinstance(key, dict) and "kty" in key for key in keys)


class Smtp(Credential):
    kind = "smtp"
    title = "Mail server"

    host: Text
    port: int = Field(0, ge=0, le=65535, description="0: as `tls` says.")
    username: Text = ""
    password: Secret = ""
    tls: Literal["", "none", "starttls", "tls"] = Field("", description="Left out: told from the port.")
    sender: Text = Field("", alias="from", title="From")


class Ai(Credential):
    kind = "ai"
    title = "Language model"

    api_key: Secret = ""
    provider: Literal["", "openai", "anthropic", "bedrock", "compatible"] = ""
    base_url: Text = ""
    model: Text = Field("", description="Where the node names none.")


class Postgres(Credential):
    kind = "postgres"
    title = "Postgres"

    connection_string: Secret = Field(description="postgresql://user:password@host:5432/database")
    ca: Text = Field("", description="Authorities to trust, in PEM.", json_schema_extra={"widget": "textarea"})


class Mysql(Credential):
    kind = "mysql"
    title = "MySQL"

    connection_string: Secret = Field(description="mysql://user:password@host:3306/database?ssl-mode=verify_identity")
    ca: Text = Field("", description="Authorities to trust, in PEM.", json_schema_extra={"widget": "textarea"})


class Redis(Credential):
    kind = "redis"
    title = "Redis or Valkey"

    url: Secret = Field(description="redis://user:password@host:6379/0, or rediss:// with TLS.")
    ca: Text = Field("", description="Authorities to trust, in PEM.", json_schema_extra={"widget": "textarea"})


class SigningKey(Credential):
    kind = "signing_key"
    title = "Signing key"

    secret: Secret = Field(description="For HMAC: the key. Otherwise a private key in PEM.")


KINDS: Mapping[str, type[Credential]] = {
    kind.kind: kind
    for kind in (
        HttpBasic, HttpBearer, HttpHeader, HttpQuery, OAuth2Client, OAuth2Refresh, OAuth2, Aws, TlsClient, HttpProxy,
        Slack, Smtp, Ai, Postgres, Mysql, Redis, SigningKey, Discord, Teams, Telegram, Twilio, GitHub, Stripe,
        GoogleServiceAccount, Webhook, WebhookJwt,
    )
}  # fmt: skip


@lru_cache(maxsize=256)
def describe_kind(name: str) -> dict[str, Any]:
    """A kind with the JSON Schema of its fields."""
    kind = KINDS[name]
    return {"kind": name, "title": kind.title, "schema": kind.model_json_schema(by_alias=True)}
