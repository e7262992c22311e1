"""Take one way or another: an expression, a list of comparisons, or a switch.

The output is ``{matched, output, matched_rule, eval_results, input}``: the original's four fields, and the input,
so that the nodes behind it go on with the data as ``{{ input.input.… }}`` or ``{{ $node.prev.output.input.… }}``.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import NAMED, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.compare import canonical, compare, equal, truthy
from linkflow.nodes.fields import Text, to_text
from linkflow.nodes.paths import MISSING, get

TRUE, FALSE, ELSE, DEFAULT = "true", "false", "else", "default"

Operator = Annotated[str, AfterValidator(canonical)]
Combine = Annotated[
    Literal["and", "or"],
    BeforeValidator(lambda value: {"all": "and", "any": "or"}.get(str(value).lower(), str(value).lower())),
]


def _path(value: Any) -> Any:
    if isinstance(value, str) and "{{" in value:
        # Expressions in lists are resolved before they get here, and then "paid" could be a path or a value.
        raise PydanticCustomError(
            "expression_in_path", "`field` is a path such as user.name; write the expression into `left`"
        )
    return value


class Rule(Params):
    """One comparison. `field` is a dot path into the input; `left` is a value, such as an expression's."""

    field: Annotated[Any, AfterValidator(_path)] = None
    left: Any = None
    operator: Operator = Field("eq", validation_alias=AliasChoices("operator", "op"))
    value: Any = Field(None, validation_alias=AliasChoices("value", "right"))
    output: Text = Field("", description="Output to take when this rule is the first that holds.")

    @model_validator(mode="after")
    def _has_a_subject(self) -> Rule:
        if not {"field", "left"} & self.model_fields_set:
            raise ValueError("say what to compare: `field` (a path into the input) or `left` (a value)")
        return self

    def holds(self, context: Context) -> bool:
        """Is the comparison true of this run's input?"""
        left = self.left if "left" in self.model_fields_set else subject(self.field, context)
        return compare(left, self.operator, self.value)


def subject(field: Any, context: Context) -> Any:
    """What `field` names: an expression is evaluated, text is a path, anything else is the value itself.

    A path starts at the input; ``input.…`` and ``trigger.…`` may be written out.
    """
    if not isinstance(field, str):
        return field
    if "{{" in field:
        return evaluate(field, context)
    found = get(context.input, field)
    if found is MISSING and field.startswith("input."):
        return get(context.input, field[6:])
    if found is MISSING and field.startswith("trigger."):
        return get(context.trigger, field[8:])
    return found


def evaluate(expression: str, context: Context) -> Any:
    """The value of an expression in this run's scope."""
    if context.evaluate is None:
        raise NodeFailure("no_evaluator", "This worker evaluates no expressions.", retryable=False)
    return context.evaluate(expression)


def rule_holds(rules: list[Rule], combine: str, context: Context) -> bool:
    """Do all (``and``) or any (``or``) of `rules` hold?"""
    test = all if combine == "and" else any
    return test(rule.holds(context) for rule in rules)


class Case(Params):
    """One case of a switch; without `output` it is named after its value."""

    value: Any
    output: Text = ""

    @property
    def port(self) -> str:
        return self.output or str(to_text(self.value))


DECIDED = {
    "type": "object",
    "properties": {
        "matched": {"type": "boolean"},
        "output": {"type": "string", "description": "The output that was taken."},
        "matched_rule": {"type": ["integer", "null"]},
        "eval_results": {"type": "array", "items": {"type": "boolean"}},
        "input": {"description": "The node's input, as it came."},
    },
    "required": ["matched", "output", "matched_rule", "input"],
}
SWITCHED = {
    "type": "object",
    "properties": {
        "matched": {"type": "boolean"},
        "output": {"type": "string", "description": "The output that was taken."},
        "matched_rule": {"type": ["integer", "null"]},
        "value": {"description": "What was looked up."},
        "input": {"description": "The node's input, as it came."},
    },
    "required": ["matched", "output", "matched_rule", "input"],
}


