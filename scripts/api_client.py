"""Writes ``linkflow/client/generated``: a method for every operation of the OpenAPI document, blocking and for asyncio,
and types of what they answer.

    make client         # --check: is it current?
"""

from __future__ import annotations

import argparse
import keyword
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from api_answers import Json, singular, widened  # it knows what fits two answers

from linkflow.bootstrap import System
from linkflow.config import Config

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "layers/linkflow/python/linkflow/client/generated"
LEFT_OUT = ("hooks_receive", "hooks_capture", "streams_stream", "oidc_start", "oidc_callback", "oauth_callback")
"""What is for other callers than this client: webhooks' senders, browsers, and streams (see `follow`)."""
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
HEAD = '"""Written by scripts/api_client.py: {what}."""\n\n'


class Types:
    """TypedDicts of answers, by name; those with the same fields are one."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def of(self, schema: Any, wanted: str, owner: str) -> str:
        """The type of values that fit a schema, as code. `wanted` is what a new one would be called."""
        if not isinstance(schema, dict):
            return "Any"
        kinds = schema.get("type", [])
        found = [self._kind(kind, schema, wanted, owner) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
        return _union(found) or "Any"

    def _kind(self, kind: str, schema: Json, wanted: str, owner: str) -> str:
        if kind == "array":
            return f"list[{self.of(schema.get('items'), singular(wanted) or _one_of(wanted), owner)}]"
        if kind != "object":
            return PLAIN[kind]
        if "properties" not in schema:
            return f"dict[str, {self.of(schema.get('additionalProperties'), wanted, owner)}]"
        required = schema.get("required", ())
        rows = []
        for name, inner in sorted(schema["properties"].items()):
            of = self.of(inner, name, owner)
            rows.append((name, of if name in required else f"NotRequired[{of}]"))
        return self._add(rows, wanted, owner)

    def _add(self, rows: list[tuple[str, str]], wanted: str, owner: str) -> str:
        body = ", ".join(f"{name!r}: {of}" for name, of in rows)
        if body in self._names:
            return self._names[body]
        name = next(
            one for one in (_camel(wanted), _camel(owner) + _camel(wanted), *_numbered(_camel(owner) + _camel(wanted)))
            if one not in self.texts and one != "Any"
        )  # fmt: skip
        self._names[body] = name
        if all(key.isidentifier() and not keyword.iskeyword(key) for key, _ in rows):
            lines = "".join(f"    {key}: {of}\n" for key, of in rows) or "    pass\n"
            self.texts[name] = f"class {name}(TypedDict):\n{lines}"
        else:
            self.texts[name] = f"{name} = TypedDict({name!r}, {{{body}}})\n"
        return name


def _numbered(name: str) -> list[str]:
    return [f"{name}{number}" for number in range(2, 100)]


def _one_of(name: str) -> str:
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s") if not name.endswith("ss") else name


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name == "self" else name


class Operation:
    """One method of the client."""

    def __init__(self, method: str, path: str, told: Json, spec: Json, types: Types) -> None:
        self.method, self.path, self.told = method.upper(), path, told
        parameters = told.get("parameters", [])
        self.path_names = re.findall(r"\{(\w+)\}", path)
        self.query = [one for one in parameters if one["in"] == "query"]
        self.headers = {one["name"] for one in parameters if one["in"] == "header"}
        self.fields, self.document, self.body_required = self._body(spec)
        self.answer = self._answer(types)
        self.item = self._item()
        self.module, self.name = _split(told)

    def _body(self, spec: Json) -> tuple[dict[str, tuple[str, bool]], bool, bool]:
        """Fields with their type and whether they are needed; is it one document; has there to be a body?"""
        body = self.told.get("requestBody")
        if body is None:
            return {}, False, False
        schema = next(iter(body["content"].values())).get("schema", {})
        options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
        found = _resolved(options[0], spec) if len(options) == 1 else {}
        needed = bool(body.get("required"))
        if "properties" not in found:
            return {}, True, needed
        required = found.get("required", ()) if needed else ()
        return {n: (taken(s, spec), n in required) for n, s in found["properties"].items()}, False, needed

    def _answer(self, types: Types) -> str:
        module, name = _split(self.told)
        done = [one for status, one in self.told["responses"].items() if status[0] == "2" and one.get("content")]
        if not done:
            return "None"
        kinds = {kind for one in done for kind in one["content"]}
        if "application/json" not in kinds:
            return "bytes"
        schemas = [one["content"]["application/json"].get("schema", {}) for one in done]
        self.schema = schemas[0]
        for schema in schemas[1:]:
            self.schema = widened(self.schema, schema)
        of = types.of(self.schema, f"{module}_{name}_reply", f"{module}_{name}")
        return _outside(of)

    def _item(self) -> str:
        """The type of one row, where the answer is a page."""
        names = {one["name"] for one in self.query}
        fields = getattr(self, "schema", {}).get("properties", {})
        meta = fields.get("meta", {})
        if "cursor" in names and "data" in fields and "next_cursor" in meta.get("properties", {}):
            return "dict[str, Any]"
        return ""


def _outside(of: str) -> str:
    """A type as other modules call it."""
    return re.sub(r"\b([A-Z]\w*)\b", lambda m: m[1] if m[1] in ("Any", "None") else f"models.{m[1]}", of)


def _split(told: Json) -> tuple[str, str]:
    """``dead_letters_index``: the module is known by the route, the name is the rest."""
    module: str = told["x-module"]
    return module, told["operationId"].removeprefix(f"{module}_")


def _union(kinds: list[str]) -> str:
    return " | ".join(sorted(dict.fromkeys(kinds), key="None".__eq__))


def _resolved(schema: Json, spec: Json) -> Json:
    found: Json = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def taken(schema: Any, spec: Json) -> str:
    """The type of an argument."""
    if not isinstance(schema, dict):
        return "Any"
    schema = _resolved(schema, spec)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return _union([taken(one, spec) for one in options])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(map(repr, values))}]"
    kind = schema.get("type")
    if kind == "array":
        return f"Sequence[{taken(schema.get('items'), spec)}]"
    if kind == "object":
        return "Mapping[str, Any]"
    if kind == "string" and schema.get("format") == "date-time":
        return "str | datetime"
    return PLAIN.get(str(kind), "Any")


def method_of(one: Operation, *, awaits: bool, spec: Json) -> str:
    """A method, and an iterator over all rows where it gives pages."""
    positional = [f"{_safe(name)}: str | int" if name == "version" else f"{_safe(name)}: str"
                  for name in one.path_names if name != "workspace_id"]  # fmt: skip
    if one.document:
        positional.append("document: Mapping[str, Any]" if one.body_required else "document: Any = UNSET")
    needed, optional = [], []
    clash = {param["name"] for param in one.query} & one.fields.keys()
    if clash:
        raise LookupError(f"{one.told['operationId']}: {clash} are in the query and in the body.")
    for name, (of, required) in one.fields.items():
        if required:
            needed.append(f"{_safe(name)}: {of}")
        else:
            optional.append(f"{_safe(name)}: {of} | Unset = UNSET")
    for param in one.query:
        of = taken(param["schema"], spec)
        (needed if param.get("required") else optional).append(
            f"{_safe(param['name'])}: {of}"
            if param.get("required")
            else f"{_safe(param['name'])}: {of} | Unset = UNSET"
        )
    for header, name in (("Idempotency-Key", "idempotency_key"), ("If-Match", "if_match")):
        if header in one.headers:
            optional.append(f'{name}: str = ""')
    named = [*needed, *optional]
    signature = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    text = _method(one, signature, awaits)
    if one.item:
        text += _iterator(one, signature, awaits)
    return text


def _method(one: Operation, signature: str, awaits: bool) -> str:
    segments = [_segment(part) for part in one.path.strip("/").split("/")]
    call = [repr(one.method), f"({', '.join(segments)})"]
    if one.query:
        call.append(f"given({_handed(param['name'] for param in one.query)})")
    if one.document:
        call.append("body=document")
    elif one.fields:
        call.append(f"body=given({_handed(one.fields)})")
    if "Idempotency-Key" in one.headers:
        call.append('headers={"Idempotency-Key": idempotency_key} if idempotency_key else {}')
        call.append("keyed=True")
    if "If-Match" in one.headers:
        call.append('headers={"If-Match": if_match} if if_match else {}')
    doc = textwrap.fill(one.told["description"].replace("\\", "").split("\n\n")[0], 100).replace("\n", "\n        ")
    doc = doc.replace('"""', "'''")
    waits = "await " if awaits else ""
    return (
        f"    {'async ' if awaits else ''}def {one.name}({signature}) -> {one.answer}:\n"
        f'        """{doc}"""\n'
        f"        found: {one.answer} = {waits}self._call(Call({', '.join(call)}))\n"
        f"        return found\n\n"
    )


