"""What the JavaScript engine evaluates, and that it agrees with the native evaluator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from linkflow.domain.expressions import ExpressionError, ExpressionSyntaxError, Scope, compile_expression, compile_value
from linkflow.domain.expressions.functions import FUNCTIONS
from linkflow.domain.expressions.script_names import CLASSES, SCRIPT_CONSTANTS, SCRIPT_FUNCTIONS
from tests.unit.expressions.engine import FAILED, NOW, as_javascript, asked, in_engine
from tests.unit.expressions.javascript_table import INPUT, TABLE
from tests.unit.expressions.test_properties import expressions

SCOPE = Scope(
    input=INPUT,
    trigger={"body": {"text": "a-b a-c", "date": "2024-02-29T23:30:00Z"}},
    node=lambda name: {"output": {"n": 4}, "status": "completed"} if name in ("fetch", "My node") else None,
    prev={"output": {"status": 200}},
    loop={"item": "x", "index": 2},
    vars={"REGION": "eu"},
    workflow={"id": "w1", "name": "W"},
    execution={"id": "e1"},
    credentials={"key": "secret"},
    now=lambda: NOW,
    random=lambda: 0.5,
)
BESIDE = [text for text, _ in TABLE]


def same(left: Any, right: Any) -> bool:
    """As JSON; a whole number is the same with and without a point."""
    return left == right and json.dumps(left, sort_keys=True).replace(".0", "") == json.dumps(
        right, sort_keys=True
    ).replace(".0", "")


def test_the_table_with_the_rules_of_linkflow() -> None:
    found = in_engine(BESIDE, SCOPE)
    assert [(text, got) for (text, want), got in zip(TABLE, found, strict=True) if not same(want, got)] == []


def test_the_table_as_plain_javascript() -> None:
    """The table says of itself that JavaScript gives these results: here one does."""
    found = as_javascript(BESIDE, SCOPE)
    assert [(text, got) for (text, want), got in zip(TABLE, found, strict=True) if not same(want, got)] == []


KNOWN = (
    ".sort((",  # a comparison that contradicts itself leaves the order open
    ".repeat(",  # a negative count is none at all natively, an error in JavaScript
    "random", "randint",  # the native ones take a number of the run each time, the engine takes one as its seed
)  # fmt: skip
STRICTER = ("takes no argument", "values have no method", "takes a base", "needs an array of [key")
"""Native refusals of what JavaScript ignores: superfluous arguments, and misuse where nothing is evaluated."""


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(depth=2))
def test_both_evaluators_agree(source: str) -> None:
    if any(word in source for word in KNOWN):
        return
    try:
        native = compile_expression(source).evaluate(SCOPE)
    except ExpressionError as error:
        if any(words in error.message for words in STRICTER):
            return
        native = FAILED
    assert same(native, in_engine([source], SCOPE)[0]), source


ALIKE = ("'a'.padStart(3, input.nope)", "'a'.padEnd(2.5, null)")
"""What hypothesis once found."""


@pytest.mark.parametrize("source", ALIKE)
def test_they_agree_where_they_did_not(source: str) -> None:
    assert same(compile_expression(source).evaluate(SCOPE), in_engine([source], SCOPE)[0])


def test_the_engine_knows_every_function_by_name() -> None:
    codes = [f'typeof $lf.f["{name}"]' for name in [*FUNCTIONS, *SCRIPT_FUNCTIONS]]
    codes += [f"typeof $lf.n.{name}" for name in CLASSES]
    kinds = [json.loads(answer["json"]) for answer in asked([(code, "{}") for code in codes])]
    assert [code for code, kind in zip(codes, kinds, strict=True) if kind != "function"] == []
    numbers = asked([(f"typeof {name}", "{}") for name in SCRIPT_CONSTANTS])
    assert {answer["json"] for answer in numbers} == {'"number"'}


ONLY_THERE: list[tuple[str, Any]] = [
    # regular expressions
    ("input.name.replace(/n+/g, 'X')", "AX"), ("/^a/i.test(input.name)", True),
    ("trigger.body.text.match(/a-(\\w)/)[1]", "b"), ("trigger.body.text.match(/z/)", None),
    ("[...trigger.body.text.matchAll(/a-(\\w)/g)].map(m => m[1])", ["b", "c"]),
    ("'a1b22'.split(/[0-9]+/)", ["a", "b", ""]), ("'x'.replace(/x/, '\"}}/')", '"}}/'),
    ("'ab'.replace(/(a)(b)/, (all, a, b) => b + a)", "ba"), ("'a/b'.split(/b/).map(x => x.length / 2)", [1, 0]),
    ("/[/\\]]/.source", "[/\\]]"), ("'2024-03'.match(/(?<y>\\d+)-(?<m>\\d+)/).groups.m", "03"),
    # methods and functions that the native language lacks
    ("input.tags.findLastIndex(t => t < 'c')", 1), ("'abc'.charCodeAt(1)", 98), ("(1234.5).toPrecision(2)", "1.2e+3"),
    ("Object.assign({}, {a: 1}, {b: 2})", {"a": 1, "b": 2}), ("Array.from({length: 3}, (x, i) => i * 2)", [0, 2, 4]),
    ("Array.from(new Set([1, 1, 2]))", [1, 2]), ("[...new Set(input.tags.concat('a'))].length", 3),
    ("String.fromCharCode(72, 105)", "Hi"), ("Math.hypot(3, 4)", 5), ("decodeURIComponent('a%20b')", "a b"),
    ("atob(btoa('hey'))", "hey"), ("input.tags.toSorted()", ["a", "b", "c"]), ("[1, 2, 3].map(Math.cbrt).length", 3),
    ("Object.groupBy(input.items, i => i.ok ? 'y' : 'n').n.length", 1), ("Math.LN2 > 0.69", True),
    # dates: the time is the run's, in UTC
    ("new Date().toISOString()", "2024-03-01T12:00:00.000Z"), ("Date.now()", 1709294400000),
    ("new Date(trigger.body.date).getMonth()", 1), ("new Date(2024, 0, 31).toISOString()", "2024-01-31T00:00:00.000Z"),
    ("(new Date('2024-03-02') - new Date('2024-03-01')) / 86400000", 1), ("new Date(0)", "1970-01-01T00:00:00.000Z"),
    ("dateAdd(new Date(0), 1, 'day')", "1970-01-02T00:00:00.000Z"), ("new Date() instanceof Date", True),
    # functions of one's own
    ("(() => { const a = 1; let b = 2; b += a; return {a, b}; })()", {"a": 1, "b": 3}),
    ("(x => x * 2)(4)", 8), ("(function f(n) { return n < 2 ? 1 : n * f(n - 1) })(5)", 120),
    ("input.items.map(i => { if (i.ok) return i.id; return null })", [1, None, 10]),
    ("input.items.map(({id, qty: n = 0, ...rest}) => [id, n, rest])",
     [[1, 2, {"ok": True}], [2, 5, {"ok": False}], [10, 1, {"ok": True}]]),
    ("(([a, [b], ...c]) => [a, b, c])([1, [2], 3, 4])", [1, 2, [3, 4]]), ("((a, b = a + 1) => b)(1)", 2),
    ("(() => { const even = n => n == 0 || odd(n - 1); const odd = n => n != 0 && even(n - 1); return even(6) })()", True),
    ("(() => { const { a: { b: [, c = 7] } = {} } = { a: { b: [1] } }; return c })()", 7),
    ("(() => { let s = ''; for (const c of 'abc') { if (c == 'b') continue; s += c } return s })()", "ac"),
    ("(() => { let n = 0; for (let i = 0, j = 9; i < j; i++, j--) n++; return n })()", 5),
    ("(() => { let n = 5; while (n > 2) { n-- } do n++; while (n < 4)\n return n })()", 4),
    ("(() => { const o = {}; for (const k in {a: 1, b: 2}) o[k + k] = 1; delete o.aa; return o })()", {"bb": 1}),
    ("(() => { switch (input.tags.length) { case 1: return 'one'; case 3: return 'three'; default: return '?' } })()",
     "three"),
    ("(() => { try { throw new Error('no') } catch ({message}) { return message } finally { } })()", "no"),
    ("(() => { try { jsonParse('{') } catch (e) { return e.message } })()", "the text is not valid JSON"),
    ("(() => { return twice(4); function twice(x) { return x * 2 } })()", 8),
    ("(() => { const o = {n: 1, up(by) { return by + 1 }}; return o.up(2) })()", 3),
    ("(() => { var a; let b; return [a, b, a === b, a === undefined, typeof a] })()",
     [None, None, True, True, "undefined"]),
    ("(() => { const q = []; q.push(1, 2); q.splice(0, 1); q.unshift(5); return q })()", [5, 2]),
    ("(() => { const größe = 2; return größe * 2 })()", 4), ("(() => { let input = 3; return input /* own */ })()", 3),
    # the rules of expressions hold there as well
    ("input.nope.deep.replace(/a/, '')", None), ("input.nope === null && /x/.test('x')", True),
    ("input.nope + 1 + 'ab'.match(/b/).length", 2), ("[/a/ instanceof RegExp, {} instanceof Map]", [True, False]),
    ("'ab'.slice(input.nope, input.nope).match(/./g)", ["a", "b"]), ("new Map([['a', 1]])", {"a": 1}),
    ("not /a/.test('b') and 1 == 1 or false", True), ("'abc'.match(/b/).index", 1), ("/x/.source.concat([1, 2].at(input.nope))", "x1"),
    ("input['con' + 'structor'] ?? /x/.source", "x"), ("[/x/].length + $node.fetch.output.n", 5),
    ("fetch.n + REGION + vars.REGION + /x/.source", "4eueux"), ("$node['My node'].status.match(/c/)[0]", "c"),
    ("$node.prev.output.status + '/'.match(/\\//)[0]", "200/"), ("`${loop.item}${/y/.source}${null}`", "xynull"),
    ("workflow.name + execution.id.match(/e/)[0]", "We"), ("btoa(credential.key)", "c2VjcmV0"),
    ("'1x2'.split(/x/).map(Number)", [1, 2]), ("'1x2x3'.split(/x/).map(parseInt)", [1, 2, 3]), ("now().match(/T/)[0]", "T"),
    ("(() => 1 / 0)()", None), ("(() => { })()", None), ("[1, , 2].length", FAILED),
]  # fmt: skip


def test_what_only_the_engine_has() -> None:
    compiled = []
    for text, want in ONLY_THERE:
        if want is FAILED:
            with pytest.raises(ExpressionSyntaxError):
                compile_expression(text)
        else:
            compiled.append((text, want, compile_expression(text)))
    assert [text for text, _, one in compiled if len(one.scripts) != 1] == []
    scripts = [one.scripts[0] for _, _, one in compiled]
    answers = asked([(script.code, json.dumps(script.data(SCOPE))) for script in scripts])
    wrong = [
        (text, want, answer)
        for (text, want, _), answer in zip(compiled, answers, strict=True)
        if "json" not in answer or not same(want, json.loads(answer["json"]))
    ]
    assert wrong == []


def test_within_braces_it_is_the_same() -> None:
    """What ends an expression is found past regular expressions, comments and functions' bodies."""
    for text, want in ONLY_THERE:
        if want is not FAILED:
            around = compile_value(f"<{{{{{text}}}}}> and {{{{ 4 / 2 / 1 }}}}")
            assert [script.code for script in around.scripts] == [compile_expression(text).scripts[0].code], text


