"""Scripts are checked as a workflow is saved, by the real engines in their sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from linkflow.cli import main
from linkflow.domain.importing import read
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.registry import Registry
from linkflow.nodes.scripts import Scripts
from linkflow.sandbox.pool import Pool
from linkflow.services.script_checks import ScriptChecks


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(1)
    yield made
    made.shut()


def document(code: str, **config: Any) -> dict[str, Any]:
    node = {"id": "c", "type": "code", "config": {"code": code, **config}}
    edges = [{"id": "e", "source": "t", "target": "c"}]
    return {"name": "x", "nodes": [{"id": "t", "type": "trigger_manual"}, node], "edges": edges}


async def told(pool: Scripts, value: dict[str, Any]) -> list[tuple[str, str]]:
    registry = Registry.load()
    definition, _ = read(value, registry)
    found = await ScriptChecks(registry, lambda: pool).check(value, definition)
    assert all(problem.code == "script_syntax" for problem in found)
    return [(problem.path, problem.message) for problem in found]


@pytest.mark.parametrize(
    ("language", "code", "place"),
    [
        ("javascript", "const a = 1;\nlet x = ;", "(line 2, column 9)"),
        ("javascript", "let input = 1;", "(line 1, column"),
        ("javascript", "return `${", "(line"),
        ("javascript", "\nreturn {score: ", "The script ends in the middle of something (line 2, column 16)"),
        ("python", "x = [1", "The script ends in the middle of something (line 1, column 7)"),
        ("js", "let limit = 1;", "(line 1, column"),
        ("python", "x = [1\ny = 2", "(line 2, column 1)"),
        ("py", "def f():\n\treturn 1 1", "(line 2, column"),
        ("python", "if True:\nreturn 1", "(line 2, column 1)"),
        ("python", "class A(metaclass=B): pass", "(line 1, column 1)"),
    ],
)
async def test_what_does_not_parse_is_told_with_line_and_column(pool: Pool, language: str, code: str, place: str):
    ((path, message),) = await told(pool, document(code, language=language, variables={"limit": 1}))
    assert path == "/nodes/1/config/code"
    assert place in message


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "const rows = await Promise.all([1]);\n// done\nreturn rows; // now"),
        ("javascript", "function f() { return item }\nthrow new Error(f())"),
        ("javascript", "while (true) {}"),
        ("python", "# only a comment"),
        ("python", "text = '''a\nb'''\n\nasync def f():\n    return text\n\nreturn await f()"),
        ("python", "if input:\n\tprint(1)\nraise ValueError('no')"),
        ("python", "while True:\n    pass"),
    ],
)
async def test_what_parses_passes_and_is_not_run(pool: Pool, language: str, code: str):
    assert await told(pool, document(code, language=language)) == []


async def test_a_way_out_of_the_wrapping_runs_into_the_sandbox_alone(pool: Pool):
    assert await told(pool, document("}); while (true) {} (function () {")) == []
    assert await told(pool, document("return 1")) == []


async def test_the_places_of_other_spellings(pool: Pool):
    value = document("")
    value["nodes"][1] = {"id": "c", "type": "code", "data": {"label": "C", "config": {"script": "return ("}}}
    assert [path for path, _ in await told(pool, {"workflow": value})] == ["/workflow/nodes/1/data/config/script"]


def test_files_are_checked_without_a_server(tmp_path: Path):
    names = []
    for name, code in (("good", "return 1"), ("broken", "return (")):
        names.append(str(tmp_path / f"{name}.json"))
        Path(names[-1]).write_text(json.dumps(document(code)))
    told = CliRunner().invoke(main, ["workflow", "validate", *names])
    assert (told.exit_code, "good.json: valid" in told.stderr) == (1, True)
    assert "broken.json:/nodes/1/config/code: error: The script ends" in told.stdout


async def test_without_an_engine_nothing_is_said():
    class NoEngine:
        async def run(self, *given: Any, **more: Any) -> Any:
            raise NodeFailure("no_engine", "not installed")

    assert await told(NoEngine(), document("return (")) == []  # type: ignore[arg-type]
