"""docs/guarantees.md names code and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "layers" / "linkflow" / "python" / "linkflow"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "guarantees.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| guarantee")
]
SPANS = re.compile(r"`([^`]+)`")


@cache
def names(path: Path) -> set[str]:
    found = (node for node in ast.walk(ast.parse(path.read_text())))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}


def test_every_row_names_code_and_a_test():
    assert len(ROWS) > 40
    assert [row for row in ROWS if len(row) != 3 or not all(SPANS.findall(cell) for cell in row[1:])] == []


def test_the_code_is_there():
    assert [path for row in ROWS for path in SPANS.findall(row[1]) if not (CODE / path).exists()] == []


def test_the_tests_are_there():
    missing = []
    for row in ROWS:
        for reference in SPANS.findall(row[2]):
            path, _, name = reference.partition("::")
            file = ROOT / "tests" / path
            if not file.is_file() or (name and name not in names(file)):
                missing.append(reference)
    assert missing == []
