"""Every node type there is, found by the entry point group ``linkflow.nodes``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from linkflow.domain.errors import Problem
from linkflow.nodes.base import NodeType

GROUP = "linkflow.nodes"


class Registry:
    """Node types by name and alias. Raises `RuntimeError` if there are none, or if two claim one name."""

    def __init__(self, types: Iterable[NodeType]) -> None:
        self._types: dict[str, NodeType] = {}
        self._names: dict[str, NodeType] = {}
        for node in types:
            for name in (node.type, *node.aliases):
                if (other := self._names.get(name)) is not None:
                    raise RuntimeError(f"Two node types claim the name {name!r}: {other.type} and {node.type}.")
                self._names[name] = node
            self._types[node.type] = node
        if not self._types:
            raise RuntimeError(
                f"No node types found in the entry point group {GROUP!r}: the linkflow package is not installed, only "
                "copied. Install it (`pip install -e .`, or `pip install --target` into the Lambda layer)."
            )

    @classmethod
    def load(cls) -> Registry:
        """The registry of this process, read once."""
        return _loaded()

    def resolve(self, name: str) -> NodeType | None:
        """The node type with this name or alias."""
        return self._names.get(name)

    def canonical(self, name: str) -> str | None:
        """The canonical spelling of a type's name or alias."""
        node = self._names.get(name)
        return node.type if node else None

    def types(self) -> list[NodeType]:
        """All node types, by category and name."""
        return sorted(self._types.values(), key=lambda node: (node.category, node.type))

    def names(self) -> list[str]:
        """All canonical names."""
        return sorted(self._types)

    def expression_fields(self, type: str) -> tuple[str, ...]:
        """Config fields that always hold an expression. A field that may also be a dot path is checked as text."""
        node = self._names.get(type)
        paths = getattr(node, "path_fields", ())
        return tuple(name for name in node.expression_fields if name not in paths) if node else ()

    def outputs(self, type: str, config: Mapping[str, Any]) -> tuple[str, ...]:
        """Output names of a node with this (unresolved) config; none for an unknown type."""
        node = self._names.get(type)
        return node.outputs(config) if node else ()

    def pure(self, type: str) -> bool:
        """Does this type only compute?"""
        node = self._names.get(type)
        return node is not None and node.pure

    def check(self, type: str, config: Mapping[str, Any]) -> list[Problem]:
        """Every fault of a config as it is saved, with paths relative to it (``/url``).

        Values with ``{{`` are known at run time only, and are checked there.
        """
        node = self._names.get(type)
        if node is None:
            near = difflib.get_close_matches(type, self._names, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            return [Problem("", "unknown_type", f"There is no node type {type!r}.{hint}")]
        # A trigger's secret is no leak: it is hashed before the definition is stored.
        warnings = _warnings(node.params, config, "") if node.category != "trigger" else ()
        return [*_errors(node, dict(config)), *warnings]

    def describe(self) -> list[dict[str, Any]]:
        """The catalogue as JSON: what a console needs to offer every type and draw its form."""
        return [
            {
                "type": node.type,
                "aliases": list(node.aliases),
                "name": node.name,
                "description": node.description,
                "category": node.category,
                "pure": node.pure,
                "outputs": list(node.outputs({})),
                "credentials": list(getattr(node, "slots", ())),
                "schema": node.params.model_json_schema(by_alias=False),
            }
            for node in self.types()
        ]


@lru_cache(maxsize=1)
def _loaded() -> Registry:
    return Registry(entry.load() for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _errors(node: NodeType, config: dict[str, Any]) -> Iterator[Problem]:
    try:
        node.params.model_validate(config)
    except ValidationError as error:
        seen: set[str] = set()
        for item in error.errors(include_url=False, include_context=True, include_input=False):
            path, value = _locate(config, item["loc"], item["type"])
            known_later = _is_dynamic(value) and item["type"] != "expression_in_path"
            if known_later or path in seen:
                continue  # the branches of a union each report the same value
            seen.add(path)
            yield Problem(path, _code(item["type"]), _message(node, item["type"], item["msg"], item["loc"]))


def _code(kind: str) -> str:
    """pydantic's name of a fault in the words of `domain.importing`."""
    known = {"missing": "missing_field", "extra_forbidden": "unknown_field", "expression_in_path": "expression_in_path"}
    return known.get(kind) or ("invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value")


_UNKNOWN = object()


def _locate(config: Any, loc: tuple[int | str, ...], kind: str) -> tuple[str, Any]:
    """The JSON Pointer and value that `loc` leads to. Parts that name a branch of a union are no part of the path."""
    path, value = "", config
    for part in loc:
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and part in range(len(value))):
            value = value[part]  # type: ignore[index]
        elif kind == "missing" and part == loc[-1]:
            return f"{path}/{_escape(part)}", _UNKNOWN
        else:
            break
        path += f"/{_escape(part)}"
        if _is_dynamic(value):
            break
    return path, value


def _escape(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _is_dynamic(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def _message(node: NodeType, kind: str, message: str, loc: tuple[int | str, ...]) -> str:
    if kind == "missing":
        return f"`{loc[-1]}` is required."
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[-1]), [key for _, _, keys in _fields(node.params) for key in keys], 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        return f"{node.name} has no field `{loc[-1]}`.{hint}"
    text = message.removeprefix("Value error, ").replace("Input should", "It should")
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, list[str]]]:
    """Each field with every key it is read from."""
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        others = [key for key in alias.choices if isinstance(key, str)] if isinstance(alias, AliasChoices) else []
        yield name, info, list(dict.fromkeys([*others, name]))


def _warnings(model: type[BaseModel], config: Mapping[str, Any], base: str) -> Iterator[Problem]:
    """Secrets written into the config, and fields that are read but do nothing any more."""
    for _, info, keys in _fields(model):
        key = next((key for key in keys if key in config), None)
        if key is None:
            continue
        value, path = config[key], f"{base}/{_escape(key)}"
        extra = info.json_schema_extra
        if (
            isinstance(extra, dict)
            and extra.get("writeOnly")
            and isinstance(value, str)
            and value
            and not _is_dynamic(value)
        ):
            text = f"`{key}` is a secret in the workflow itself; put it into a credential."
            yield Problem(path, "secret_in_config", text, "warning")
        if isinstance(info.deprecated, str):
            yield Problem(path, "not_used", info.deprecated, "warning")
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel) and isinstance(value, Mapping):
            yield from _warnings(info.annotation, value, path)