class ConditionParams(Params):
    mode: Literal["", "if", "switch", "expression"] = Field("", description="Left out: what the other fields say.")
    expression: Any = Field(None, description="Taken for true or false by JavaScript's rule.")
    conditions: list[Rule] = Field(default_factory=list, validation_alias=AliasChoices("conditions", "rules"))
    combine: Combine = Field("and", description="How conditions without outputs of their own go together.")
    field: Any = Field(None, description="One comparison, without a list: field, operator, value.")
    left: Any = None
    operator: Operator = Field("eq", validation_alias=AliasChoices("operator", "op"))
    value: Any = Field(None, validation_alias=AliasChoices("value", "right"))
    switch_value: Any = Field(None, description="Mode switch: the value; or `field`, a path into the input.")
    cases: list[Case] = Field(default_factory=list)
    default_output: Text = DEFAULT

    @model_validator(mode="after")
    def _is_complete(self) -> ConditionParams:
        mode, given = self.kind, self.model_fields_set
        if mode == "expression" and "expression" not in given:
            raise ValueError("mode expression needs an `expression`")
        if mode == "switch" and not (self.cases and given & {"switch_value", "field", "value"}):
            raise ValueError("mode switch needs `switch_value` (or `field`) and `cases`")
        if mode == "if" and not self.conditions and not given & {"field", "left"}:
            raise ValueError("say what decides: `expression`, `conditions`, or `field`, `operator` and `value`")
        return self

    @property
    def kind(self) -> str:
        return self.mode or _kind(self.model_fields_set)


def _kind(given: set[str] | Mapping[str, Any]) -> str:
    if "expression" in given:
        return "expression"
    return "switch" if "cases" in given else "if"


class Condition(Base):
    type: ClassVar[str] = "condition"
    aliases: ClassVar[tuple[str, ...]] = ("logic_condition",)
    name: ClassVar[str] = "Condition"
    description: ClassVar[str] = "Go one way or another."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = ConditionParams
    expression_fields: ClassVar[tuple[str, ...]] = ("expression", "field")
    path_fields: ClassVar[tuple[str, ...]] = ("field",)
    help = """
    One of three forms. The input is passed on as `input`, so the next node writes `{{ input.input.name }}`.

    - `expression`: true or false by JavaScript's rule (false, null, 0, NaN and `""` are false; `[]` and `{}` are true).
      Outputs `true`, `false`.
    - One comparison, `{field | left, operator, value}`, or several in `conditions` with `combine` `and | or`. Outputs
      `true`, `false`. If any of `conditions` has an `output`, the first that holds decides: outputs are theirs and
      `else`.
    - `mode: switch` with `switch_value` or `field`, `cases: [{value, output}]`, `default_output`. Outputs: the cases',
      `default`.

    `field` is a dot path into the input (`user.tags.0`); `left` is a value, such as an expression's. In a list of
    conditions an expression goes into `left`.

    | operator | holds if |
    |---|---|
    | `eq`, `ne` | same value; a number equals text that spells it (`200`, `"200"`), a boolean equals `"true"`/`"false"`, a boolean is never a number, null equals null alone |
    | `gt gte lt lte` | as numbers if both are (or spell) numbers, as text if both are text (ISO dates sort), otherwise never |
    | `contains`, `not_contains` | part of a text, item of a list, key of an object |
    | `in`, `not_in` | the value is a list (or text with commas) that has it |
    | `startsWith`, `endsWith` | as text |
    | `matches` | a regular expression found anywhere; RE2's syntax (no look-around, no back-references), matched in linear time, at most 500 characters of pattern and 20,000 of text |
    | `empty`, `not_empty` | null, `""`, `[]`, `{}`; 0 and false are not empty |
    | `exists`, `not_exists` | there, and not null |

    `==`, `!=`, `>`, `greater_than`, `less_than`, `starts_with` and the like are taken too.




    """  # noqa: E501
    produces = {"true": DECIDED, "false": DECIDED, NAMED: DECIDED}
    faults = (
        Fault("bad_pattern", "The pattern of `matches` cannot be used."),
        Fault("no_evaluator", "There is nobody to evaluate the expression."),
    )
    examples = (
        Example(
            name="Is somebody of age?",
            config={"field": "user.age", "operator": "gte", "value": 18},
            input={"user": {"age": 21}},
            port="true",
            output={
                "matched": True,
                "output": "true",
                "matched_rule": 0,
                "eval_results": [True],
                "input": {"user": {"age": 21}},
            },
        ),
        Example(
            name="By an expression",
            config={"expression": "input.status == 200"},
            input={"status": 404},
            port="false",
            output={
                "matched": False,
                "output": "false",
                "matched_rule": None,
                "eval_results": [False],
                "input": {"status": 404},
            },
        ),
    )
    refuses = (
        Refusal({"mode": "if"}, "", "invalid_value"),
        Refusal({"field": "a", "operator": "like"}, "/operator", "invalid_value"),
    )

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        mode = config.get("mode") or _kind(config)
        if mode == "switch":
            return switch_outputs(config)
        rules = config.get("conditions") or config.get("rules")
        named = _named(rules) if mode == "if" and isinstance(rules, list) else []
        return tuple(dict.fromkeys([*named, ELSE])) if named else (TRUE, FALSE)

    def run(self, params: ConditionParams, context: Context) -> Outcome:
        kind = params.kind
        if kind == "expression":
            value = params.expression
            matched = truthy(evaluate(value, context) if isinstance(value, str) else value)
            return _chosen(matched, TRUE if matched else FALSE, None, [matched], context)
        if kind == "switch":
            value = params.switch_value if params.switch_value is not None else params.value
            if "field" in params.model_fields_set:
                value = subject(params.field, context)
            return switch(value, params.cases, params.default_output, context)
        if any(rule.output for rule in params.conditions):
            return _first(params.conditions, context)
        return _combined(params, context)


