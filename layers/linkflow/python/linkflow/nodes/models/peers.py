"""Whom to ask, and with which key.

A key goes to the place that whoever gave the key named, and nowhere else: a connection's own address, or else the
public address of its provider. An endpoint in a node's config gets the key in that same config, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.models import bedrock
from linkflow.nodes.models.anthropic import Anthropic
from linkflow.nodes.models.openai import OpenAi
from linkflow.nodes.models.params import ModelParams
from linkflow.nodes.models.talk import Provider

FAMILY = "ai"

PROVIDERS: Mapping[str, Provider] = {
    "openai": OpenAi(),
    "anthropic": Anthropic(),
    "bedrock": bedrock.Bedrock(),
    "compatible": OpenAi(compatible=True),
}


class Peer(Struct, frozen=True):
    """`keys` are AWS's, where requests are signed with them."""

    provider: Provider
    base_url: str
    key: str
    model: str
    keys: Mapping[str, str] | None = None


def peer_of(params: ModelParams, context: Context, default_model: str = "") -> Peer:
    """Raises `NodeFailure` ``no_credential``, ``ai_wrong_provider``, ``bad_credential``."""
    if params.endpoint:
        provider = PROVIDERS[params.provider or "compatible"]
        if provider.name == "bedrock" and not params.api_key:
            raise _not_set_up()
        return Peer(provider, params.endpoint, params.api_key, params.model or default_model or provider.default_model)
    secrets = connection(context, FAMILY)
    if params.api_key:  # the node's own, so not for the place that a connection names
        secrets = {"api_key": params.api_key, "provider": params.provider}
    said = str(secrets.get("provider") or "")
    own = said or ("bedrock" if "access_key_id" in secrets else "")
    if own and params.provider and own != params.provider:
        text = f"The connection is for {own}, the node asks {params.provider}."
        raise NodeFailure("ai_wrong_provider", text, retryable=False)
    name = params.provider or own or "openai"
    if name not in PROVIDERS:
        raise NodeFailure("ai_wrong_provider", f"There is no provider {name[:40]!r}.", retryable=False)
    provider = PROVIDERS[name]
    model = params.model or str(secrets.get("model") or "") or default_model or provider.default_model
    if provider.name == "bedrock":
        return _on_aws(provider, params, secrets, model)
    key, base_url = str(secrets.get("api_key") or ""), str(secrets.get("base_url") or "") or provider.base_url
    if not base_url or (not key and not secrets.get("base_url")):
        raise _not_set_up()
    return Peer(provider, base_url, key, model)


def _on_aws(provider: Provider, params: ModelParams, secrets: Mapping[str, Any], model: str) -> Peer:
    region = params.region or str(secrets.get("region") or "") or "us-east-1"
    try:
        base_url = str(secrets.get("base_url") or "") or bedrock.address(region)
    except ValueError as error:
        raise NodeFailure("bad_credential", f"{error}.", retryable=False) from None
    if key := str(secrets.get("api_key") or ""):
        return Peer(provider, base_url, key, model)
    if "access_key_id" not in secrets:
        raise _not_set_up()
    from linkflow.nodes.http_auth import checked  # asyncio brings TLS with it

    keys = checked({**secrets, "region": region, "service": bedrock.SERVICE}, "aws")
    return Peer(provider, base_url, "", model, keys)


def _not_set_up() -> NodeFailure:
    text = (
        "AI is not set up: give the node a credential with an `api_key` (and its own `base_url`, if it has one), or "
        "for Bedrock AWS keys."
    )
    return NodeFailure("no_credential", text, retryable=False)
