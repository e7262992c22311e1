"""A definition keeps the version of a node type that it was written for."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest

from linkflow.domain.definition import decode, encode
from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.importing import read
from linkflow.domain.outcomes import Completed
from linkflow.local.trying import FixedClock
from linkflow.nodes.base import Base, Params
from linkflow.nodes.noop import NoOp
from linkflow.nodes.registry import Registry
from linkflow.nodes.trigger_manual import ManualTrigger
from linkflow.services.worker.rehearsal import Rehearsal


class First(Params):
    who: str = "you"


class Second(Params):
    name: str


class Greet(Base):
    type: ClassVar[str] = "greet"
    name: ClassVar[str] = "Greet"
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[type[Params]] = First

    def run(self, params: First, context: Any) -> Completed:
        return Completed(output=f"Hi {params.who}")


class Greet2(Greet):
    version: ClassVar[int] = 2
    aliases: ClassVar[tuple[str, ...]] = ("hello",)
    params: ClassVar[type[Params]] = Second

    def run(self, params: Second, context: Any) -> Completed:  # type: ignore[override]
        return Completed(output=f"Good day {params.name}")


greet, greet2 = Greet(), Greet2()


def entry(name: str, at: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{at}", "linkflow.nodes")


def by_types() -> Registry:
    return Registry([ManualTrigger(), greet, greet2])


@pytest.fixture
def by_entries(monkeypatch: pytest.MonkeyPatch) -> Registry:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or __import__(__name__))
    return Registry([ManualTrigger()], entries=[entry("greet", "greet2"), entry("greet.v1", "greet")])


def document(config: dict[str, Any], **more: Any) -> dict[str, Any]:
    node = {"id": "g", "type": "greet", "config": config, **more}
    return {
        "name": "W",
        "nodes": [{"id": "t", "type": "trigger_manual"}, node],
        "edges": [{"source": "t", "target": "g"}],
    }


async def output(registry: Registry, document: dict[str, Any]) -> Any:
    definition, _ = read(document, registry)
    stored = decode(encode(definition))
    return (await Rehearsal(registry, FixedClock()).play(stored, {})).state.runs["g"].output


async def test_each_version_runs_as_it_was_written():
    assert await output(by_types(), document({"who": "Ada"})) == "Hi Ada"
    assert await output(by_types(), document({"who": "Ada"}, version=1)) == "Hi Ada"
    assert await output(by_types(), document({"name": "Ada"}, version=2)) == "Good day Ada"
    assert await output(by_types(), document({"name": "Ada"}, version=2, type="hello")) == "Good day Ada"


def test_entry_points_name_older_versions(by_entries: Registry):
    assert by_entries.versions("greet") == (1, 2)
    assert by_entries.names() == ["greet", "trigger_manual"]
    assert by_entries.resolve("greet", 1) is greet
    assert by_entries.resolve("greet") is by_entries.resolve("hello") is greet2
    assert by_entries.resolve("greet", 3) is None
    assert [(one["type"], one["version"], one["versions"]) for one in by_entries.describe(True)][:2] == [
        ("greet", 1, [1, 2]), ("greet", 2, [1, 2]),
    ]  # fmt: skip
    assert [one["version"] for one in by_entries.describe() if one["type"] == "greet"] == [2]


def test_configs_are_checked_by_their_version():
    def faults(**more: Any) -> list[tuple[str, str]]:
        with pytest.raises(InvalidDefinition) as refused:
            read(document({"who": "Ada"}, **more), by_types())
        return [(problem.path, problem.code) for problem in refused.value.problems]

    assert faults(version=2) == [("/nodes/1/config/name", "missing_config"), ("/nodes/1/config/who", "unknown_field")]
    assert faults(version=3) == [("/nodes/1/version", "unknown_version")]
    assert faults(version="new")[0][0] == "/nodes/1/version"


def test_a_definition_says_its_version_only_where_it_is_not_the_first():
    first, _ = read(document({"who": "Ada"}), by_types())
    second, _ = read(document({"name": "Ada"}, version=2), by_types())
    assert b'"version"' not in encode(first)
    assert b'"version":2' in encode(second)


def test_packages_that_do_not_fit_are_left_out(by_entries: Registry, caplog: pytest.LogCaptureFixture):
    registry = Registry(
        [NoOp()], entries=[entry("greet", "nothing"), entry("other", "greet"), entry("document", "document")]
    )
    assert [registry.resolve(name) for name in ("greet", "other", "document")] == [None, None, None]
    assert registry.names() == ["noop"]
    assert registry.check("noop", {}) == []


def test_two_packages_of_one_name():
    with pytest.raises(RuntimeError, match="Two packages claim the node type 'greet'"):
        Registry(entries=[entry("greet", "greet"), entry("greet", "greet2")])


def test_an_older_version_goes_on_and_its_author_is_told():
    document = {
        "name": "W",
        "nodes": [{"id": "t", "type": "trigger_manual"}, {"id": "g", "type": "greet", "version": 1}],
        "edges": [{"id": "e", "source": "t", "target": "g"}],
    }
    _, warnings = read(document, by_types())
    assert [(one.path, one.code, one.severity) for one in warnings] == [("/nodes/1/version", "old_version", "warning")]