def _named(rules: list[Any]) -> list[str]:
    names = [str(rule.get("output") or "") for rule in rules if isinstance(rule, Mapping)]
    return [name or TRUE for name in names] if any(names) else []


def _combined(params: ConditionParams, context: Context) -> Completed:
    rules = params.conditions
    if not rules:
        left = params.left if "left" in params.model_fields_set else subject(params.field, context)
        results = [compare(left, params.operator, params.value)]
    else:
        results = [rule.holds(context) for rule in rules]
    matched = all(results) if params.combine == "and" else any(results)
    rule = results.index(True) if matched else None
    return _chosen(matched, TRUE if matched else FALSE, rule, results, context)


def _first(rules: list[Rule], context: Context) -> Completed:
    results: list[bool] = []
    for index, rule in enumerate(rules):
        results.append(rule.holds(context))
        if results[-1]:
            return _chosen(True, rule.output or TRUE, index, results, context)
    return _chosen(False, ELSE, None, results, context)


def _chosen(matched: bool, port: str, rule: int | None, results: list[bool], context: Context) -> Completed:
    output = {"matched": matched, "output": port, "matched_rule": rule, "eval_results": results, "input": context.input}
    return Completed(output=output, ports=(port,))


def switch(value: Any, cases: list[Case], default: str, context: Context) -> Completed:
    """Take the first case that equals `value`, or `default`."""
    found = None if value is MISSING else value
    for index, case in enumerate(cases):
        if equal(found, case.value):
            return _switched(True, case.port, index, found, context)
    return _switched(False, default or DEFAULT, None, found, context)


def _switched(matched: bool, port: str, rule: int | None, value: Any, context: Context) -> Completed:
    output = {"matched": matched, "output": port, "matched_rule": rule, "value": value, "input": context.input}
    return Completed(output=output, ports=(port,))


def switch_outputs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The outputs of an (unresolved) switch: its cases', each once, and the default."""
    cases = config.get("cases")
    listed = [case for case in cases if isinstance(case, Mapping)] if isinstance(cases, list) else []
    names = [str(case.get("output") or to_text(case.get("value"))) for case in listed]
    return tuple(dict.fromkeys([*names, str(config.get("default_output") or DEFAULT)]))


node = Condition()
