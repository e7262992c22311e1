"""What LinkFlow and JavaScript evaluate alike, and where they differ on purpose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linkflow.domain.expressions import Scope, compile_expression
from tests.unit.expressions.javascript_table import INPUT, TABLE


def evaluate(text: str, **names: Any) -> Any:
    return compile_expression(text).evaluate(Scope(**({"input": INPUT} | names)))


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text for text, _ in TABLE])
def test_as_javascript(text: str, expected: Any) -> None:
    result = evaluate(text)
    # As JSON, so that 1, 1.0 and true are told apart.
    assert json.dumps(result, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a missing path is null, and so is everything read from it
        ("input.nope", None),
        ("input.nope.deep.deeper[0]", None),
        ("null.x", None),
        ("input.nope.trim()", None),
        ("input.nope.map(x => x)", None),
        ("input.total.x", None),
        ("input.nope < 5", True),
        ("input.nope + 1", 1),
        ("input.nope === null", True),
        ("typeof null", "undefined"),
        ("Object.keys(null)", []),
        ("[].reduce((a, b) => a + b)", None),
        # words of the original
        ("1 == 1 and 2 == 2", True),
        ("1 == 2 OR 2 == 2", True),
        ("1 == 2 or 2 == 3 AND true", False),
        ("not input.nope", True),
        ("not 1 == 2", True),
        ("NOT (1 == 1) or true", True),
        ("$.total", 150),
        # whole numbers are exact beyond 2**53, up to 1e21
        ("9007199254740993 + 0", 9007199254740993),
        ("999999999999999999999 + 1", 1e21),
        # texts count characters, not UTF-16 units
        ("'😀'.length", 1),
        # nothing is changed in place
        ("[3, 1].sort((a, b) => a - b).concat(input.tags.sort())", [1, 3, "a", "b", "c"]),
        ("[input.tags.sort()[0], input.tags[0]]", ["a", "b"]),
        ("['1', '2', '3'].map(parseInt)", [1, 2, 3]),
        ("-2 ** 2", -4),
        ("null || 0 ?? 5", 0),
    ],
)
def test_on_purpose(text: str, expected: Any) -> None:
    assert json.dumps(evaluate(text)) == json.dumps(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("toUpper('ab')", "AB"),
        ("upper(input.name)", "ANN"),
        ("toLower('AB')", "ab"),
        ("lower(12)", "12"),
        ("upper(input.nope)", None),
        ("trim('  a ')", "a"),
        ("split('a,b', ',')", ["a", "b"]),
        ("replace('aXbX', 'X', '')", "ab"),
        ("jsonParse('{\"a\":[1]}').a[0]", 1),
        ("fromJson(input.nope)", None),
        ("jsonParse(input.tags)", ["b", "a", "c"]),
        ("jsonStringify({a: 1.0, b: 'é'})", '{"a":1,"b":"é"}'),
        ("toJson(null)", "null"),
        ("length('abc') + length([1]) + length({a: 1}) + length(null)", 5),
        ("len(input.tags)", 3),
        ("contains('abc', 'b')", True),
        ("contains([1, 2], 2)", True),
        ("contains({a: 1}, 'a')", True),
        ("contains(null, 'a')", False),
        ("startsWith('abc', 'a')", True),
        ("startsWith(null, 'n')", False),
        ("endsWith('abc', 'c')", True),
        ("join([1, 2], '-')", "1-2"),
        ("join(null)", None),
        ("round(2.5)", 3),
        ("round(-2.5)", -3),
        ("round(1.005, 2)", 1.01),
        ("round('3.14159', 2)", 3.14),
        ("round(1e300, 2)", 1e300),
        ("round(null)", None),
        ("now()", "2024-03-01T12:00:00Z"),
        ("random()", 0.5),
        ("Math.random() * 10", 5),
        ("randint(1, 6)", 4),
        ("randint(3, 3)", 3),
        ("dateAdd('2024-01-31', 1, 'month')", "2024-02-29T00:00:00.000Z"),
        ("dateAdd('2024-02-29T10:00:00Z', -1, 'years')", "2023-02-28T10:00:00.000Z"),
        ("dateAdd('2024-01-01T00:00:00+02:00', 1, 'day')", "2024-01-01T22:00:00.000Z"),
        ("dateAdd('2024-01-01T00:00:00.250Z', 1.5, 'h')", "2024-01-01T01:30:00.250Z"),
        ("dateAdd(0, 2, 'weeks')", "1970-01-15T00:00:00.000Z"),
        ("dateAdd(now(), 7)", "2024-03-08T12:00:00.000Z"),
        ("dateAdd(null, 1, 'day')", None),
        ("dateFormat('2024-03-05T09:07:03.045Z', 'yyyy-MM-dd')", "2024-03-05"),
        ("dateFormat('2024-03-05T09:07:03.045Z', 'YYYY/DD d.M.yy H:mm:ss.SSS')", "2024/05 5.3.24 9:07:03.045"),
        (
            "dateFormat('2024-03-05T21:07:03+01:00', \"EEEE, MMM d 'at' h:mm a XXX\")",
            "Tuesday, Mar 5 at 9:07 PM +01:00",
        ),
        ("dateFormat('2024-03-05', \"EEE MMMM dd'T'HH X\")", "Tue March 05T00 Z"),
        ("dateFormat(null, 'yyyy')", None),
    ],
)
def test_functions_of_the_original(text: str, expected: Any) -> None:
    scope = {"now": lambda: "2024-03-01T12:00:00Z", "random": lambda: 0.5}
    assert json.dumps(evaluate(text, **scope)) == json.dumps(expected)
