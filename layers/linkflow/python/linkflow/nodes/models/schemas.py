"""Does a value fit a JSON Schema (2020-12)? By `jsonschema`, with bounds: schemas and values are strangers'.

Patterns are matched in linear time, references are followed so often and no more, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

MOST_FAULTS = 10
MOST_BYTES = 64 * 1024
"""Bytes of a schema."""


def fault(schema: Mapping[str, Any]) -> str:
    """Why this is no schema that values can be held against; nothing if it is one."""
    from linkflow.nodes.models.keywords import check

    try:
        data = msgspec.json.encode(schema)
        if len(data) > MOST_BYTES:
            return f"it has {len(data):,} bytes, the limit is {MOST_BYTES:,}"
        if b'"unevaluatedProperties"' in data and b'"patternProperties"' in data:
            return "unevaluatedProperties and patternProperties do not go together here"
        check(msgspec.json.decode(data))
        values: tuple[Any, ...] = (None, {}, [], "")
        for value in values:  # so that references which lead nowhere show
            list(_faults(schema, value))
    except Exception as error:  # jsonschema has errors of many kinds, and so do references that lead nowhere
        return str(getattr(error, "message", "") or error or type(error).__name__).splitlines()[0][:300]
    return ""


def faults(schema: Mapping[str, Any], value: Any) -> list[dict[str, str]]:
    """Where `value` does not fit: JSON Pointers and what is wrong, the first few. Empty where it fits."""
    try:
        return list(_faults(schema, value))
    except Exception as error:  # a schema that leads on and on, a pattern that is none, a reference to nowhere
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:300] or type(error).__name__
        return [{"path": "", "message": f"It cannot be held against the schema: {why}."}]


def _faults(schema: Mapping[str, Any], value: Any) -> Iterator[dict[str, str]]:
    from linkflow.nodes.models.keywords import validator

    for error in islice(validator(schema).iter_errors(value), MOST_FAULTS):
        path = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
        yield {"path": path, "message": error.message[:300]}
