"""The pages of docs/nodes, made from what the node types say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from linkflow.nodes.registry import Registry

from .client import say

_CATEGORIES = {
    "trigger": "Triggers", "logic": "Logic", "data": "Data", "action": "Actions", "message": "Messages", "ai": "AI",
    "output": "Output",
}  # fmt: skip


def write(folder: str, check: bool) -> int:
    """Write the pages, or with `check` say (1) that they are not current. Pages of types that are gone go too."""
    root = Path(folder)
    wanted = pages()
    found = {path.name: path.read_text() for path in root.glob("*.md")}
    stale = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if check:
        if stale:
            say(f"The pages of node types are not current ({', '.join(stale)}). Run: make node-docs")
        return 1 if stale else 0
    root.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            (root / name).write_text(wanted[name])
        else:
            (root / name).unlink()
    return 0


def pages() -> dict[str, str]:
    """File names and texts: a page for each built-in type, and README.md, the catalogue."""
    registry = Registry.load()
    mine = {node.type for node in registry.types() if type(node).__module__.startswith("linkflow.")}
    types = [about for about in registry.describe() if about["type"] in mine]
    return {"README.md": catalogue(types), **{f"{about['type']}.md": page(about) for about in types}}


def catalogue(types: list[dict[str, Any]]) -> str:
    """The table of all types, by category."""
    parts = [
        "# The catalogue of node types",
        "Made by `make node-docs` from the code; [what all nodes have in common](../nodes.md) is written by hand.\n"
        "*Pure* types only compute: they run within the run's own transaction, or fused with their neighbours.",
    ]
    for category, title in _CATEGORIES.items():
        rows = [about for about in types if about["category"] == category]
        if not rows:
            continue
        lines = ["| type | other spellings | does | outputs | pure |", "|---|---|---|---|---|"]
        for about in rows:
            aliases = ", ".join(f"`{alias}`" for alias in about["aliases"])
            ports = ", ".join(f"`{name}`" for name in about["outputs"])
            pure = "yes" if about["pure"] else ""
            link = f"[`{about['type']}`]({about['type']}.md)"
            lines.append(f"| {link} | {aliases} | {_cell(about['description'])} | {ports} | {pure} |")
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def page(about: dict[str, Any]) -> str:
    """One type's page."""
    parts = [f"# {about['name']}", about["description"], _facts(about)]
    if about["help"].strip():
        parts.append(_undented(about["help"]))
    parts.append(_config(about["schema"]))
    parts.append(_outputs(about["produces"]))
    if about["credentials"]:
        parts.append(_credentials(about["credentials"]))
    if about["faults"]:
        rows = [
            f"| `{fault['code']}` | {_cell(fault['meaning'])} | {'yes' if fault['retryable'] else ''} |"
            for fault in about["faults"]
        ]
        parts.append("\n".join(["## Errors", "", "| code | meaning | tried again |", "|---|---|---|", *rows]))
    parts += [_example(example) for example in about["examples"]]
    return "\n\n".join(parts) + "\n"


def _facts(about: dict[str, Any]) -> str:
    facts = [f"`{about['type']}`, version {about['version']}"]
    if about["aliases"]:
        facts.append("also " + ", ".join(f"`{alias}`" for alias in about["aliases"]))
    if len(about["versions"]) > 1:
        facts.append("versions " + ", ".join(map(str, about["versions"])) + " run")
    facts.append("pure" if about["pure"] else "has effects outside")
    return "; ".join(facts) + "."


def _undented(text: str) -> str:
    lines = text.strip("\n").rstrip().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


def _config(schema: dict[str, Any]) -> str:
    defs = schema.get("$defs", {})
    tables = [_table(schema, defs)]
    for name, part in defs.items():
        if part.get("properties"):
            about = part.get("description", "").split("\n\n")[0].replace("\n", " ")
            tables += [f"### {name}" + (f"\n\n{about}" if about else ""), _table(part, defs)]
    return "\n\n".join(["## Config", *tables])


