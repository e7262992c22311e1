"""The code node: what a script sees, what becomes of what it returns, prints and raises."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain.outcomes import Completed
from linkflow.local.trying import scripts
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.code import MAX_LOG, node
from linkflow.nodes.registry import Registry
from tests.unit.nodes.peers import context


async def run(config: dict[str, Any], input: Any = None, **more: Any) -> tuple[Any, list[str]]:
    lines: list[str] = []
    given = context(input=input, log=lines.append, scripts=scripts(), **more)
    outcome = await node.run(node.params.model_validate(config), given)
    assert isinstance(outcome, Completed)
    return outcome.output, lines


async def failure(config: dict[str, Any], input: Any = None) -> Any:
    with pytest.raises(NodeFailure) as caught:
        await run(config, input)
    return caught.value.error


def test_the_originals_names() -> None:
    for name in ("action_code", "action_script", "transform_code", "code"):
        assert Registry.load().canonical(name) == "action_code"
    assert not Registry.load().pure("action_code")
    assert Registry.load().literal_fields("action_code") == ("code", "script", "source")


async def test_what_javascript_sees() -> None:
    code = "return [input === $input, $json === input, input.a, trigger.t, rate, typeof item, typeof process, typeof require]"
    output, _ = await run({"code": code, "variables": {"rate": 2}}, {"a": 1}, trigger={"t": 3})
    assert output == [True, True, 1, 3, 2, "undefined", "undefined", "undefined"]


async def test_what_python_sees() -> None:
    code = "return [input['a'], trigger['t'], rate]"
    output, _ = await run({"language": "py", "code": code, "variables": {"rate": 2}}, {"a": 1}, trigger={"t": 3})
    assert output == [1, 3, 2]


@pytest.mark.parametrize("config", [
    {"code": "console.log(item); await null; return $json.n * index", "mode": "runOnceForEachItem"},
    {"code": "async def f():\n    return item['n'] * index\nprint(item)\nreturn await f()", "mode": "each", "language": "python"},
])  # fmt: skip
async def test_each_item(config: dict[str, Any]) -> None:
    output, lines = await run(config, [{"n": 5}, {"n": 6}])
    assert output == [0, 6]
    assert len(lines) == 2
    assert (await run({**config, "items": []}, {"x": 1}))[0] == []
    error = await failure(config, {"x": 1})
    assert (error.code, error.retryable) == ("not_a_list", False)


async def test_an_error_says_which_item() -> None:
    error = await failure({"code": "\nreturn item.a.b", "mode": "each"}, [{"a": {}}, {}])
    assert error.message.startswith("item 1: TypeError: ")
    assert error.details["line"] == 2


@pytest.mark.parametrize(
    ("config", "code", "line"),
    [
        ({"code": "let a;\nlet b = a.b;"}, "script_error", 2),
        ({"code": "let a = ;"}, "script_error", 1),
        ({"code": "while (true) { }", "timeout": 0.2}, "script_timeout", 0),
        ({"code": "const a = []; while (true) a.push(new Array(1000).fill(1))"}, "script_limit", 0),
        ({"code": "return 'x'.repeat(5e6)"}, "script_too_large", 0),
        ({"code": "x = 1\nraise ValueError('no')", "language": "python"}, "script_error", 2),
        ({"code": "while True: pass", "language": "python", "timeout": 0.2}, "script_timeout", 0),
    ],
)
async def test_errors(config: dict[str, Any], code: str, line: int) -> None:
    error = await failure(config)
    assert (error.code, error.retryable) == (code, False)
    assert not line or error.details["line"] == line
    assert not line or f"(line {line}, column " in error.message


async def test_the_log_is_one_line_each_and_bounded() -> None:
    code = "console.log('a\\nb', {c: [1]}, undefined); console.warn('w'); console.error(new Error('e')); return 1"
    assert (await run({"code": code}))[1] == ['a\\nb {"c":[1]} undefined', "WARNING w", "ERROR Error: e"]
    _, lines = await run({"code": "for (let i = 0; i < 300; i++) console.log('x'.repeat(1000))"})
    assert sum(map(len, lines)) <= MAX_LOG + 100
    assert lines[-1].endswith("more lines")


async def test_time_and_chance_are_the_runs() -> None:
    config = {"code": "return [Date.now(), new Date().toISOString(), Math.random()]"}
    (first, _), (second, _) = [await run(config, now_ms=1_709_294_400_000) for _ in range(2)]
    assert first == second
    assert first[:2] == [1_709_294_400_000, "2024-03-01T12:00:00.000Z"]


async def test_braces_in_code_are_code() -> None:
    config = {"code": "return `{{ ${'input'} }}`"}
    assert Registry.load().check("action_code", config) == []
    assert (await run(config))[0] == "{{ input }}"


@pytest.mark.parametrize("name", ["input", "a-b", "1a", "$x", "__proto__ ", "class", "def", "await", "x" * 101])
def test_names_that_variables_cannot_have(name: str) -> None:
    assert Registry.load().check("action_code", {"code": "return 1", "variables": {name: 1}})


async def test_without_an_engine() -> None:
    with pytest.raises(NodeFailure, match="runs no scripts"):
        await node.run(node.params.model_validate({"code": "return 1"}), context(input=1))
