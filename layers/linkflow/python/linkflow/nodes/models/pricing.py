"""What a call costs, by a table of data (`prices.json`), or by what the node says."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from linkflow.domain.steps import Usage
from linkflow.nodes.models.params import Prices
from linkflow.nodes.models.talk import Tokens

_RELEASE = re.compile(r"(-latest|-\d{4}-\d{2}-\d{2}|-\d{8})?(-v\d+)?(:\d+(:\w+)?)?")
"""What may stand behind a model's name: which release of it. Anything else is another model."""
_WHERE = re.compile(r"(us|us-gov|eu|apac|jp|au|ca|sa|global)\.")


class Price(msgspec.Struct, frozen=True):
    """US dollars for a million tokens."""

    input: float
    output: float
    cached: float | None = None


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, Price]]:
    data = msgspec.json.decode(files(__package__).joinpath("prices.json").read_bytes())
    return msgspec.convert(data["models"], dict[str, dict[str, Price]])


def price_of(provider: str, model: str, own: Prices | None = None) -> Price | None:
    """What a model costs; None for one that nobody knows a price of."""
    if own is not None:
        return Price(own.input, own.output, own.cached)
    name = _WHERE.sub("", model, count=1) if provider == "bedrock" else model
    known = _table().get(provider, {})
    for listed in sorted(known, key=len, reverse=True):
        if name.startswith(listed) and _RELEASE.fullmatch(name[len(listed) :]):
            return known[listed]
    return None


def usage_of(provider: str, model: str, tokens: Tokens, own: Prices | None = None) -> Usage:
    """Tokens with what they cost, in billionths of a dollar."""
    price, cost = price_of(provider, model, own), None
    if price is not None:
        cached = min(tokens.cached, tokens.input)
        per_cached = price.input if price.cached is None else price.cached
        dollars = (tokens.input - cached) * price.input + cached * per_cached + tokens.output * price.output
        cost = round(dollars * 1000)  # a millionth of a dollar is a thousand billionths
    return Usage(model, provider, tokens.input, tokens.output, tokens.cached, cost).bounded


def usage_shown(usage: Usage | None) -> dict[str, Any]:
    """Usage as nodes hand it on."""
    used = usage or Usage()
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "cached_tokens": used.cached_tokens,
    }
