"""Test runs and pins from the command line, over the API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .client import Api, ApiError, say
from .work import connected, guarded, read_document


def run(
    home: str, url: str, workflow: str, data: str | None, how: dict[str, Any], mocks: Sequence[str], as_json: bool
) -> int:
    """`linkflow test run`: 0 where the run completed. `how` is the rest of what the API is asked."""

    def work() -> int:
        body: dict[str, Any] = {**how, "mocks": dict(_mock(text) for text in mocks)}
        if data is not None:
            body["input"] = _value(data, "--input")
        with connected(home, url) as api:
            id = _workflow(api, workflow, save=True)
            execution = api.post(f"{api.base}/workflows/{id}/test", body)["execution"]
            return _follow(api, execution["id"], as_json)

    return guarded(work)


def _follow(api: Api, execution_id: str, as_json: bool) -> int:
    for _ in api.follow(execution_id):
        pass
    shown = api.get(f"{api.base}/executions/{execution_id}")["execution"]
    if as_json:
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return 0 if shown["status"] == "completed" else 1
    for row in api.get(f"{api.base}/executions/{execution_id}/nodes")["data"]:
        how = _how(row, shown)
        tries = f"{row['attempt']} attempts" if row["attempt"] > 1 else ""
        say(f"{row['key']:<24} {row['status']:<10} {how:<10} {tries}".rstrip())
    say(f"Run {execution_id}")
    if shown["status"] == "completed":
        print(json.dumps(shown["result"], indent=2, ensure_ascii=False))
        return 0
    say(f"It is {shown['status']}: {json.dumps(shown['error'], ensure_ascii=False)}")
    return 1


def _how(row: dict[str, Any], shown: dict[str, Any]) -> str:
    """What stood in for a node run."""
    if row["kept"]:
        return "kept"
    unmocked = row["stood_in"] == "mocked" and row["node_id"] in (shown["test"] or {}).get("blocked", ())
    return "not mocked" if unmocked else row["stood_in"] or ""


def _workflow(api: Api, named: str, save: bool = False) -> str:
    """The id of a workflow that is named by its id, its name or its file. With `save` the server gets the
    file first."""
    if Path(named).is_file():
        document = read_document(named)
        if save:
            return str(api.save_workflow(document)["id"])
        named = str(document.get("name", "")) if isinstance(document, dict) else ""
    found = [one["id"] for one in api.workflows() if named in (one["id"], one["name"])]
    if len(found) > 1:
        raise ApiError(f"{len(found)} workflows are called {named!r}. Give the id of one: {', '.join(found)}.")
    return str(found[0]) if found else named


def pin(home: str, url: str, workflow: str, node: str, output: str | None, error: str | None, source: str,
        key: str) -> int:  # fmt: skip
    """`linkflow pin`."""

    def work() -> int:
        body: dict[str, Any] = {"node": key} if key else {}
        if output is not None:
            body["output"] = _value(output, "--output")
        if error is not None:
            body["error"] = _value(error, "--error") if error[:1] in ("{", "@") else error
        if source:
            body["execution_id"] = source
        with connected(home, url) as api:
            id = _workflow(api, workflow)
            saved = api.put(f"{api.base}/workflows/{id}/nodes/{node}/pin", body)["workflow"]
        say(f"Pinned {node}; {saved['name']} is version {saved['version']} now.")
        return 0

    return guarded(work)


def unpin(home: str, url: str, workflow: str, node: str) -> int:
    """`linkflow unpin`."""

    def work() -> int:
        with connected(home, url) as api:
            id = _workflow(api, workflow)
            saved = api.delete(f"{api.base}/workflows/{id}/nodes/{node}/pin")["workflow"]
        say(f"Unpinned {node}; {saved['name']} is version {saved['version']} now.")
        return 0

    return guarded(work)


def _mock(text: str) -> tuple[str, Any]:
    node, equals, value = text.partition("=")
    if not node or not equals:
        raise ValueError(f'--mock {text!r}: write NODE=MOCK, as in fetch={{"output": {{"total": 7}}}}')
    return node, _value(value, f"--mock {node}")


def _value(text: str, option: str) -> Any:
    try:
        return json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except ValueError as error:
        raise ValueError(f"{option} is not JSON: {error}") from None
    except OSError as error:
        raise ValueError(f"{option}: {error}") from None
