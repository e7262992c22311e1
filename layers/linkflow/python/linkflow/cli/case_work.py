"""`linkflow test`: run test files, tell what differs, and write them anew."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct

from linkflow import config as configuration
from linkflow.domain.cases.checking import Difference, check
from linkflow.domain.cases.facts import Facts
from linkflow.domain.cases.model import Case, Source
from linkflow.domain.cases.reading import read_case
from linkflow.domain.cases.updating import updated
from linkflow.domain.definition import Definition
from linkflow.domain.errors import InvalidDefinition, Problem
from linkflow.domain.importing import read
from linkflow.local.playing import Player, check_case
from linkflow.nodes.registry import Registry

from .case_files import SUFFIXES, Fault, Loaded, load, with_expect
from .case_report import Report, Told, tell
from .client import say

PASSED, FAILED, UPDATED = "passed", "failed", "updated"


class Test(Struct):
    """A test that can be run: its file, the case, and its workflow as far as it is known here."""

    file: str
    loaded: Loaded
    case: Case
    definition: Definition | None = None
    document: dict[str, Any] | None = None


class Options(Struct, frozen=True):
    """How tests are run. `server` runs them there; `only` is a part of a test's name or file."""

    jobs: int = 0
    only: str = ""
    update: bool = False
    server: bool = False
    junit: str = ""
    as_json: bool = False
    timeout: float = 60.0
    home: str = ""
    url: str = ""


Runs = Callable[[Test], Awaitable[Facts]]


def test(places: Sequence[str], options: Options) -> int:
    """0 where all tests pass, 1 where some do not, 2 where files are at fault or there are none."""
    registry = Registry.load()
    tests, faults = collect(places, registry, options.server)
    tests = [one for one in tests if options.only.lower() in f"{one.file} {one.case.name}".lower()]
    report = Report(faults=sorted(set(faults), key=lambda fault: (fault.file, fault.line)))
    if tests:
        began = time.perf_counter()
        report.tests = asyncio.run(_run_all(tests, registry, options))
        report.seconds = time.perf_counter() - began
    tell(report, options.junit, options.as_json)
    if not tests and not faults:
        say("There are no tests here. `linkflow test save EXECUTION --to FILE.yaml` makes one of a run.")
        return 2
    return 2 if faults else 1 if any(one.status == FAILED for one in report.tests) else 0


def collect(places: Sequence[str], registry: Registry, on_server: bool = False) -> tuple[list[Test], list[Fault]]:
    """The tests of these files and folders, and every fault of what cannot be run."""
    tests: list[Test] = []
    faults: list[Fault] = []
    for path in _files(places):
        loaded = load(path)
        if loaded.faults:
            faults += loaded.faults
            continue
        if _is_workflow(loaded.value):
            continue
        case, problems = read_case(loaded.value, path.stem)
        found = None
        if case is not None and case.source != Source():
            found, more = _ready(loaded, case, registry, on_server, faults)
            problems += more
        faults += [Fault(str(path), loaded.line(one.path), one.path, one.message) for one in problems]
        if found is not None and not problems:
            tests.append(found)
    return tests, faults


def _files(places: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        path = Path(place)
        inside = sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES) if path.is_dir() else [path]
        found += [one for one in inside if not any(part.startswith(".") for part in one.parts[len(path.parts) :])]
    return list(dict.fromkeys(found))


def _is_workflow(value: Any) -> bool:
    """A workflow may lie beside its tests."""
    return isinstance(value, dict) and "expect" not in value and ("nodes" in value or "exported_at" in value)


def _ready(
    loaded: Loaded, case: Case, registry: Registry, on_server: bool, faults: list[Fault]
) -> tuple[Test | None, list[Problem]]:
    """The test with its workflow. Faults of a workflow in a file of its own are added to `faults`."""
    test = Test(str(loaded.path), loaded, case)
    source = case.source
    if source.id:
        if on_server:
            return test, []
        fix = "The workflow is on a server: add --server, or write it here (`linkflow test save` does)."
        return None, [Problem("/workflow/id", "no_server", fix)]
    around, file = "/workflow", loaded
    document: Any = source.document
    if source.file:
        file = load((loaded.path.parent / source.file).resolve())
        if file.faults:
            faults += file.faults
            return None, []
        around, document = "", file.value
    try:
        definition, _ = read(document, registry)
    except InvalidDefinition as error:
        wrong = [one for one in error.problems if one.severity == "error"]
        if file is loaded:
            return None, [Problem(around + one.path, one.code, one.message) for one in wrong]
        faults += [Fault(str(file.path), file.line(one.path), one.path, one.message) for one in wrong]
        return None, []
    test.definition, test.document = definition, document
    return test, check_case(case, definition, registry)


