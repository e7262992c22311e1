"""Properties that hold for every text and every JSON value."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linkflow.domain.expressions import ExpressionError, Scope, compile_expression, compile_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
PIECES = r"""
    input trigger loop vars $node $node.prev x a node . .. ... ?. ?? ? : , ; ( ) [ ] { } {{ }} ' " ` ${ } \ + - *
    / % ** < <= > >= == != === !== && || ! => and or not in typeof new null true undefined NaN Infinity 0 1 -1
    1e400 0.5 .5 1. 2**53 0x1f 'a' "b" `t` `a${x}` 'ab'.repeat( .map( .filter( .reduce( .sort( .slice( .length
    .trim() .split( .join( .flat( x=>x (a,b)=>a+b ([a])=>a ({a})=>a toUpper( round( jsonParse( toJson( dateAdd(
    dateFormat( now() random() randint( Math.max( Object.entries( JSON.stringify( String( Number( parseInt(
    constructor __proto__ __class__ credential .key toFixed toString( [1,2,3] {a:1} [[1],[2]] '2024-01-01' 'day'
    'yyyy' é 😀 # @ = | & ~ ^ /x/g / /[/ // /* */ x=>{ function return const let var if else for while do switch case
    default: break; continue; try catch finally throw ++ -- += ??= >>> >>>= delete instanceof of (() => { })() {a}= [a]=
    Date RegExp .match( .getTime() .push( f(){ ...r $lf _ await yield class async 1n
"""
PIECE = st.sampled_from(PIECES.split())
SOURCE = st.lists(PIECE, max_size=15).map(" ".join) | st.lists(PIECE, max_size=15).map("".join) | st.text(max_size=40)
SCOPE = Scope(
    input={"a": [1, 2.5, "x", None, {"b": True}], "n": 5, "s": "text"},
    trigger={"body": {}},
    node=lambda name: {"output": {"a": 1}} if name == "node" else None,
    prev={"output": [1]},
    vars={"x": [3, 1, 2], "a": "var"},
    credentials={"key": "secret"},
    now=lambda: "2024-01-01T00:00:00Z",
    random=lambda: 0.25,
)


def is_json(value: Any) -> bool:
    if type(value) is list:
        return all(is_json(item) for item in value)
    if type(value) is dict:
        return all(type(key) is str and is_json(item) for key, item in value.items())
    if type(value) is float:
        return value - value == 0
    return value is None or type(value) in (str, int, bool)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SOURCE)
@example("[...[1],].map((x, i) => [x, i])")
def test_any_text_gives_json_or_an_expression_error(source: str) -> None:
    for compile_text in (compile_expression, compile_value, lambda text: compile_value("{{" + text + "}}")):
        try:
            assert is_json(compile_text(source).evaluate(SCOPE))
        except ExpressionError as error:
            placed = error.line >= 1 and error.column >= 1
        else:
            placed = True
        assert placed


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> str:
    """Texts that do parse."""
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(
            [
                "1", "0", "-1", "2.5", "1e308", "'a'", "'12'", "''", "null", "true", "x", "input.a", "input.s", "[]",
                "{}", "NaN", "node.a", "[3,1,2]", "'2024-01-01'", "Infinity",
            ]
        ))  # fmt: skip
    inner = [draw(expressions(depth=depth - 1)) for _ in range(3)]
    shape = draw(st.sampled_from(
        [
            "({} + {})", "({} - {})", "({} * {})", "({} / {})", "({} % {})", "({} ** {})", "({} < {})", "({} == {})",
            "({} === {})", "({} && {})", "({} ?? {})", "({} ? {} : {})", "(!{})", "(typeof {})", "[{}, {}]",
            "({{a: {}, ...{}}})", "`${{{}}}-${{{}}}`", "({})[{}]", "({}).length", "({}).map((v, i) => ({}))",
            "({}).filter(v => ({}))", "({}).reduce((v, w) => ({}), {})", "({}).sort((v, w) => ({}))",
            "({}).slice({}, {})", "({}).join({})", "({}).flat({})", "({}).concat({}, {})", "({}).indexOf({})",
            "({}).includes({})", "({}).at({})", "({}).padStart({}, {})", "({}).repeat({})", "({}).substring({}, {})",
            "({}).split({}, {})", "({}).replaceAll({}, {})", "({}).toFixed({})", "({}).toString({})", "round({}, {})",
            "parseInt({}, {})", "Number({})", "String({})", "toUpper({})", "contains({}, {})", "join({}, {})",
            "split({}, {})", "len({})", "toJson({})", "jsonParse({})", "dateAdd({}, {}, 'day')",
            "dateAdd({}, {}, {})", "dateFormat({}, {})", "randint({}, {})", "Math.max({}, {})", "Math.round({})",
            "Math.log({})", "Math.exp({})", "Object.entries({})", "Object.keys({})", "Object.fromEntries({})",
            "JSON.stringify({}, null, {})", "({} in {})", "[...{}, {}]", "encodeURIComponent({})",
            "Number.isInteger({})",
        ]
    ))  # fmt: skip
    return str(shape.format(*inner))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expressions())
def test_any_expression_gives_json_or_an_expression_error(source: str) -> None:
    try:
        compiled = compile_expression(source)
        result = compiled.evaluate(SCOPE)
    except ExpressionError:
        return
    assert is_json(result), source
    assert json.dumps(compiled.evaluate(SCOPE)) == json.dumps(result)


@given(JSON)
def test_a_value_keeps_its_type(value: Any) -> None:
    assert compile_value("{{x}}").evaluate(Scope(vars={"x": value})) is value
    assert compile_value({"a": ["{{ input }}"]}).evaluate(Scope(input=value)) == {"a": [value]}


@given(JSON)
def test_json_text_reads_back(value: Any) -> None:
    scope = Scope(input=value)
    written = compile_expression("toJson(input)").evaluate(scope)
    assert json.loads(written, parse_int=_as_script) == json.loads(json.dumps(value), parse_int=_as_script)


def _as_script(digits: str) -> float | None:
    """Past 2**53 compared as floating point, of which JavaScript's shortest digits are meant to be a reading."""
    number = int(digits)
    if abs(number) <= 2**53:
        return number
    try:
        return float(number)
    except OverflowError:
        return None


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_braces_is_itself(text: str) -> None:
    compiled = compile_value(text)
    assert compiled.is_constant
    assert compiled.evaluate(SCOPE) == text


@given(st.text().filter(lambda text: "{" not in text), st.text())
def test_text_around_stays_as_it_is(around: str, inside: str) -> None:
    assert (
        compile_value(around + "{{x}}" + around).evaluate(Scope(vars={"x": inside})) == around + inside + around
        if around
        else True
    )


@given(st.text())
def test_a_string_literal_is_its_text(text: str) -> None:
    literal = json.dumps(text.encode("utf-8", "replace").decode())
    assert compile_expression(literal.replace("{{", "{\\x7b")).evaluate(SCOPE) == json.loads(literal)
