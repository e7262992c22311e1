"""Every kind of credential there is: the built-in ones, and those of packages (entry point group
``linkflow.credentials``, by the kind's name)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from linkflow.domain.errors import Problem
from linkflow.nodes.credentials import KINDS, Credential, describe_kind
from linkflow.observability import logger

GROUP = "linkflow.credentials"


@lru_cache(maxsize=1)
def kinds() -> Mapping[str, type[Credential]]:
    """All kinds by name. A package's that cannot be loaded, or takes a name that is taken, is logged and left out."""
    found = dict(KINDS)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            model = entry.load()
            if not (isinstance(model, type) and issubclass(model, Credential)) or model.kind != entry.name:
                raise TypeError(f"it must be a Credential whose kind is {entry.name!r}")
            if found.setdefault(entry.name, model) is not model:
                raise TypeError(f"the kind {entry.name!r} is taken")
        except Exception:
            logger.exception("A kind of credential is left out", extra={"kind": entry.name, "source": entry.value})
    return found


def find(name: str) -> type[Credential] | None:
    return kinds().get(name)


def describe(name: str) -> dict[str, Any]:
    """A kind with the JSON Schema of its fields. Raises `KeyError`."""
    if name in KINDS:
        return describe_kind(name)
    kind = kinds()[name]
    return {"kind": name, "title": kind.title, "schema": kind.model_json_schema(by_alias=True)}


@lru_cache(maxsize=1)
def described() -> tuple[dict[str, Any], ...]:
    """All of them, by name; `type` is the kind, as the API calls it."""
    return tuple({"type": name, **describe(name)} for name in sorted(kinds()))


def check(name: str, data: Mapping[str, Any], path: str = "/data") -> tuple[dict[str, Any], list[Problem]]:
    """The fields as they are stored, under the names that nodes read, or all that is wrong with them. No message names
    a value."""
    model = kinds()[name]
    try:
        made = model.model_validate(dict(data))
    except ValidationError as error:
        return {}, [
            Problem(f"{path}/{'/'.join(map(str, fault['loc']))}".rstrip("/"), _code(fault["type"]), _words(fault))
            for fault in error.errors(include_input=False, include_url=False)
        ]
    return made.model_dump(by_alias=True), []


def _code(kind: str) -> str:
    known = {"missing": "missing_field", "extra_forbidden": "unknown_field"}
    return known.get(kind) or ("invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value")


def _words(fault: Mapping[str, Any]) -> str:
    name = fault["loc"][-1] if fault["loc"] else "data"
    if fault["type"] == "missing":
        return f"`{name}` is required."
    if fault["type"] == "extra_forbidden":
        return f"This kind has no field `{name}`."
    return f"{str(fault['msg']).removeprefix('Value error, ')}.".replace("..", ".")