async def _run_all(tests: Sequence[Test], registry: Registry, options: Options) -> list[Told]:
    from .case_progress import Progress

    async with AsyncExitStack() as stack:
        runs = await (_on_server(stack, options) if options.server else _here(stack, registry))
        gate = asyncio.Semaphore(options.jobs or (8 if options.server else max(2, os.cpu_count() or 2)))
        with Progress(len(tests), quiet=options.as_json) as progress:

            async def one(test: Test) -> Told:
                async with gate:
                    told = await _one(test, runs, options)
                progress.step(test.case.name)
                return told

            return list(await asyncio.gather(*(one(test) for test in tests)))


async def _here(stack: AsyncExitStack, registry: Registry) -> Runs:
    """On the engine in this process. Nothing goes out but what a test allows."""
    from linkflow.local.trying import scripts
    from linkflow.nodes.egress import EgressClient

    settings = configuration.load()
    client = EgressClient(settings.egress)
    stack.push_async_callback(client.aclose)
    player = Player(registry, client, settings.connections, scripts())

    async def run(test: Test) -> Facts:
        assert test.definition is not None  # noqa: S101 - `collect` has seen to it
        return await player.play(test.case, test.definition)

    return run


async def _on_server(stack: AsyncExitStack, options: Options) -> Runs:
    from .case_server import Server

    server = Server(options.home, options.url, options.timeout)
    await asyncio.to_thread(stack.enter_context, server)

    async def run(test: Test) -> Facts:
        return await asyncio.to_thread(server.run, test.case, test.document)

    return run


async def _one(test: Test, runs: Runs, options: Options) -> Told:
    began = time.perf_counter()
    try:
        facts = await runs(test)
        differences = check(test.case, facts)
    except Exception as error:  # a test that cannot be run has failed, and the others go on
        facts, differences = None, [Difference("", "a run", None, f"{type(error).__name__}: {error}")]
    status = FAILED if differences else PASSED
    if differences and options.update and facts is not None:
        expect = updated(test.case, test.loaded.value["expect"], facts)
        text = with_expect(test.loaded, expect)
        test.loaded.path.write_text(text, encoding="utf-8")
        again, problems = read_case({**test.loaded.value, "expect": expect}, test.case.name)
        differences = check(again, facts) if again is not None and not problems else differences
        status = FAILED if differences else UPDATED
    return Told(test.file, test.case.name, status, time.perf_counter() - began, differences)


def save(home: str, url: str, execution: str, to: str, nodes: Sequence[str], ignore: Sequence[str], workflow: str,
         by_id: bool, name: str, force: bool) -> int:  # fmt: skip
    """`linkflow test save`: ask the server for a run as a test, and write it."""
    from .case_files import dump
    from .work import connected, guarded

    path = Path(to)
    if path.suffix not in SUFFIXES:
        say(f"Name a file that ends with {', '.join(SUFFIXES)}.")
        return 2
    if path.exists() and not force:
        say(f"{path} exists; --force writes over it.")
        return 2

    def work() -> int:
        with connected(home, url) as api:
            query: list[tuple[str, str]] = [("by_id", str(by_id).lower())]
            query += [("node", id) for id in nodes] + [("ignore", one) for one in ignore]
            document = api.ask(f"{api.base}/executions/{execution}/test", query)["test"]
        if workflow:
            document["workflow"] = {"file": os.path.relpath(workflow, path.parent)}
        if name:
            document["name"] = name
        text = dump(document, path.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        mocked = ", ".join(document.get("mocks", {})) or "none"
        say(f"Saved {path}: {document['expect']['status']}, mocks: {mocked}. Run it: linkflow test {path}")
        return 0

    return guarded(work)


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
