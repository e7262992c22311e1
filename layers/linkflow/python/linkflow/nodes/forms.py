"""From a parameter model to the JSON Schema that a form is drawn from.

Besides what JSON Schema has, a property says its `widget`, `also` (other names that it is read from) and, where fields
belong together, its `group`. Where a type has operations, `operations` are those that take the field, `needed` those of
them that cannot do without.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from linkflow.nodes.fields import sentence

WIDGETS = (
    "text", "textarea", "number", "switch", "select", "multiselect", "password", "json", "list", "fields", "table",
    "object", "code", "expression", "path", "datetime",
)  # fmt: skip
"""What a console must be able to draw. `fields` is names with values, `table` a list of objects."""


def form(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a parameter model, with a widget for every property, also of nested objects."""
    schema = model.model_json_schema(by_alias=False)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    defs = schema.get("$defs", {})
    for part in (schema, *defs.values()):
        for name, field in part.get("properties", {}).items():
            field.setdefault("title", sentence(name))
            field.setdefault("widget", _widget(field, defs))
            _drop_nulls(field)
    for name, info in model.model_fields.items():
        if others := [key for key in _keys(info) if key != name]:
            schema["properties"][name]["also"] = others
    return schema


def _keys(info: FieldInfo) -> list[str]:
    """Names that a field is read from besides its own."""
    alias = info.validation_alias
    return [key for key in alias.choices if isinstance(key, str)] if isinstance(alias, AliasChoices) else []


def _drop_nulls(field: dict[str, Any]) -> None:
    """A default of null says nothing to somebody who fills in a form."""
    if "default" in field and field["default"] is None:
        del field["default"]


def _widget(field: dict[str, Any], defs: dict[str, Any]) -> str:
    found = _resolved(field, defs)
    if found.get("writeOnly"):
        return "password"
    if "enum" in found or "const" in found:
        return "select"
    kind = found.get("type")
    if kind == "array":
        items = _resolved(found.get("items", {}), defs)
        return "multiselect" if "enum" in items else "table" if "properties" in items else "list"
    if kind == "object":
        return "object" if "properties" in found else "fields"
    return {"boolean": "switch", "integer": "number", "number": "number", "string": "text"}.get(str(kind), "json")


def _resolved(field: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """The part of a field's schema that says what it is: behind a reference, or the one branch that is not null."""
    if "$ref" in field:
        return {**defs.get(field["$ref"].rsplit("/", 1)[-1], {}), **field}
    branches = [part for part in field.get("anyOf", field.get("allOf", ())) if part.get("type") != "null"]
    if len(branches) == 1:
        return {**_resolved(branches[0], defs), **{name: field[name] for name in ("writeOnly",) if name in field}}
    if branches and all(part.get("type") in ("string", "number", "integer") for part in branches):
        return {"type": "string"}
    return field
