"""Writes ``http/answers/``: schemas and examples of what the API answers, from what it answered to the tests.

    make api-docs                                                            # by all tests of the API
    make api-docs ARGS=tests/integration/control/test_http_workflows.py      # by these
    scripts/api_answers.py --anew .tools/answers                             # forget what was allowed before

What is new is added, what no route has is taken away. A schema says what all answers of an operation had in common.
What a person's own data are (a node's config, a payload) is any JSON; objects whose names are data (node keys, headers)
are maps. An example stays while it fits, so that a change of the API changes no more here than it has to.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from linkflow.http.app import routes

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "layers/linkflow/python/linkflow/http/answers"
KEPT = "by_hand"
"""A file of operations that no answer tells enough of: what they answer is a workflow's."""

FREE = {
    "config", "input", "output", "payload", "trigger", "trigger_data", "result", "details", "body", "value", "data_",
    "decision_payload", "error", "settings", "example", "examples", "schema", "params_schema", "before", "after",
    "document", "definition_", "produces", "pin", "pins", "mocks", "shown", "fields", "position", "state", "query",
}  # fmt: skip
"""Names of what is somebody's own."""
MAPS = {
    "nodes", "keys", "headers", "by_status", "counts", "labels", "attributes", "parameters", "credentials", "params",
    "outputs", "permissions_by_role", "models", "statuses", "open",
}  # fmt: skip
"""Names of objects whose keys are data."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_]*")
_IS_ID = re.compile(r"(^|_)ids?$|^family$")
_MAY_BE_NULL = re.compile(
    r"_(at|by|ms|seconds|id)$|^(until|since|from|to|at|position|report|cron|next_cursor|message)$"
)
"""What can be unknown, or not there yet, whatever the tests happened to see."""
EXAMPLE_SIZE = 4000
ITEMS = 2
"""Of a list, in an example."""

Json = dict[str, Any]


def infer(values: list[Any], name: str = "") -> Json:
    """What these values have in common."""
    if name in FREE:
        return {}
    kinds: list[str] = []
    schema: Json = {}
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        kinds.append("string")
        for form, pattern in (("uuid", _UUID), ("date-time", _TIME)):
            if all(pattern.fullmatch(text) for text in texts) and (form != "uuid" or _IS_ID.search(name)):
                schema["format"] = form
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers:
        kinds.append("number" if any(isinstance(value, float) for value in numbers) else "integer")
    if any(isinstance(value, bool) for value in values):
        kinds.append("boolean")
    if lists := [value for value in values if isinstance(value, list)]:
        kinds.append("array")
        of = name if name in FREE else singular(name)
        schema["items"] = infer([item for value in lists for item in value], of) if any(lists) else {}
    if objects := [value for value in values if isinstance(value, dict)]:
        kinds.append("object")
        schema |= _object(objects, name)
    if any(value is None for value in values) or _MAY_BE_NULL.search(name):
        kinds.append("null")
    if kinds in ([], ["null"]):
        return {}
    return {"type": kinds[0] if len(kinds) == 1 else kinds, **schema}


def singular(name: str) -> str:
    """What an item of a list is called: ``ids`` holds an ``id``. Nothing is known of other names."""
    return "id" if name == "ids" or name.endswith("_ids") else ""


def _object(objects: list[Json], name: str) -> Json:
    names = dict.fromkeys(key for value in objects for key in value)
    if name == "data":  # of a credential; where it is a page's rows it is a list
        return {"additionalProperties": True}
    if name in MAPS or not all(_NAME.fullmatch(key) for key in names):
        items = [item for value in objects for item in value.values()]
        return {"additionalProperties": infer(items) if items else True}
    properties = {key: infer([value[key] for value in objects if key in value], key) for key in names}
    required = [key for key in names if all(key in value for value in objects)]
    required = [key for key in required if key != "message"]
    return {"properties": properties, **({"required": required} if required else {})}


def widened(old: Any, new: Any, name: str = "") -> Any:
    """A schema for what fits one of the two."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return True
    if name in FREE or not (old or new):
        return {}
    if not old or not new:  # nothing but null was seen
        kinds = _kinds(old or new)
        return {**(old or new), "type": [*kinds, *(["null"] if "null" not in kinds else [])]} if kinds else {}
    kinds = [*_kinds(old), *(kind for kind in _kinds(new) if kind not in _kinds(old))]
    if "number" in kinds and "integer" in kinds:
        kinds.remove("integer")
    made: Json = {"type": kinds[0] if len(kinds) == 1 else kinds}
    texts = [one for one in (old, new) if "string" in _kinds(one)]
    if texts and "format" in texts[0] and all(one.get("format") == texts[0]["format"] for one in texts):
        made["format"] = texts[0]["format"]
    lists = [one.get("items", {}) for one in (old, new) if "array" in _kinds(one)]
    if lists:
        made["items"] = widened(lists[0], lists[-1]) if all(lists) else next((one for one in lists if one), {})
    objects = [one for one in (old, new) if "object" in _kinds(one)]
    return {**made, **(_wider_object(objects[0], objects[-1]) if objects else {})}


