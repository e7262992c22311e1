"""JSON Schema's keywords with bounds of our own; imports `jsonschema`, so it is for those who need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, exceptions, validators
from referencing import Registry

from linkflow.nodes.patterns import compile as compile_pattern

MOST_REFERENCES = 10_000


class TooDeep(ValueError):
    """The schema leads on and on."""


def check(schema: Any) -> None:
    """Raises what `jsonschema` raises for what is no schema."""
    Draft202012Validator.check_schema(schema)


def validator(schema: Any) -> Any:
    """A validator with a budget of its own. It fetches nothing."""
    left = [MOST_REFERENCES]
    own = {
        "pattern": _pattern, "patternProperties": _named, "additionalProperties": _additional,
        "$ref": _counted("$ref", left), "$dynamicRef": _counted("$dynamicRef", left),
    }  # fmt: skip
    return validators.extend(Draft202012Validator, own)(schema, registry=Registry())


def _matches(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).search(text)


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "string") and not _matches(pattern, value):
        yield exceptions.ValidationError(f"{value[:100]!r} does not match {pattern!r}")


def _named(validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "object"):
        for pattern, inner in patterns.items():
            for name in [name for name in value if _matches(pattern, name)]:
                yield from validator.descend(value[name], inner, path=name, schema_path=pattern)


def _additional(validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[Any]:
    if not validator.is_type(value, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in value:
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if rule is False:
            yield exceptions.ValidationError(f"{name[:100]!r} is not among the properties that it may have")
        elif isinstance(rule, Mapping):
            yield from validator.descend(value[name], rule, path=name)


def _counted(keyword: str, left: list[int]) -> Callable[..., Iterator[Any]]:
    plain = Draft202012Validator.VALIDATORS[keyword]

    def follow(validator: Any, reference: Any, value: Any, schema: Any) -> Iterator[Any]:
        left[0] -= 1
        if left[0] < 0:
            raise TooDeep("its references lead on and on")
        yield from plain(validator, reference, value, schema) or ()

    return follow