def _handed(names: Iterable[str]) -> str:
    return ", ".join(f"{_safe(name)}={_safe(name)}" for name in names)


def _iterator(one: Operation, signature: str, awaits: bool) -> str:
    kept = re.sub(r", cursor: str \| Unset = UNSET", "", signature).removesuffix(", *")
    names = [part.strip().partition(":")[0] for part in _arguments(kept) if part.strip() not in ("self", "*")]
    path = [_safe(name) for name in one.path_names if name != "workspace_id"]
    handed = ", ".join([*path, *(f"{name}={name}" for name in names if name not in path), "cursor=cursor"])
    plain, waits, kind = ("async ", "await ", "AsyncIterator") if awaits else ("", "", "Iterator")
    rows = '            for row in page["data"]:\n                yield row\n'
    if not awaits:
        rows = '            yield from page["data"]\n'
    return (
        f"    {plain}def each{'' if one.name == 'index' else f'_{one.name}'}({kept}) -> {kind}[{row_of(one)}]:\n"
        f'        """Every row of `{one.name}`, page by page."""\n'
        f"        cursor: str | None = \"\"\n"
        f"        while cursor is not None:\n"
        f"            page = {waits}self.{one.name}({handed})\n"
        f"{rows}"
        f"            cursor = page[\"meta\"][\"next_cursor\"]\n\n"
    )  # fmt: skip


