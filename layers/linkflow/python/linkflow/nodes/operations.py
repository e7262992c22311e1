"""Node types that do several things: which field belongs to which operation, told once for check, form and page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from msgspec import Struct
from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from linkflow.nodes.base import NodeFailure, Params
from linkflow.nodes.fields import to_text, ui

_NOTHING: tuple[Any, ...] = (None, "", [], {})


def part(
    default: Any = "", description: str = "", *, of: str = "", needed: str = "", also: str = "", group: str = "",
    widget: str = "", **more: Any,
) -> Any:  # fmt: skip
    """A field of a parameter model. `of` are the operations that take it, `needed` those that cannot do without,
    `also` other names that it is read from; all with blanks between."""
    extra = ui(widget, group)
    if of or needed:
        extra |= {"operations": [*needed.split(), *of.split()], "needed": needed.split()}
    if also:
        more["validation_alias"] = AliasChoices(*also.split())
    if default in ([], {}):
        kind = type(default)
        return Field(default_factory=kind, description=description or None, json_schema_extra=extra or None, **more)
    return Field(default, description=description or None, json_schema_extra=extra or None, **more)


class Operated(Params):
    """A model whose field `operation` says what is done. It wants what that operation needs, all of it at once.
    `instead` names fields that may stand in for others."""

    instead: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Operated:
        operation = str(getattr(self, "operation", ""))
        missing = [
            name
            for name, info in type(self).model_fields.items()
            if operation in needed_by(info)
            and getattr(self, name) in _NOTHING
            and getattr(self, self.instead.get(name, name)) in _NOTHING
        ]
        if missing:
            raise ValidationError.from_exception_data(
                type(self).__name__, [_missing(self, name, operation) for name in missing]
            )
        return self


def needed_by(info: FieldInfo) -> list[str]:
    """The operations that cannot do without this field."""
    extra = info.json_schema_extra
    found = extra.get("needed") if isinstance(extra, dict) else None
    return [str(name) for name in found] if isinstance(found, list) else []


def _missing(params: Operated, name: str, operation: str) -> InitErrorDetails:
    other = f" or `{params.instead[name]}`" if name in params.instead else ""
    text = f"operation {operation} needs `{name}`{other}".replace("{", "{{").replace("}", "}}")
    return InitErrorDetails(type=PydanticCustomError("needed", text), loc=(name,), input=getattr(params, name))


class Route(Struct, frozen=True):
    """How one operation goes out: `path` has fields in braces, `body` and `query` name fields of the parameters.

    A field goes by its own name, or as ``field:name`` by another.
    """

    method: str
    path: str
    body: tuple[str, ...] = ()
    query: tuple[str, ...] = ()

    def url(self, params: Any, **more: Any) -> str:
        """The path with its fields, each as one segment. Raises `NodeFailure` ``invalid_params``."""
        return self.path.format_map(_Segments(params, more))


def picked(params: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The fields of `params` by these names that are not empty."""
    found = {}
    for name in names:
        own, _, other = name.partition(":")
        if (value := getattr(params, own)) not in _NOTHING:
            found[other or own] = value
    return found


class _Segments(dict[str, str]):
    def __init__(self, params: Any, more: Mapping[str, Any]) -> None:
        super().__init__()
        self._params, self._more = params, more

    def __missing__(self, name: str) -> str:
        return segment(self._more[name] if name in self._more else getattr(self._params, name), name)


def segment(value: Any, name: str) -> str:
    """`value` as one segment of a path: it can neither add one nor go up. Raises `NodeFailure` ``invalid_params``."""
    text = str(to_text(value)).strip()
    if text in ("", ".", ".."):
        raise NodeFailure("invalid_params", f"`{name}` is {text!r}, which names nothing.", retryable=False)
    return quote(text, safe="")
