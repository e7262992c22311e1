"""Run JavaScript or Python, outside of this process. The output is what the script returns."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from linkflow.domain.expressions.statements import RESERVED
from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import ui
from linkflow.nodes.scripts import Language as Language_
from linkflow.nodes.scripts import Part, Ran, ScriptError

MAX_LOG = 32 * 1024
"""Characters of a log."""
MAX_CODE = 100_000
MAX_SECONDS = 60
_LANGUAGES = {"js": "javascript", "py": "python", "python3": "python"}
_MODES = {"runonceforallitems": "all", "once": "all", "runonceforeachitem": "each", "items": "each"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_CODES = {
    "error": "script_error", "timeout": "script_timeout", "memory": "script_limit", "stack": "script_limit",
    "output": "script_too_large", "crash": "script_crashed",
}  # fmt: skip

Language = Annotated[
    Literal["javascript", "python"],
    BeforeValidator(lambda value: _LANGUAGES.get(str(value).lower(), str(value).lower())),
]
Mode = Annotated[
    Literal["all", "each"], BeforeValidator(lambda value: _MODES.get(str(value).lower(), str(value).lower()))
]


class CodeParams(Params):
    language: Language = "javascript"
    code: Annotated[str, Field(min_length=1, max_length=MAX_CODE)] = Field(
        validation_alias=AliasChoices("code", "script", "source"),
        description="The body of an async function: `return` gives the output.",
        json_schema_extra=ui("code"),
    )
    mode: Mode = Field("all", description="all: run once; each: once for each item of the list, which gives a list.")
    items: Any = Field(None, description="each: the list, where it is not the input.")
    variables: dict[str, Any] = Field(
        default_factory=dict, description="Further names that the script sees, with their values."
    )
    timeout: float = Field(
        10, gt=0, le=MAX_SECONDS, description="Seconds of CPU; by the clock twice that and two more."
    )

    @model_validator(mode="after")
    def _names_are_names(self) -> CodeParams:
        for name in self.variables:
            if not _NAME.fullmatch(name) or name in _TAKEN:
                raise ValueError(f"{name[:40]!r} cannot be a variable: letters, digits, _ only, and no word in use")
        return self


_OURS = frozenset(("input", "trigger", "item", "index", "items", "console", "print"))
_TAKEN = _OURS | RESERVED | frozenset(keyword.kwlist)


class Code(Base):
    type: ClassVar[str] = "action_code"
    aliases: ClassVar[tuple[str, ...]] = ("action_script", "transform_code", "code")
    name: ClassVar[str] = "Code"
    description: ClassVar[str] = "Run JavaScript or Python."
    category: ClassVar[str] = "action"
    acts: ClassVar[bool | None] = False
    params: ClassVar[builtins.type[Params]] = CodeParams
    literal_fields: ClassVar[tuple[str, ...]] = ("code", "script", "source")
    help = """
    The script sees `input` (in JavaScript also `$input` and `$json`), `trigger` and the `variables`; in mode `each`
    also `item` and `index`, and `$json` is the item. `{{ … }}` in the code means nothing: give values from elsewhere by
    `variables`. What it returns is the output, as JSON; sets become lists, dates become text. `console.log` or `print`
    write to the node's log: 200 lines, 32 KB.

    JavaScript is ES2023 (QuickJS), with `await` and async functions; there are no timers, no `fetch`, no `require`.
    Python is [Monty](https://github.com/pydantic/monty), an interpreter of its own for a good part of Python 3:
    functions, classes, exceptions, comprehensions, f-strings, async functions, and `json`, `re`, `math`, `datetime`,
    `random` and a few more of the standard library; no packages, no `yield`, no metaclasses. An error names the line.

    The clock stands still at the run's moment, random numbers follow from one number of the run: a second attempt has
    others. A script has 64 MB, and its result 4 million characters, within the run's own limit.
    How it is kept apart: [security-scripts.md](../security-scripts.md).
    """
    produces = {"main": {"description": "What the script returned; null if nothing."}}
    faults = (
        Fault("script_error", "The script does not parse, or raised an error; `details` has its line."),
        Fault("script_timeout", "The script took too long."),
        Fault("script_limit", "The script wanted too much memory, or called itself too deeply."),
        Fault("script_too_large", "The result is too large."),
        Fault("script_crashed", "The engine ended while it ran the script.", True),
        Fault("not_a_list", "Mode `each` got no list."),
        Fault("no_engine", "The worker has no engine for the language."),
        Fault("engine_failed", "No process for scripts could be started.", True),
    )
    examples = (
        Example(
            name="Order totals in JavaScript",
            config={
                "code": "const total = input.lines.reduce((sum, l) => sum + l.price * l.qty, 0);\n"
                "console.log('total', total);\nreturn { ...input, total, vip: total > limit };",
                "variables": {"limit": "{{ 50 + 50 }}"},
            },
            input={"id": 7, "lines": [{"price": 40, "qty": 2}, {"price": 30, "qty": 1}]},
            output={"id": 7, "lines": [{"price": 40, "qty": 2}, {"price": 30, "qty": 1}], "total": 110, "vip": True},
        ),
        Example(
            name="Words in Python",
            config={
                "language": "python",
                "code": "counts = {}\nfor word in input['text'].lower().split():\n"
                "    counts[word] = counts.get(word, 0) + 1\nreturn counts",
            },
            input={"text": "to be or not to be"},
            output={"to": 2, "be": 2, "or": 1, "not": 1},
        ),
        Example(
            name="Each item by itself",
            config={"mode": "each", "items": "{{ input.orders }}", "code": "return { ...item, place: index + 1 };"},
            input={"orders": [{"id": 7}, {"id": 8}]},
            output=[{"id": 7, "place": 1}, {"id": 8, "place": 2}],
        ),
    )
    refuses = (
        Refusal({}, "/code", "missing_field"),
        Refusal({"code": "return 1", "language": "ruby"}, "/language", "invalid_value"),
        Refusal({"code": "return 1", "variables": {"a-b": 1}}, "", "invalid_value"),
    )

    def scripts(self, config: Mapping[str, Any]) -> tuple[Part, ...]:
        language = str(config.get("language", "javascript")).lower()
        language = _LANGUAGES.get(language, language)
        field = next((name for name in self.literal_fields if isinstance(config.get(name), str)), "")
        if not field or language not in ("javascript", "python"):
            return ()
        variables = config.get("variables")
        names = ["input", "trigger", *(variables if isinstance(variables, dict) else ()), "$input", "$json"]
        if _MODES.get(str(config.get("mode", "")).lower(), config.get("mode")) == "each":
            names += ["item", "index"]
        chosen: Language_ = "python" if language == "python" else "javascript"
        return (Part((field,), chosen, config[field], tuple(names)),)

    async def run(self, params: CodeParams, context: Context) -> Outcome:
        if context.scripts is None:
            raise NodeFailure("no_engine", "This worker runs no scripts.", retryable=False)
        moment = datetime.fromtimestamp(context.now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        names = {"input": context.input, "trigger": context.trigger, **params.variables}
        ran = await context.scripts.run(
            params.language, params.code, names, items=_items(params, context),
            now=moment.replace("+00:00", "Z"), seed=context.random(), seconds=params.timeout,
        )  # fmt: skip
        _write(ran, context)
        if ran.error is not None:
            raise _failure(ran.error)
        return Completed(output=ran.value)


def _items(params: CodeParams, context: Context) -> list[Any] | None:
    """The list of mode `each`."""
    if params.mode == "all":
        return None
    items = params.items if "items" in params.model_fields_set else context.input
    if not isinstance(items, list):
        raise NodeFailure("not_a_list", "Mode each needs a list: name it in `items`.", retryable=False)
    return items


def _write(ran: Ran, context: Context) -> None:
    """The script's lines, each one line of the log."""
    room, left_out = MAX_LOG, ran.dropped
    for line in ran.logs:
        room -= len(line)
        if room < 0:
            left_out += 1
            continue
        context.log(line.replace("\r", "\\r").replace("\n", "\\n"))
    if left_out:
        context.log(f"… and {left_out} more lines")


def _failure(error: ScriptError) -> NodeFailure:
    place = f" (line {error.line}, column {error.column})" if error.line else ""
    details = {"kind": error.kind, **({"line": error.line, "column": error.column} if error.line else {})}
    code, again = _CODES[error.kind], error.kind == "crash"
    return NodeFailure(code, f"{error.message}{place}", retryable=again, details=details)


node = Code()
