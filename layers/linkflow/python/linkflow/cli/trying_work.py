"""Test runs and pins from the command line, over the API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .client import Api, say
from .work import connected, guarded


def run(home: str, url: str, workflow: str, data: str | None, node: str, up_to: str, source: str,
        mocks: Sequence[str], skip_delays: bool, strict: bool, as_json: bool) -> int:  # fmt: skip
    """`linkflow test run`: 0 where the run completed."""

    def work() -> int:
        body: dict[str, Any] = {
            "node": node, "up_to": up_to, "from_execution": source, "skip_delays": skip_delays,
            "unmocked": "fail" if strict else "run", "mocks": dict(_mock(text) for text in mocks),
        }  # fmt: skip
        if data is not None:
            body["input"] = _value(data, "--input")
        with connected(home, url) as api:
            execution = api.post(f"{api.base}/workflows/{workflow}/test", body)["execution"]
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
        how = row["stood_in"] or ("kept" if row["kept"] else "")
        tries = f"{row['attempt']} attempts" if row["attempt"] > 1 else ""
        say(f"{row['key']:<24} {row['status']:<10} {how:<7} {tries}".rstrip())
    if shown["status"] == "completed":
        print(json.dumps(shown["result"], indent=2, ensure_ascii=False))
        return 0
    say(f"The run {execution_id} is {shown['status']}: {json.dumps(shown['error'], ensure_ascii=False)}")
    return 1


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
            saved = api.put(f"{api.base}/workflows/{workflow}/nodes/{node}/pin", body)["workflow"]
        say(f"Pinned {node}; {saved['name']} is version {saved['version']} now.")
        return 0

    return guarded(work)


def unpin(home: str, url: str, workflow: str, node: str) -> int:
    """`linkflow unpin`."""

    def work() -> int:
        with connected(home, url) as api:
            saved = api.delete(f"{api.base}/workflows/{workflow}/nodes/{node}/pin")["workflow"]
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
