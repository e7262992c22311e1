"""`linkflow node new`: a node type to begin with, in a package of its own."""

from __future__ import annotations

import re
from pathlib import Path

from .client import say

_NAME = re.compile(r"[a-z][a-z0-9_]{1,60}")

_NODE = '''\
"""{title}: say here what it does, and what its output is."""

from __future__ import annotations

import builtins
from typing import ClassVar

from pydantic import Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text


class {cls}Params(Params):
    """The config. Its JSON Schema is the form that the console shows."""

    greeting: Text = Field("Hello", description="The word in front.", max_length=100)
    name: Text = Field(description="Whom to greet.")


class {cls}(Base):
    type: ClassVar[str] = "{name}"
    name: ClassVar[str] = "{title}"
    description: ClassVar[str] = "Greet somebody."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True  # it only computes; for anything that goes out: False, and `async def run`
    params: ClassVar[builtins.type[Params]] = {cls}Params
    produces = {{
        "main": {{"type": "object", "properties": {{"text": {{"type": "string"}}}}, "required": ["text"]}},
    }}
    faults = (Fault("nobody", "There is nobody to greet."),)
    examples = (
        Example(
            name="Greet the input's name",
            config={{"name": "{{{{ input.who }}}}"}},
            input={{"who": "Ada"}},
            output={{"text": "Hello, Ada!"}},
        ),
    )
    refuses = (Refusal({{"greeting": "Hi"}}, "/name", "missing_field"),)

    def run(self, params: {cls}Params, context: Context) -> Outcome:
        if not params.name:
            raise NodeFailure("nobody", "There is nobody to greet.", retryable=False)
        return Completed(output={{"text": f"{{params.greeting}}, {{params.name}}!"}})


node = {cls}()
'''

_TEST = """\
from __future__ import annotations

import asyncio

import pytest
from {name} import node

from linkflow.local.trying import try_example, try_input, try_refusal
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.registry import Registry

REGISTRY = Registry([*(one for one in Registry.load().types() if one.type != node.type), node])


@pytest.mark.parametrize("example", node.examples, ids=lambda example: example.name)
def test_the_examples_run(example):
    tried = asyncio.run(try_example(REGISTRY, node, example, {{}}))
    assert tried.fault == ""


@pytest.mark.parametrize("refusal", node.refuses, ids=lambda refusal: refusal.path)
def test_bad_configs_are_refused(refusal):
    assert try_refusal(REGISTRY, node, refusal) == ""


def test_nobody_cannot_be_greeted():
    outcome = asyncio.run(try_input(REGISTRY, node, {{"name": "{{{{ input.who }}}}"}}, {{}}, EgressClient(), {{}}))
    assert outcome.error.code == "nobody"
"""

_PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{dist}"
version = "0.1.0"
description = "{title}: a node type for LinkFlow."
requires-python = ">=3.11"
dependencies = ["linkflow"]

[project.entry-points."linkflow.nodes"]
{name} = "{name}:node"

[tool.setuptools]
py-modules = ["{name}"]
"""


def new(name: str, folder: str) -> int:
    """Write NAME.py, test_NAME.py and, where there is none, pyproject.toml. 2 where a name or a file is in the way."""
    if not _NAME.fullmatch(name):
        say("A node type's name has small letters, digits and _, and begins with a letter: acme_greet.")
        return 2
    root = Path(folder)
    words = name.split("_")
    known = {
        "name": name,
        "cls": "".join(word.capitalize() for word in words),
        "title": " ".join(words).capitalize(),
        "dist": f"linkflow-{name.replace('_', '-')}",
    }
    files = {f"{name}.py": _NODE, f"test_{name}.py": _TEST, "pyproject.toml": _PROJECT}
    if taken := [file for file in files if file != "pyproject.toml" and (root / file).exists()]:
        say(f"{' and '.join(taken)} is there already.")
        return 2
    root.mkdir(parents=True, exist_ok=True)
    project_is_there = (root / "pyproject.toml").exists()
    for file, text in files.items():
        if file != "pyproject.toml" or not project_is_there:
            (root / file).write_text(text.format(**known))
            print(root / file)
    if project_is_there:
        say(f'Add to pyproject.toml, under [project.entry-points."linkflow.nodes"]:\n{name} = "{name}:node"')
    say(f"Try it: linkflow node test {root / name}.py\nInstall it where the workers run: pip install {root}")
    return 0