ROWS: dict[str, str] = {}
"""The type of ``data``'s items, by the page's."""


def row_of(one: Operation) -> str:
    return ROWS.get(one.answer, "Any")


def _arguments(signature: str) -> list[str]:
    """At commas that are in no brackets."""
    found, depth, word = [], 0, ""
    for letter in signature:
        depth += (letter in "[({") - (letter in "])}")
        if letter == "," and not depth:
            found.append(word)
            word = ""
        else:
            word += letter
    return [*found, word]


def _segment(part: str) -> str:
    if part == "{workspace_id}":
        return "WORKSPACE"
    if part.startswith("{"):
        name = _safe(part.strip("{}"))
        return f"str({name})" if name == "version" else name
    return repr(part)


def generate(spec: Json) -> dict[str, str]:
    """The files of the package, by name."""
    types, parts = Types(), defaultdict(list)
    for path, operations in spec["paths"].items():
        for method, told in operations.items():
            if not told["operationId"].startswith(LEFT_OUT):
                one = Operation(method, path, told, spec, types)
                parts[one.module].append(one)
    for operations in parts.values():
        for one in operations:
            told = types.texts.get(one.answer.removeprefix("models."), "")
            if one.item and (row := re.search(r"    data: list\[(.+)\]\n", told)):
                ROWS[one.answer] = _outside(row[1])
    models = HEAD.format(what="what operations answer") + "from __future__ import annotations\n\n"
    models += "from typing import Any, NotRequired, TypedDict\n\n\n" + "\n\n".join(types.texts.values())
    files = {"__init__.py": HEAD.format(what="operations and types").rstrip() + "\n", "models.py": models}
    for name, awaits in (("blocking.py", False), ("awaiting.py", True)):
        files[name] = _operations(parts, spec, awaits=awaits)
    return files


def _operations(parts: dict[str, list[Operation]], spec: Json, *, awaits: bool) -> str:
    kind = "AsyncIterator, Awaitable" if awaits else "Iterator"
    text = HEAD.format(what="a method for every operation" + (", for asyncio" if awaits else ""))
    text += "from __future__ import annotations\n\n"
    text += f"from collections.abc import Callable, {kind}, Mapping, Sequence\nfrom datetime import datetime\n"
    text += (
        "from typing import Any, Literal\n\nfrom linkflow.client.calls import UNSET, WORKSPACE, Call, Unset, given\n\n"
    )
    text += "from . import models\n\n"
    text += f"Caller = Callable[[Call], {'Awaitable[Any]' if awaits else 'Any'}]\n\n\n"
    text += "class Part:\n    def __init__(self, call: Caller) -> None:\n        self._call = call\n\n\n"
    for module, operations in sorted(parts.items()):
        text += f'class {_camel(module)}(Part):\n    """{operations[0].told["tags"][0]}."""\n\n'
        text += "".join(method_of(one, awaits=awaits, spec=spec) for one in operations) + "\n"
    text += 'class Parts:\n    """All operations, by what they are about."""\n\n'
    text += "    def __init__(self, call: Caller) -> None:\n"
    return text + "".join(f"        self.{module} = {_camel(module)}(call)\n" for module in sorted(parts))


def document() -> Json:
    """The OpenAPI document, with the module of each operation."""
    from linkflow.http.app import routes
    from linkflow.http.document import module_of, operation_id

    config = Config(secret="0" * 32, database_url="postgresql://", redis_url="redis://127.0.0.1:1")
    spec = System(config).http_app().openapi()
    modules = {operation_id(route, method): module_of(route) for route in routes() for method in route.methods or ()}
    for operations in spec["paths"].values():
        for told in operations.values():
            told["x-module"] = modules[told["operationId"]]
    return spec


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generate(document()).items():
        (folder / name).write_text(text, encoding="utf-8")
    ruff, settings = str(Path(sys.executable).parent / "ruff"), ["--config", str(ROOT / "pyproject.toml")]
    subprocess.run(
        [ruff, "check", "-q", "--fix", "--exit-zero", "--select", "F,I,UP", *settings, str(folder)], check=True
    )
    subprocess.run([ruff, "format", "-q", *settings, str(folder)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where it is not current")
    options = parser.parse_args()
    if not options.check:
        shutil.rmtree(TARGET, ignore_errors=True)
        write(TARGET)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        stale = [
            file.name for file in Path(folder).glob("*.py")
            if not (TARGET / file.name).exists() or file.read_bytes() != (TARGET / file.name).read_bytes()
        ]  # fmt: skip
    if stale:
        print(f"{', '.join(sorted(stale))} in linkflow/client/generated are not current: make client", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
