"""JSON text to values and back. The output is the value, or the text."""

from __future__ import annotations

import builtins
import json
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.replies import parse_json
from linkflow.nodes.texts import text_of

MAX_DEPTH = 200


class JsonParams(Params):
    operation: Literal["parse", "write"] = Field("parse", description="parse: text to a value. write: a value to text.")
    value: Any = Field(None, validation_alias=AliasChoices("value", "text", "data"), description="Left out: the input.")
    lines: bool = Field(False, description="JSON Lines: a value on each line, and a list of them.")
    indent: int = Field(0, ge=0, le=8, description="Operation write; 0 is one line.")
    sort_names: bool = Field(False, description="Operation write.")


class Json(Base):
    type: ClassVar[str] = "json"
    aliases: ClassVar[tuple[str, ...]] = ("convert_json",)
    name: ClassVar[str] = "JSON"
    description: ClassVar[str] = "Read JSON text, or write a value as JSON."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = JsonParams
    faults = (Fault("bad_json", "The text is no JSON, or nested too deeply."), Fault("not_a_text", "There is no text."))
    examples = (
        Example(
            name="Read", config={"value": "{{ input.body }}"}, input={"body": '{"a": [1, 2]}'}, output={"a": [1, 2]}
        ),
        Example(
            name="Write lines", config={"operation": "write", "lines": True}, input=[{"a": 1}, 2], output='{"a":1}\n2\n'
        ),
    )
    refuses = (Refusal({"operation": "read"}, "/operation", "invalid_value"),)

    def run(self, params: JsonParams, context: Context) -> Outcome:
        value = params.value if "value" in params.model_fields_set else context.input
        if params.operation == "write":
            return Completed(output=_written(value, params))
        text = text_of(value)
        if not params.lines:
            return Completed(output=_parsed(text))
        return Completed(output=[_parsed(line, at) for at, line in enumerate(text.split("\n"), 1) if line.strip()])


def _parsed(text: str, line: int = 0) -> Any:
    try:
        value = parse_json(text.encode())
    except ValueError as error:
        where = f" (line {line})" if line else ""
        raise NodeFailure("bad_json", f"The text is no JSON{where}: {error}.", retryable=False) from None
    if _too_deep(value):
        raise NodeFailure("bad_json", f"The JSON is nested deeper than {MAX_DEPTH} levels.", retryable=False)
    return value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _written(value: Any, params: JsonParams) -> str:
    if params.lines:
        rows = value if isinstance(value, list) else [value]
        return "".join(_line(row, params.sort_names) + "\n" for row in rows)
    if params.indent:
        return json.dumps(value, ensure_ascii=False, indent=params.indent, sort_keys=params.sort_names)
    return _line(value, params.sort_names)


def _line(value: Any, sort: bool) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort)


node = Json()