def _wider_object(old: Json, new: Json) -> Json:
    if "properties" not in old or "properties" not in new:
        if "properties" in old or "properties" in new:
            return {"additionalProperties": True}
        maps = old.get("additionalProperties", True), new.get("additionalProperties", True)
        return {"additionalProperties": maps[0] if maps[1] is True else maps[1] if maps[0] is True else widened(*maps)}
    properties = dict(old["properties"])
    for key, schema in new["properties"].items():
        properties[key] = widened(properties[key], schema, key) if key in properties else schema
    required = [key for key in old.get("required", ()) if key in new.get("required", ())]
    return {"properties": properties, **({"required": required} if required else {})}


def _kinds(schema: Json) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def example(values: list[Any]) -> Any:
    """The fullest answer that is not too long."""
    shortened = [_shortened(value) for value in values]
    fitting = [value for value in shortened if len(json.dumps(value)) <= EXAMPLE_SIZE]
    return max(fitting or [min(shortened, key=lambda value: len(json.dumps(value)))], key=_richness)


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [_shortened(item) for item in value[:ITEMS]]
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    return value[:200] if isinstance(value, str) else value


def _richness(value: Any) -> tuple[int, int]:
    text = json.dumps(value)
    return (text.count('":') - text.count(": null") - text.count(": []"), -len(text))


def seen(folder: Path) -> dict[str, Json]:
    """What was answered, by the routes' module and operation."""
    values: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    kinds: dict[tuple[str, str], str] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            place, status = (one["module"], one["operation"]), str(one["status"])
            values[place][status].append(one["answer"])
            kinds[one["operation"], status] = one["type"]
            if one["request"] is not None:
                values[place]["request"].append(one["request"])
    found: dict[str, Json] = defaultdict(dict)
    for (module, operation), by_status in sorted(values.items()):
        entry: Json = {}
        for status, given in sorted(by_status.items()):
            if status == "request":
                entry["request"] = example(given)
            elif kinds[operation, status] == "application/json":
                entry[status] = {"schema": infer(given), "example": example(given)}
            else:
                kind = kinds[operation, status]
                entry[status] = {"schema": {"type": "string"}, "type": kind} if kind else {}
        found[module][operation] = entry
    return found


def merged(old: Json, new: Json, there: set[str], *, anew: bool = False) -> Json:
    """What one module answers: what was known of operations that are still there, widened by what was seen now."""
    found = {operation: entry for operation, entry in old.items() if operation in there}
    for operation, entry in new.items():
        before = old.get(operation, {})
        found[operation] = {**({} if anew else before), **{key: _one(key, before, entry, anew) for key in entry}}
    return found


def _one(key: str, before: Json, entry: Json, anew: bool) -> Any:
    now, old = entry[key], before.get(key)
    if key == "request":
        return old if old is not None and _richness(old) >= _richness(now) else now
    if not old or "schema" not in old or "example" not in now or "example" not in old:
        return now
    schema = now["schema"] if anew else widened(old["schema"], now["schema"])
    fits = Draft202012Validator(schema).is_valid(old["example"])
    fuller = _richness(now["example"])[0] > _richness(old["example"])[0]
    return {"schema": schema, "example": old["example"] if fits and not fuller else now["example"]}


def by_hand(operation: str, ours: Json) -> bool:
    """Does somebody keep this one, or all below its first name?"""
    return operation in ours or f"ANY /{operation.split('/')[1]}" in ours


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--anew", action="store_true", help="schemas as these answers are, not wider")
    options = parser.parse_args()
    found = seen(options.folder)
    TARGET.mkdir(exist_ok=True)
    old = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in TARGET.glob("*.json")}
    ours = old.pop(KEPT, {})
    there = {f"{method} {route.path_format}" for route in routes() for method in route.methods or ()}
    for module in sorted({*found, *old}):
        found[module] = {operation: entry for operation, entry in found[module].items() if not by_hand(operation, ours)}
        made = merged(old.get(module, {}), found[module], there, anew=options.anew)
        if made:
            text = json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            (TARGET / f"{module}.json").write_text(text, encoding="utf-8")
        elif module in old:
            (TARGET / f"{module}.json").unlink()
    print(f"{sum(map(len, found.values()))} operations -> {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
