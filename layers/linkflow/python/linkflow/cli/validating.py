"""`linkflow workflow validate`: here, without a server, or as the API sees it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .client import say
from .work import connected, guarded

Json = dict[str, Any]


def validate(home: str, url: str, files: tuple[str, ...], server: bool, as_json: bool) -> int:
    def work() -> int:
        if not server:
            return _told(_each(files, _here()), as_json)
        with connected(home, url) as api:
            return _told(_each(files, lambda one: api.post(f"{api.base}/workflows/validate", one)["problems"]), as_json)

    return guarded(work)


def _here() -> Callable[[Any], list[Json]]:
    """What reading and checking find; what only a workspace knows is not looked at."""
    from linkflow.domain import importing
    from linkflow.domain.errors import InvalidDefinition
    from linkflow.local.trying import scripts
    from linkflow.nodes.registry import Registry
    from linkflow.services.script_checks import ScriptChecks

    catalogue = Registry.load()
    checks = ScriptChecks(catalogue, cache(scripts))

    def problems(document: Any) -> list[Json]:
        try:
            found = importing.read(document, catalogue)[1]
        except InvalidDefinition as error:
            found = list(error.problems)
        definition, _ = importing.parse(document, catalogue)
        if definition is not None:
            found = [*found, *asyncio.run(checks.check(document, definition))]
        return [
            {"pointer": one.path, "code": one.code, "detail": one.message, "severity": one.severity} for one in found
        ]

    return problems


def _each(files: tuple[str, ...], problems: Callable[[Any], list[Json]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is said of each document, under its file and place."""
    from linkflow.domain.bundles import documents

    for file in files:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        try:
            body = json.loads(text)
        except json.JSONDecodeError as error:
            at = f"line {error.lineno}, column {error.colno}"
            yield (
                file,
                _answer([{"pointer": "", "code": "malformed", "detail": f"{at}: {error.msg}", "severity": "error"}]),
            )
            continue
        for place, document in documents(body):
            if isinstance(document, dict):
                yield f"{file}{place}", _answer(problems(document))
            else:
                wrong = {"pointer": "", "code": "invalid_type", "detail": "A workflow must be a JSON object."}
                yield f"{file}{place}", _answer([{**wrong, "severity": "error"}])


def _answer(problems: list[Json]) -> Json:
    return {"valid": all(one["severity"] != "error" for one in problems), "problems": problems}


def _told(found: Iterator[tuple[str, Mapping[str, Any]]], as_json: bool) -> int:
    every = []
    for source, answer in found:
        every.append({"source": source, **answer})
        if as_json:
            continue
        say(f"{source}: {'valid' if answer['valid'] else 'not valid'}")
        for one in answer["problems"]:
            print(f"{source}:{one['pointer'] or '/'}: {one['severity']}: {one['detail']} [{one['code']}]")
    if as_json:
        print(json.dumps(every, indent=2))
    return 0 if all(one["valid"] for one in every) else 1
