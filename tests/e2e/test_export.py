"""`linkflow history --jsonl` and `linkflow export`, as somebody types them."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from linkflow.cli import main
from tests.e2e.topologies import in_process

LOOP = {
    "name": "Rows",
    "nodes": [
        {"id": "start", "type": "trigger_manual"},
        {"id": "loop", "type": "loop", "config": {"items": "{{ trigger.rows }}", "concurrency": 50}},
        {"id": "row", "type": "transform", "config": {"fields": {"row": "{{ loop.item }}"}}},
    ],
    "edges": [
        {"id": "1", "source": "start", "target": "loop"},
        {"id": "2", "source": "loop", "source_output": "each", "target": "row"},
    ],
}


def test_runs_as_json_lines(database_url: str, redis_url: str, tmp_path: Path):
    workflow, home, out = tmp_path / "rows.json", str(tmp_path / "home"), tmp_path / "out.jsonl"
    workflow.write_text(json.dumps(LOOP))
    with in_process(database_url, redis_url, tmp_path / "stack") as stack:

        def linkflow(*words: str) -> str:
            done = CliRunner().invoke(main, [*words, "--home", home, "--url", stack.url])
            assert done.exit_code == 0, (done.output, done.exception)
            return done.stdout

        for count in (3, 400):
            linkflow("run", str(workflow), "--input", json.dumps({"rows": list(range(count))}))
        short, long = sorted(run["id"] for run in json.loads(linkflow("executions", "--json")))
        linkflow("export", "--output", str(out))
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        by_run = {id: [line for line in lines if line["execution_id"] == id] for id in (long, short)}
        assert list(dict.fromkeys(line["execution_id"] for line in lines)) == [long, short]
        for events in by_run.values():
            assert [event["event_id"] for event in events] == list(range(1, len(events) + 1))
            assert events[-1]["type"] == "ExecutionCompleted"
        assert len(by_run[long]) > 1000, "more than a page"
        told = [json.loads(line) for line in linkflow("history", long, "--jsonl").splitlines()]
        assert told == by_run[long]
        assert linkflow("export", "--status", "failed") == ""
        assert len({json.loads(line)["execution_id"] for line in linkflow("export", "--limit", "1").splitlines()}) == 1
        missing = CliRunner().invoke(main, ["history", short[:-1] + "z", "--jsonl", "--home", home, "--url", stack.url])
        assert missing.exit_code == 2
