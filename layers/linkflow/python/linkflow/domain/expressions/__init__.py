"""Expressions: `{{ … }}` in a workflow's configuration. User documentation: docs/expressions.md.

A text is compiled once (lexer, parser, compiler) to closures and evaluated in a `Scope`. Evaluation is pure and
bounded: it works on JSON values only, reaches no Python object, and its steps, its texts and its result have limits.

    compiled = compile_value({"url": "https://shop.example/orders/{{input.id}}"})
    compiled.evaluate(Scope(input={"id": 7}))   # {"url": "https://shop.example/orders/7"}
"""

from linkflow.domain.expressions.compiled import Compiled
from linkflow.domain.expressions.errors import ExpressionError, ExpressionSyntaxError
from linkflow.domain.expressions.scope import Scope
from linkflow.domain.expressions.templates import compile_expression, compile_value

__all__ = [
    "Compiled",
    "ExpressionError",
    "ExpressionSyntaxError",
    "Scope",
    "compile_expression",
    "compile_value",
]
