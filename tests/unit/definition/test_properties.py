"""What holds for every document and every definition."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.domain.definition import (
    Concurrency,
    Definition,
    Edge,
    Node,
    Position,
    Retry,
    Settings,
    Timeout,
    decode,
    encode,
)
from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.importing import parse, read
from linkflow.domain.validation import check
from tests.unit.definition.literal_catalogue import CATALOGUE, TYPES
from tests.unit.definition.test_graph import drawn_graphs

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=5),
    st.sampled_from(["\ud800", "\0", "a/b~c", "{{", "{{ x }}", "stop", "1", *TYPES]),
)  # fmt: skip
FIELDS = (
    "id", "type", "name", "label", "data", "config", "position", "x", "join", "retry", "enabled", "max_attempts",
    "delay_seconds", "timeout", "workflow", "node", "heartbeat", "on_error", "onError", "credentials", "credentialId",
    "queue", "priority", "disabled", "pinned_output", "source", "target", "sourceHandle", "condition", "nodes", "edges",
    "settings", "viewport", "trigger_type", "trigger_config", "concurrency", "key", "limit", "policy", "non_retryable",
    "description", "url", "expression", "conditions", "cron", "items",
)  # fmt: skip
KEYS = st.sampled_from(FIELDS)
FOREIGN = st.recursive(ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6))
PARTS = st.lists(st.dictionaries(KEYS, FOREIGN, max_size=8) | FOREIGN, max_size=3)
OTHER_FIELDS = {name: FOREIGN for name in FIELDS if name not in ("nodes", "edges")}
DOCUMENTS = FOREIGN | st.fixed_dictionaries({"nodes": PARTS, "edges": PARTS}, optional=OTHER_FIELDS)


def outcome(document: Any) -> Definition | None:
    """What `read` gives, None where it refuses; anything else it raises fails the test."""
    try:
        definition, warnings = read(document, CATALOGUE)
    except InvalidDefinition as error:
        refused = error
    else:
        assert all(problem.severity == "warning" for problem in warnings)
        return definition
    assert any(problem.severity == "error" for problem in refused.problems)
    msgspec.json.encode(refused.to_data())
    return None


@settings(max_examples=120, deadline=None)
@given(DOCUMENTS)
def test_no_document_crashes_reading(document: Any) -> None:
    parsed, problems = parse(document, CATALOGUE)
    assert (parsed is None) == any(problem.severity == "error" for problem in problems)
    msgspec.json.encode(problems)
    assert outcome(document) in (parsed, None)
    if parsed is not None:
        assert decode(encode(parsed)) == parsed
        msgspec.json.encode(check(parsed, CATALOGUE))


@given(drawn_graphs(forward=True))
def test_forward_graphs_have_no_cycle(drawn: Definition) -> None:
    assert not {"cycle", "self_edge"} & {problem.code for problem in check(drawn, CATALOGUE)}


NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
TEXTS = NAMES.filter(lambda text: "{{" not in text)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
SECONDS = st.floats(0, 1e6)
CODES = st.lists(st.sampled_from(["http_timeout", "bad"]), max_size=2).map(tuple)
RETRIES = st.builds(Retry, st.integers(1, 100), SECONDS, st.floats(1, 100), SECONDS, st.floats(0, 1), CODES)
TIMEOUTS = st.builds(Timeout, SECONDS, SECONDS, SECONDS, SECONDS)
POLICIES = st.sampled_from(["queue", "reject", "cancel_oldest"])
SETTINGS = st.builds(
    Settings,
    timeout=SECONDS,
    retry=st.none() | RETRIES,
    concurrency=st.none() | st.builds(Concurrency, st.just("{{ input.id }}"), st.integers(1, 9), POLICIES),
    rate_limit=st.integers(0, 100),
    error_workflow=NAMES | st.just(""),
    timezone=st.sampled_from(["UTC", "Europe/Vienna"]),
    retention_days=st.integers(0, 365),
    shard_spread=st.integers(1, 16),
    max_parallel=st.integers(0, 10),
    timeout_counts_waiting=st.booleans(),
)
CONFIGS = {
    "transform": st.fixed_dictionaries({"set": JSON}),
    "action_http_request": st.fixed_dictionaries({"url": TEXTS, "body": JSON}),
    "loop": st.just({}),
}
PLACES = st.floats(-1e6, 1e6)


@st.composite
def nodes(draw: st.DrawFn, id: str) -> Node:
    type = draw(st.sampled_from(sorted(CONFIGS)))
    rest = st.fixed_dictionaries(
        {},
        optional={
            "name": NAMES,
            "position": st.builds(Position, PLACES, PLACES),
            "join": st.sampled_from(["all", "any"]),
            "retry": RETRIES,
            "timeout": TIMEOUTS,
            "on_error": st.sampled_from(["stop", "continue", "branch"]),
            "credentials": st.dictionaries(st.sampled_from(["default", "smtp"]), NAMES, max_size=2),
            "queue": NAMES,
            "priority": st.integers(-100, 100),
            "disabled": st.booleans(),
            "pinned_output": JSON,
        },
    )
    return Node(id=id, type=type, config=draw(CONFIGS[type]), **draw(rest))


@st.composite
def valid_definitions(draw: st.DrawFn) -> Definition:
    """A trigger and nodes in a row or a tree, with everything a definition can say."""
    start = Node("t", "trigger_manual")
    inner = [draw(nodes(f"n/{number}~")) for number in range(draw(st.integers(0, 5)))]
    sources = [(start, *inner)[draw(st.integers(0, place))] for place in range(len(inner))]
    joined = tuple(
        Edge(f"e{place}", source.id, target.id, "done" if source.type == "loop" else "main")
        for place, (source, target) in enumerate(zip(sources, inner, strict=True))
    )
    viewport = {"x": 1, "zoom": 1.5}
    return Definition(
        draw(NAMES), (start, *inner), joined, draw(NAMES), draw(SETTINGS), viewport, draw(NAMES), "#aabbcc"
    )


@settings(max_examples=60, deadline=None)
@given(valid_definitions())
def test_valid_definitions_come_back_from_their_stored_form(drawn: Definition) -> None:
    stored = msgspec.json.decode(encode(drawn))
    assert parse(stored) == (drawn, [])
    assert parse(stored, CATALOGUE) == (drawn, [])
    assert read(stored, CATALOGUE) == (drawn, [])