def _table(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema.get("properties", {}).items():
        if field.get("deprecated"):
            continue
        default = "required" if name in required else _default(field)
        others = ", ".join(f"`{other}`" for other in field.get("also", ()))
        parts = [field.get("description", ""), f"Also {others}." if others else "", _operations(field)]
        text = " ".join(filter(None, parts))
        rows.append(f"| `{name}` | {_cell(_kind(field, defs))} | {default} | {_cell(text)} |")
    if not rows:
        return "No fields."
    return "\n".join(["| field | kind | default | |", "|---|---|---|---|", *rows])


def _operations(field: dict[str, Any]) -> str:
    """Which operations want a field, and which take it."""
    needed = field.get("needed", [])
    others = [name for name in field.get("operations", ()) if name not in needed]
    shown = [", ".join(f"`{name}`" for name in names) for names in (needed, others)]
    return " ".join(f"{verb} {names}." for verb, names in zip(("Needed by", "For"), shown, strict=True) if names)


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", [], {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _kind(field: dict[str, Any], defs: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return _kind(defs[name], defs) if "enum" in defs.get(name, {}) else name
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    branches = [_kind(part, defs) for part in field.get("anyOf", ()) if part.get("type") != "null"]
    if branches:
        return " or ".join(dict.fromkeys(branches))
    if field.get("type") == "array":
        inner = _kind(field.get("items", {}), defs)
        return "list" if inner == "any" else f"list of {inner}"
    if field.get("writeOnly"):
        return "secret"
    kind = {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(field.get("type", ""), "")
    bounds = _bounds(field)
    return (kind or field.get("type", "any")) + (f", {bounds}" if bounds else "")


def _bounds(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    if "exclusiveMinimum" in field:
        return f"over {field['exclusiveMinimum']:,}" + (f", up to {high:,}" if high is not None else "")
    return f"from {low:,}" if low is not None else f"up to {high:,}" if high is not None else ""


def _outputs(produces: dict[str, Any]) -> str:
    lines = ["## Outputs"]
    for name, schema in produces.items():
        shown = "those that you name" if name == "*" else f"`{name}`"
        text = schema.get("description", "")
        kind = schema.get("type", "")
        lines.append(f"**{shown}**" + (f": {text}" if text else f": {kind}." if isinstance(kind, str) and kind else ""))
        if schema.get("properties"):
            rows = [
                f"| `{field}` | {_cell(_output_kind(part))} | {_cell(part.get('description', ''))} |"
                for field, part in schema["properties"].items()
            ]
            lines.append("\n".join(["| field | kind | |", "|---|---|---|", *rows]))
    return "\n\n".join(lines)


def _output_kind(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if isinstance(kind, list):
        return " or ".join(kind)
    return _kind(part, {}) if kind != "object" else "object"


def _credentials(slots: list[dict[str, Any]]) -> str:
    lines = ["## Credentials"]
    for slot in slots:
        lines.append(f"**`{slot['slot']}`**{' (required)' if slot['required'] else ''}: {slot['description']}")
        for kind in slot["kinds"]:
            fields = ", ".join(f"`{name}`" for name in kind["schema"]["properties"])
            lines.append(f"- `{kind['kind']}`, {kind['title']}: {fields}")
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:]) if len(lines) > 2 else "\n\n".join(lines)


def _example(example: dict[str, Any]) -> str:
    parts = [f"## Example: {example['name']}", _block(example["node"])]
    if "inputs" in example:
        parts += ["with the inputs", _block(example["inputs"])]
    elif example["input"] is not None:
        parts += ["with the input", _block(example["input"])]
    if "outcome" in example:
        parts += ["waits:", _block(example["outcome"])]
    else:
        parts += ["hands on", _block(example["output"])]
    return "\n\n".join(parts)


def _block(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"```json\n{text if len(text) <= 100 else json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
