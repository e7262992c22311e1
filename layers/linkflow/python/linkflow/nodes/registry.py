"""Every node type there is, found by the entry point group ``linkflow.nodes``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from linkflow.domain.errors import Problem
from linkflow.nodes.base import Base, NodeType
from linkflow.nodes.scripts import Part
from linkflow.observability import logger

GROUP = "linkflow.nodes"


class Registry:
    """Node types by name, alias and version.

    A type that is asked for by its own name is imported then, and no other; an alias, or the whole catalogue, imports
    them all. Raises `RuntimeError` if there are none, or if two claim one name.
    """

    def __init__(self, types: Iterable[NodeType] = (), *, entries: Iterable[EntryPoint] = ()) -> None:
        self._nodes: dict[tuple[str, int], NodeType] = {}
        self._newest: dict[str, NodeType] = {}
        self._entries: dict[str, EntryPoint] = {}
        self._names: dict[str, str] | None = None
        self._described: dict[tuple[str, int], dict[str, Any]] = {}
        for entry in entries:
            other = self._entries.setdefault(entry.name, entry)
            if other.value != entry.value:
                raise RuntimeError(f"Two packages claim the node type {entry.name!r}: {other.value} and {entry.value}.")
        for node in types:
            self._keep(node)
        if not self._entries:
            self._all_names()
        if not self._entries and not self._nodes:
            raise RuntimeError(
                f"No node types found in the entry point group {GROUP!r}: the linkflow package is not installed, only "
                "copied. Install it (`pip install -e .`, or `pip install --target` into the Lambda layer)."
            )

    @classmethod
    def load(cls) -> Registry:
        """The registry of this process, read once."""
        return _loaded()

    def resolve(self, name: str, version: int = 0) -> NodeType | None:
        """The node type with this name or alias; `version` 0 is the newest. None where there is none."""
        node = self._newest.get(name) or self._load(name)
        if node is None:
            canonical = self._all_names().get(name)
            if canonical is None or canonical == name:
                return None
            return self.resolve(canonical, version)
        if version in (0, node.version):
            return node
        return self._nodes.get((name, version)) or self._load(f"{name}.v{version}")

    def canonical(self, name: str) -> str | None:
        """The canonical spelling of a type's name or alias."""
        node = self.resolve(name)
        return node.type if node else None

    def versions(self, type: str) -> tuple[int, ...]:
        """The versions of a type that can be run, oldest first."""
        node = self.resolve(type)
        if node is None:
            return ()
        older = {number for name, number in self._nodes if name == node.type}
        for name in self._entries:
            if found := _VERSIONED.fullmatch(name):
                older |= {int(found[2])} if found[1] == node.type else set()
        return tuple(sorted({node.version, *older}))

    def types(self) -> list[NodeType]:
        """The newest version of every node type, by category and name."""
        self._all_names()
        return sorted(self._newest.values(), key=lambda node: (node.category, node.type))

    def every(self) -> list[NodeType]:
        """Every version of every node type."""
        return [node for type in self.types() for version in self.versions(type.type)
                if (node := self.resolve(type.type, version))]  # fmt: skip

    def names(self) -> list[str]:
        """All canonical names."""
        return sorted({*self._newest, *(name for name in self._entries if not _VERSIONED.fullmatch(name))})

    def expression_fields(self, type: str, version: int = 0) -> tuple[str, ...]:
        """Config fields that always hold an expression. A field that may also be a dot path is checked as text."""
        node = self.resolve(type, version)
        return tuple(name for name in node.expression_fields if name not in node.path_fields) if node else ()

    def literal_fields(self, type: str, version: int = 0) -> tuple[str, ...]:
        """Config fields that hold no expressions, whatever is written there."""
        node = self.resolve(type, version)
        return node.literal_fields if node else ()

    def outputs(self, type: str, config: Mapping[str, Any], version: int = 0) -> tuple[str, ...]:
        """Output names of a node with this (unresolved) config; none for an unknown type."""
        node = self.resolve(type, version)
        return node.outputs(config) if node else ()

    def pure(self, type: str, version: int = 0) -> bool:
        """Does this type only compute?"""
        node = self.resolve(type, version)
        return node is not None and node.pure

    def scripts(self, type: str, config: Mapping[str, Any], version: int = 0) -> tuple[Part, ...]:
        """Scripts in the config of a node of this type."""
        node = self.resolve(type, version)
        return node.scripts(config) if node else ()

    def acts(self, type: str, version: int = 0) -> bool:
        """Does this type need the world outside? One that is not known may."""
        node = self.resolve(type, version)
        if node is None:
            return True
        return node.acts if node.acts is not None else not node.pure and node.category != "trigger"

    def check(self, type: str, config: Mapping[str, Any], version: int = 0) -> list[Problem]:
        """Every fault of a config as it is saved, with paths relative to it (``/url``).

        Values with ``{{`` are known at run time only, and are checked there.
        """
        node = self.resolve(type, version)
        if node is None:
            near = difflib.get_close_matches(type, self._all_names(), 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            return [Problem("", "unknown_type", f"There is no node type {type!r}.{hint}")]
        # A trigger's secret is no leak: it is hashed before the definition is stored.
        warnings = _warnings(node.params, config, "") if node.category != "trigger" else ()
        return [*_errors(node, dict(config)), *warnings]

    def describe(self, every: bool = False) -> list[dict[str, Any]]:
        """The catalogue as JSON: what a console needs to offer every type and draw its form. `every`: also versions
        that are not the newest."""
        from linkflow.nodes.describing import describe  # pages and forms are for those who ask

        found = self.every() if every else self.types()
        for node in found:
            if (node.type, node.version) not in self._described:
                self._described[node.type, node.version] = describe(node, self.versions(node.type))
        return [self._described[node.type, node.version] for node in found]

    def _load(self, name: str) -> NodeType | None:
        """The node of the entry point `name`. One that cannot be imported is logged, and is as if it were not there."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        found = _VERSIONED.fullmatch(name)
        kept = self._nodes.get((found[1], int(found[2]))) if found else self._newest.get(name)
        if kept is not None:
            return kept
        try:
            node: NodeType = entry.load()
            fault = _misfit(node, found[1] if found else name, int(found[2]) if found else 0)
        except Exception as error:
            logger.exception("A node type cannot be loaded", extra={"node_type": name, "source": entry.value})
            fault = str(error)
        if fault:
            if entry.value.startswith("linkflow."):
                raise RuntimeError(f"The node type {name!r} cannot be loaded: {fault}")
            logger.error("A node type is left out", extra={"node_type": name, "source": entry.value, "fault": fault})
            self._entries.pop(name)
            return None
        if found:
            self._nodes[node.type, node.version] = node
        else:
            self._keep(node)
        return node

    def _keep(self, node: NodeType) -> None:
        other = self._nodes.setdefault((node.type, node.version), node)
        if other is not node:
            raise RuntimeError(f"Two node types claim the name {node.type!r} in version {node.version}.")
        newest = self._newest.get(node.type)
        if newest is None or newest.version < node.version:
            self._newest[node.type] = node
        self._names = None

    def _all_names(self) -> dict[str, str]:
        """Every name and alias with its type; this imports all that was not."""
        if self._names is None:
            for name in list(self._entries):
                self._load(name)
            names: dict[str, str] = {type: type for type in self._newest}
            for node in self._newest.values():
                for alias in node.aliases:
                    if names.setdefault(alias, node.type) != node.type:
                        text = f"Two node types claim the name {alias!r}: {names[alias]} and {node.type}."
                        raise RuntimeError(text)
            self._names = names
        return self._names


_VERSIONED = re.compile(r"(.+)\.v([1-9]\d*)")


def _misfit(node: Any, type: str, version: int) -> str:
    """Why an object that an entry point gave is not the node type that the entry point is named after."""
    lacking = sorted(name for name in _SHAPE if not hasattr(node, name))
    if lacking:
        return f"it has no {', '.join(lacking)} (derive it from linkflow.nodes.base.Base)"
    if node.type != type:
        return f"its entry point is {type!r}, its type is {node.type!r}"
    return f"its entry point says version {version}, it says {node.version}" if version not in (0, node.version) else ""


_SHAPE = ("type", "name", "category", "params", "run", *(name for name in vars(Base) if not name.startswith("__")))


@lru_cache(maxsize=1)
def _loaded() -> Registry:
    return Registry(entries=sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _errors(node: NodeType, config: dict[str, Any]) -> Iterator[Problem]:
    try:
        node.params.model_validate(config)
    except ValidationError as error:
        seen: set[str] = set()
        for item in error.errors(include_url=False, include_context=True, include_input=False):
            path, value, leads_there = _locate(config, item["loc"], item["type"])
            literal = bool(item["loc"]) and item["loc"][0] in node.literal_fields
            is_sure = item["type"] == "expression_in_path" or (item["type"] == "extra_forbidden" and leads_there)
            known_later = _is_dynamic(value) and not literal and not is_sure
            if known_later or path in seen:
                continue  # the branches of a union each report the same value
            seen.add(path)
            yield Problem(path, _code(item["type"]), _message(node, item["type"], item["msg"], item["loc"]))


def told(node: NodeType, error: ValidationError) -> list[Problem]:
    """What is wrong with a config whose expressions are evaluated, in the words of when it is saved."""
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = "".join(f"/{_escape(part)}" for part in item["loc"])
        found.setdefault(
            path, Problem(path, _code(item["type"]), _message(node, item["type"], item["msg"], item["loc"]))
        )
    return list(found.values())


def _code(kind: str) -> str:
    """pydantic's name of a fault in the words of `domain.importing`."""
    known = {
        "missing": "missing_field",
        "needed": "missing_field",
        "extra_forbidden": "unknown_field",
        "expression_in_path": "expression_in_path",
    }
    return known.get(kind) or ("invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value")


_UNKNOWN = object()


def _locate(config: Any, loc: tuple[int | str, ...], kind: str) -> tuple[str, Any, bool]:
    """The JSON Pointer and value that `loc` leads to, and whether it surely does: a part that names a branch of a union
    is no part of the path, and where it is not the `type` that the value has, another branch may have been meant."""
    path, value, is_sure = "", config, True
    for part in loc:
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and part in range(len(value))):
            value = value[part]  # type: ignore[index]
        elif kind in ("missing", "needed") and part == loc[-1]:
            return f"{path}/{_escape(part)}", _UNKNOWN, is_sure
        else:
            is_sure = is_sure and isinstance(value, dict) and value.get("type") == part
            continue
        path += f"/{_escape(part)}"
        if _is_dynamic(value):
            break
    return path, value, is_sure


def _escape(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _is_dynamic(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def _message(node: NodeType, kind: str, message: str, loc: tuple[int | str, ...]) -> str:
    if kind == "missing":
        return f"`{loc[-1]}` is required."
    if kind == "extra_forbidden":
        model = _model_at(node.params, loc[:-1])
        known = [key for _, _, keys in _fields(model) for key in keys] if model else []
        near = difflib.get_close_matches(str(loc[-1]), known, 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        whose = next((f"`{part}`" for part in reversed(loc[:-1]) if isinstance(part, str)), node.name)
        return f"{whose} has no field `{loc[-1]}`.{hint}"
    text = message.removeprefix("Value error, ").replace("Input should", "It should")
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    """The model of what `loc` leads to, where that is one model."""
    for part in loc:
        if isinstance(part, int):
            continue
        found = next((info.annotation for _, info, keys in _fields(model) if part in keys), None)
        inner = list(_models(found))
        if len(inner) != 1:
            return None
        model = inner[0]
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


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