def test_which_of_the_two_is_known_when_it_is_compiled() -> None:
    assert compile_value("{{ input.a.map(x => x.id) }} and {{ toUpper(b) }}").scripts == ()
    mixed = compile_value({"a": "{{ input.x }} {{ /a/.test(trigger.t) }}", "b": [{"{{ k.match(/x/)[0] }}": 1}]})
    assert [script.facts.fixed for script in mixed.scripts] == [{"trigger"}, frozenset()]
    assert (mixed.facts.fixed, mixed.names) == ({"input", "trigger"}, {"k"})
    clock = compile_value("{{ new Date().getTime() }}{{ Math.random() + [].toSorted().length }}")
    assert (clock.uses_clock, clock.uses_random) == (True, True)


def test_a_script_gets_only_what_it_reads() -> None:
    script = compile_expression("loop.item.match(/x/) ?? fetch.n").scripts[0]
    data = script.data(SCOPE)
    assert data["loop"] == {"item": "x"}
    assert (data["names"], data["nodes"], data["credentials"]) == ({"fetch": {"n": 4}}, {}, {})
    assert not {"input", "trigger", "workflow", "execution", "prev"} & set(data)


def test_without_an_engine_it_is_an_error_with_a_place() -> None:
    with pytest.raises(ExpressionError, match="needs the JavaScript engine") as caught:
        compile_value("{{ 1 }} {{ /a/.test(input) }}").evaluate(Scope(input="a"))
    assert (caught.value.line, caught.value.column) == (1, 15)


