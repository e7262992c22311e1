"""`{{ … }}` in the strings of a JSON value, and expressions with braces as parentheses."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain.expressions import ExpressionError, ExpressionSyntaxError, Scope, compile_expression, compile_value

SCOPE = Scope(
    input={"id": 7, "name": "Ann", "list": [1, 2.0, None], "obj": {"a": 1.5}, "yes": True, "none": None, "f": 2.0}
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{input.id}}", 7),
        ("{{ input.list }}", [1, 2.0, None]),
        ("{{input.none}}", None),
        ("{{input.nope}}", None),
        ("{{ input.yes }}", True),
        ("Order {{input.id}} for {{input.name}}", "Order 7 for Ann"),
        ("{{input.id}}{{input.id}}", "77"),
        (" {{input.id}}", " 7"),
        ("<{{input.none}}>", "<>"),
        ("<{{input.list}}>", "<[1,2,null]>"),
        ("<{{input.obj}}>", '<{"a":1.5}>'),
        ("<{{input.f}} {{input.yes}} {{1 / 0}} {{0.1 + 0.2}}>", "<2 true  0.30000000000000004>"),
        ("{{ '}}' }}", "}}"),
        ("{{ \"it's }} \" + '{{' }}", "it's }} {{"),
        ("{{ `}} ${ {a: '}'}.a }` }}", "}} }"),
        ("{{ {a: {b: 1}} }}", {"a": {"b": 1}}),
        ("{{{a: {b: 1}}}}", {"a": {"b": 1}}),
        ("{{{a: 1}.a}}}", "1}"),
        ("a } b }} {{input.id}} { c", "a } b }} 7 { c"),
        ("it's {{input.id}} o'clock", "it's 7 o'clock"),
        ("{{\n  input.id\n  + 1\n}}", 8),
        ({"a": ["{{input.id}}", "x", 1], "b": {"c": "{{input.name}}!"}}, {"a": [7, "x", 1], "b": {"c": "Ann!"}}),
        ({"{{input.name}}": 1, "k{{input.id}}": 2, "{{input.id}}": 3}, {"Ann": 1, "k7": 2, "7": 3}),
    ],
)
def test_value(template: Any, expected: Any) -> None:
    result = compile_value(template).evaluate(SCOPE)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("value", ["", "plain", "} }} {", 1, 1.5, None, True, [], {}, {"a": [{"b": "c"}]}])
def test_constants_are_themselves(value: Any) -> None:
    compiled = compile_value(value)
    assert compiled.is_constant
    assert compiled.evaluate(SCOPE) is value
    assert compiled.references == frozenset()


def test_constant_parts_are_found() -> None:
    assert not compile_value({"a": "{{input}}"}).is_constant
    assert not compile_value(["x", {"{{input}}": 1}]).is_constant
    assert not compile_expression("1").is_constant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $node.prev.output.status }} == 200", True),
        ("{{input.id}} > 5 && {{input.name}} == 'Ann'", True),
        ("{{ input.id - 1 }} * 2", 12),
        ("{{input.id}}", 7),
        ("{{ input.nope ?? 'none' }} == 'none'", True),
        ("{{ {a: '}}'}.a }} == '}' + '}'", True),
        ("input.id == 7", True),
        ("`{{` + {{input.id}}", "{{7"),
    ],
)
def test_expression(text: str, expected: Any) -> None:
    scope = Scope(input=SCOPE.input, prev={"output": {"status": 200}})
    assert compile_expression(text).evaluate(scope) == expected


def test_braces_inside_quotes_are_refused() -> None:
    with pytest.raises(ExpressionSyntaxError, match="leave the quotes away"):
        compile_expression("'{{ input.name }}' == 'Ann'")


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("{{ 1 + }}", 1, 8, "ends too early"),
        ("Hello {{ name", 1, 7, "never closed"),
        ("{{ }}", 1, 3, "missing"),
        ("a\nb {{ input. }}", 2, 13, "expected a name"),
        ("{{ a\n  + toUper(1) }}", 2, 5, "did you mean 'toUpper'"),
        ("{{ x.mpa(1) }}", 1, 5, "did you mean 'map'"),
        ("{{ Math.flor(1) }}", 1, 8, "did you mean 'Math.floor'"),
        ("{{ TRIM(1) }}", 1, 4, "did you mean 'trim'"),
        ("{{ a = 1 }}", 1, 6, "'=='"),
        ("{{ a | upper }}", 1, 6, "upper(…)"),
        ("{{ a++ }}", 1, 5, "changes"),
        ("{{ 'abc }}", 1, 4, "never closed"),
        ("{{ a b }}", 1, 6, "unexpected 'b'"),
        ("{{ (1 }}", 1, 7, "expected ')'"),
        ("{{ new Process() }}", 1, 4, "not part"),
        ("{{ input.list.map(x => { await x }) }}", 1, 32, "unexpected 'x'"),
        ("{{ input.list.map(x => { y = x }) }}", 1, 26, "declare it"),
        ("{{ input.list.map(x => { class A {} }) }}", 1, 26, "classes"),
        ("{{ input.list.map(function* () { }) }}", 1, 27, "generators"),
        ("{{ input.list.map(x => { if (x) return 1 else return 2 }) }}", 1, 42, "expected ';'"),
        ("{{ input.list.map(x => { if (x) break; }) }}", 1, 33, "outside of a loop"),
        ("{{ input.list.map(x => { switch (x) { case 1: continue } }) }}", 1, 47, "outside of a loop"),
        ("{{ input.list.map((...x, y) => y) }}", 1, 20, "rest comes last"),
        ("{{ input.name.replace(/a(/, '') }}", 1, 23, "brackets"),
        ("{{ 'ab'.map(x => x) }}", 1, 8, "string values have no method 'map'"),
        ("{{ [1].trim() }}", 1, 7, "array values have no method 'trim'"),
        ("{{ (input.id * 2).slice(1) }}", 1, 18, "number values have no method 'slice'"),
        ("{{ toUpper() }}", 1, 4, "takes 1 argument"),
        ("{{ 'a'.padStart() }}", 1, 7, "takes 1 to 2"),
        ("{{ input.list.map(1) }}", 1, 19, "needs a function"),
        ("{{ x => x }}", 1, 4, "a function is no value"),
        ("{{ a.map(x => x(1)) }}", 1, 15, "not a function"),
        ("{{ $node.output }} {{ $node }}", 1, 23, "$node needs"),
        ("{{ Math.max }}", 1, 8, "is no value"),
        ("{{ 3px }}", 1, 5, "after a number"),
        ("{{ '\\xzz' }}", 1, 5, "hexadecimal"),
        ("{{ # }}", 1, 4, "unexpected character"),
        ("{{ `a ${b` }}", 1, 10, "never closed"),
        ("{{ `a ${ 1 + } b` }}", 1, 14, "ends too early"),
    ],
)
def test_syntax_errors_have_a_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_value(text)
    error = caught.value
    assert message in error.message
    assert (error.line, error.column) == (line, column), error.message
    assert error.source == text
    assert error.code == "expression_syntax_error"
    assert not error.retryable


def test_all_syntax_errors_are_listed() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_value({"ok": "{{1}}", "a": ["{{1+}}"], "b/c": {"~": "{{nofn()}}"}, "{{": 1})
    assert [problem.path for problem in caught.value.problems] == ["/a/0", "/b~1c/~0", "/{{"]
    assert caught.value.path == "/a/0"


def test_all_faults_of_one_text_are_listed() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_value({"a": "{{ toUper(trm(1)) }} and {{ 1 + }}\n{{ x.mpa(y => y) + nofn(1) + 'a'.map(z => z) }}"})
    found = [(problem.path, problem.message.rpartition(" (")[2]) for problem in caught.value.problems]
    places = ["line 1, column 4)", "line 1, column 11)", "line 1, column 33)"]
    places += ["line 2, column 5)", "line 2, column 20)", "line 2, column 33)"]
    assert found == [("/a", place) for place in places]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("{{ 1 }} {{ input.id.trim() }}", 20, "number values have no method 'trim'"),
        ("{{ input.list.map(x => x.trim()) }}", 25, "number values have no method 'trim'"),
        ("{{ input.obj.map(x => x) }}", 13, "object values have no method 'map'"),
        ("{{ jsonParse('{') }}", 4, "not valid JSON"),
        ("{{ dateAdd('soon', 1) }}", 4, "no date"),
        ("{{ dateAdd('2024-01-01', 1, 'moon') }}", 4, "unit"),
        ("{{ dateAdd('2024-01-01', 99999, 'year') }}", 4, "out of range"),
        ("{{ dateAdd('2024-01-01', 0/0, 'day') }}", 4, "out of range"),
        ("{{ randint(2, 1) }}", 4, "lower bound"),
        ("{{ now() }}", 4, "not available"),
        ("{{ random() }}", 4, "not available"),
        ("{{ [...input.id] }}", 5, "spread"),
        ("{{ {...'ab'} }}", 8, "spread"),
        ("{{ 'a' in 'abc' }}", 3, "'in' needs"),
        ("{{ toUpper(...[1, 2]) }}", 4, "takes 1 argument"),
        ("{{ (1.5).toFixed(101) }}", 9, "between 0 and 100"),
        ("{{ (1.5).toString(3) }}", 9, "base"),
    ],
)
def test_misuse_is_an_error_with_a_place(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value(text).evaluate(SCOPE)
    error = caught.value
    assert message in error.message
    assert (error.line, error.column, error.source) == (1, column, text), error.message
    assert type(error) is ExpressionError
    assert error.code == "expression_error"


def test_an_evaluation_error_names_the_field() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_value({"a": [1, {"b": "{{ now() }}"}]}).evaluate(SCOPE)
    assert caught.value.path == "/a/1/b"


def test_an_error_survives_the_wire() -> None:
    from linkflow.domain.errors import error_from

    with pytest.raises(ExpressionError) as caught:
        compile_value({"a": "\n{{ now() }}"}).evaluate(SCOPE)
    back = error_from(caught.value.to_data())
    assert isinstance(back, ExpressionError)
    assert (back.line, back.column, back.path, back.message) == (2, 4, "/a", caught.value.message)


def test_compiling_is_cached() -> None:
    assert compile_value("{{ input.cached }}") is compile_value("{{ input.cached }}")
    assert compile_expression("input.cached") is compile_expression("input.cached")
