"""Malformed definitions: each file in tests/data/malformed holds a document and every problem it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linkflow.domain.errors import InvalidDefinition, Problem
from linkflow.domain.importing import parse, read
from tests.unit.definition.literal_catalogue import CATALOGUE

FILES = sorted((Path(__file__).parents[2] / "data" / "malformed").glob("*.json"))


def load(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def listed(problems: list[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((problem["path"], problem["code"]) for problem in problems)


def found(problems: tuple[Problem, ...], severity: str) -> list[tuple[str, str]]:
    return sorted((problem.path, problem.code) for problem in problems if problem.severity == severity)


def test_there_are_enough() -> None:
    assert len(FILES) >= 25


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_problem_is_listed_at_once(file: Path) -> None:
    case = load(file)
    with pytest.raises(InvalidDefinition) as refused:
        read(case["document"], CATALOGUE)
    assert found(refused.value.problems, "error") == listed(case["expected"])
    assert found(refused.value.problems, "warning") == listed(case.get("warnings", []))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_path_leads_to_its_place_in_the_document(file: Path) -> None:
    """All but the last step exists; the last may be what is missing."""
    case = load(file)
    for problem in case["expected"]:
        place = case["document"]
        for step in problem["path"].split("/")[1:-1]:
            name = step.replace("~1", "/").replace("~0", "~")
            place = place[int(name)] if isinstance(place, list) else place[name]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_parse_alone_never_raises(file: Path) -> None:
    document = load(file)["document"]
    definition, problems = parse(document)
    assert definition is not None or problems