def test_answers_take_their_places() -> None:
    compiled = compile_value({"a": "<{{ /a/.test(input) }}|{{ 1 + 1 }}>", "b": "{{ [/x/.source] }}"})
    codes = [script.code for script in compiled.scripts]
    scope = Scope(input="a", answers=dict(zip(codes, [True, ["x"]], strict=True)))
    assert compiled.evaluate(scope) == {"a": "<true|2>", "b": ["x"]}


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("(() => { while (true) { } })()", "timeout", "interrupted"),
        ("(() => { const f = () => f(); return f() })()", "stack", "call stack"),
        ("(() => { let a = 'x'; while (true) a += a })()", "memory", ""),
        ("(() => { const a = []; while (true) a.push(a.concat(a)) })()", "memory", ""),
        ("/(a+)+$/.test('a'.repeat(50) + 'b')", "timeout", "interrupted"),
        ("'x'.match(/x/)[0].repeat(1e9)", "memory", ""),
        ("(() => { throw new TypeError('mine') })()", "error", "TypeError: mine"),
        ("(() => { throw 'text' })()", "error", "thrown: text"),
        ("input.total.match(/x/)", "error", "not a function"),
        ("new RegExp('(').source", "error", "SyntaxError"),
    ],
)
def test_limits_and_errors(text: str, kind: str, words: str) -> None:
    script = compile_expression(text).scripts[0]
    error = asked([(script.code, json.dumps(script.data(SCOPE)))])[0]["error"]
    assert error["kind"] == kind
    assert words in error["message"]
