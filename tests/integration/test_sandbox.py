"""The processes that scripts run in: what they give back, what they keep to themselves, and when they are ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linkflow.nodes.scripts import Language, Ran
from linkflow.sandbox import pool as pools
from linkflow.sandbox.pool import Pool
from linkflow.sandbox.process import Process

NOW = "2024-03-01T12:00:00Z"


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[Pool]:
    made = Pool(1)
    yield made
    await made.close()


async def run(pool: Pool, language: Language, code: str, seconds: float = 2.0, **names: Any) -> Ran:
    return await pool.run(language, code, names, now=NOW, seed=0.5, seconds=seconds)


def pids(pool: Pool, language: str) -> list[int]:
    return [process.pid for process in pool._idle[language]]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_javascript(pool: Pool) -> None:
    ran = await run(
        pool, "javascript", "console.log('got', input); const x = await input.n;\nreturn {x}", input={"n": 4}
    )
    assert ran == Ran({"x": 4}, logs=('got {"n":4}',))


async def test_python(pool: Pool) -> None:
    code = "async def twice(n):\n    return n * 2\nprint('got', input)\nreturn {'x': await twice(input['n'])}"
    assert await run(pool, "python", code, input={"n": 4}) == Ran({"x": 8}, logs=("got {'n': 4}",))


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_one_run_leaves_nothing_to_the_next(pool: Pool, language: Language) -> None:
    put = {
        "javascript": "globalThis.left = 1; Array.prototype.left = 2; JSON.left = 3; Object.prototype.left = 4",
        "python": "global left\nleft = 1\nimport json\n",
    }
    look = {
        "javascript": "return [typeof left, [].left, JSON.left, ({}).left].map(String)",
        "python": "try:\n    return left\nexcept NameError:\n    return 'gone'",
    }
    want = {"javascript": ["undefined"] * 4, "python": "gone"}
    await run(pool, language, put[language])
    before = pids(pool, language)
    assert (await run(pool, language, look[language])).value == want[language]
    assert pids(pool, language) == before


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_time_and_chance_are_given(pool: Pool, language: Language) -> None:
    code = {
        "javascript": "return [new Date().toISOString(), Date.now(), Math.random(), Math.random()]",
        "python": "import random, datetime, time\nnow = datetime.datetime.now()\n"
        "return [now.isoformat(), time.time(), random.random(), random.random()]",
    }
    first, second = [(await run(pool, language, code[language])).value for _ in range(2)]
    assert first == second
    assert first[0].startswith("2024-03-01T12:00:00")
    assert first[2] != first[3]


async def test_what_the_engine_does_not_stop_is_killed(pool: Pool) -> None:
    """A long operation inside the engine looks at no time limit."""
    await run(pool, "javascript", "return 1")
    (before,) = pids(pool, "javascript")
    ran = await run(pool, "javascript", "return new Array(1e9).join('x')", seconds=0.2)
    assert ran.error is not None
    assert ran.error.kind == "timeout"
    assert not is_there(before)
    assert (await run(pool, "javascript", "return 2")).value == 2


async def test_a_process_that_dies_is_a_crash_of_that_run_alone(pool: Pool) -> None:
    await run(pool, "javascript", "return 1")
    (pid,) = pids(pool, "javascript")
    task = asyncio.create_task(run(pool, "javascript", "while (true) { }", seconds=60))
    while pids(pool, "javascript"):  # noqa: ASYNC110 - until it is at work
        await asyncio.sleep(0)
    os.kill(pid, 9)
    ran = await task
    assert ran.error is not None
    assert ran.error.kind == "crash"
    assert (await run(pool, "javascript", "return 1")).value == 1


async def test_one_that_dies_while_it_is_idle_is_not_even_noticed(pool: Pool) -> None:
    await run(pool, "javascript", "return 1")
    (process,) = pool._idle["javascript"]
    os.kill(process.pid, 9)
    process._popen.wait()
    assert (await run(pool, "javascript", "return 1")).value == 1


async def test_nobody_waits_for_a_script_that_was_cancelled(pool: Pool) -> None:
    await run(pool, "javascript", "return 1")
    (pid,) = pids(pool, "javascript")
    task = asyncio.create_task(run(pool, "javascript", "while (true) { }", seconds=60))
    while pids(pool, "javascript"):  # noqa: ASYNC110 - until it is at work
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await run(pool, "javascript", "return 3")).value == 3
    assert not is_there(pid)


async def test_processes_are_replaced(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MAX_RUNS", 2)
    seen = set()
    for _ in range(4):
        ran = await run(pool, "javascript", "return 1")
        assert ran.value == 1
        seen |= set(pids(pool, "javascript"))
    assert len(seen) >= 2


async def test_more_scripts_than_processes_wait_their_turn(pool: Pool) -> None:
    found = await asyncio.gather(*(run(pool, "javascript", "return input", input=n) for n in range(20)))
    assert [ran.value for ran in found] == list(range(20))
    assert len(pids(pool, "javascript")) == 1


async def test_closing_ends_the_processes() -> None:
    made = Pool(1)
    await run(made, "javascript", "return 1")
    (pid,) = pids(made, "javascript")
    await made.close()
    assert not is_there(pid)


async def test_closing_ends_what_is_at_work() -> None:
    made = Pool(1)
    await run(made, "javascript", "return 1")
    task = asyncio.create_task(run(made, "javascript", "while (true) { }", seconds=60))
    while pids(made, "javascript"):  # noqa: ASYNC110 - until it is at work
        await asyncio.sleep(0)
    await made.close()
    ran = await task
    assert ran.error is not None
    assert ran.error.kind == "crash"


@pytest.mark.parametrize("language", ["javascript", "python"])
def test_what_protects_a_process_here(language: Language) -> None:
    """Whatever the machine allows is in force; limits and the filter of system calls are on every Linux."""
    process = Process(language)
    try:
        assert {"rlimits", "no_new_privileges", "seccomp"} <= set(process.layers)
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{process.pid}/status").read_text().split("\n")
            if ":\t" in line
        )
        assert status["Seccomp"].strip() == "2"
        assert status["NoNewPrivs"].strip() == "1"
        assert int(status["CapEff"], 16) == 0
        assert status["Uid"].split()[1] != "0"
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert "Max file size             0                    0" in limits
        try:
            environ = Path(f"/proc/{process.pid}/environ").read_text()
        except PermissionError:  # it is not ours any more
            environ = ""
        names = {variable.partition("=")[0] for variable in environ.split("\0") if variable}
        assert names <= {"LC_ALL", "TZ", "LD_LIBRARY_PATH"}
    finally:
        process.close()


@pytest.mark.parametrize(
    ("language", "code", "kind", "line"),
    [
        ("javascript", "let x = 1;\n  nope.x", "error", 2),
        ("javascript", "let a = 1;\nlet b = ;", "error", 2),
        ("javascript", "const f = () => {\n  throw new RangeError('mine');\n};\nf()", "error", 2),
        ("javascript", "while (true) { }", "timeout", 0),
        ("javascript", "await null; while (true) { }", "timeout", 0),
        ("javascript", "await new Promise(() => { })", "error", 0),
        ("javascript", "const f = () => f(); f()", "stack", 1),
        ("javascript", "const a = []; while (true) a.push(new Array(1000).fill(1))", "memory", 0),
        ("javascript", "return 'x'.repeat(5e6)", "output", 0),
        ("javascript", "return (() => { const a = {}; a.a = a; return a })()", "error", 0),
        ("python", "x = 1\ny = nope", "error", 2),
        ("python", "x = 1\ndef (", "error", 2),
        ("python", "def f():\n    raise ValueError('mine')\nf()", "error", 2),
        ("python", "while True: pass", "timeout", 0),
        ("python", "def f(): return f()\nf()", "stack", 0),
        ("python", "x = 'a' * 10 ** 10", "memory", 1),
        ("python", "return 'x' * 5000000", "output", 0),
        ("python", "return object()", "error", 0),
        ("python", "raise TimeoutError('mine')", "error", 1),
    ],
)
async def test_errors_have_a_kind_and_a_line(pool: Pool, language: Language, code: str, kind: str, line: int) -> None:
    ran = await run(pool, language, code, seconds=0.3 if kind == "timeout" else 5.0)
    assert ran.error is not None, ran.value
    assert ran.error.kind == kind, ran.error
    if line:
        assert ran.error.line == line, ran.error


async def test_a_column_counts_from_the_script_s_own_first_character(pool: Pool) -> None:
    for code in ("let a = ;", "\nlet a = ;"):
        ran = await run(pool, "javascript", code)
        assert ran.error is not None
        assert ran.error.column == 9


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "for (let i = 0; i < 1000; i++) console.log('x'.repeat(10000)); throw new Error('end')"),
        ("python", "for i in range(250):\n    print('x' * 200)\nraise ValueError('end')"),
    ],
)
async def test_the_log_is_kept_small_and_kept_on_failure(pool: Pool, language: Language, code: str) -> None:
    ran = await run(pool, language, code)
    assert ran.error is not None
    assert len(ran.logs) == 200
    assert ran.dropped > 0
    assert max(map(len, ran.logs)) <= 2001


async def test_results_are_json(pool: Pool) -> None:
    code = "return [new Set([1]), new Map([['a', 2]]), new Date(0), 1n, undefined, NaN, () => 1]"
    want = [[1], {"a": 2}, "1970-01-01T00:00:00.000Z", 1, None, None, None]
    assert (await run(pool, "javascript", code)).value == want
    code = "import datetime\nreturn [(1, 2), {3}, datetime.date(2024, 1, 1), None, True]"
    assert (await run(pool, "python", code)).value == [[1, 2], [3], "2024-01-01", None, True]
    assert (await run(pool, "javascript", "")).value is None
    assert (await run(pool, "python", "x = 1")).value is None
    assert (await run(pool, "javascript", "return '\\ud800x'")).value == "\ufffdx"
