"""``--json`` is everywhere, and whatever a command says with it is JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from linkflow.cli import main
from linkflow.cli.answers import APART, answer_in_json, leaves

COMMANDS = dict(leaves(main))


def test_every_command_has_it_but_those_that_say_why_not() -> None:
    assert len(COMMANDS) > 150
    without = {path for path, one in COMMANDS.items() if not any("--json" in option.opts for option in one.params)}
    assert without == APART


@pytest.fixture
def verbs() -> click.Group:
    @click.group()
    def group() -> None: ...

    @group.command()
    @click.argument("name")
    def drop(name: str) -> None:
        print(f"{name} is gone – für immer.")
        raise SystemExit(3 if name == "b" else 0)

    @group.command()
    def show() -> None:
        print('{"a": 1}')

    @group.command()
    @click.option("--json", "as_json", is_flag=True)
    def own(as_json: bool) -> None:
        print('{"own": true}' if as_json else "own")

    @group.command()
    def broken() -> None:
        raise click.UsageError("No.")

    answer_in_json(group)
    return group


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["drop", "a", "--json"], 0, {"message": "a is gone – für immer."}),
        (["drop", "b", "--json"], 3, {"message": "b is gone – für immer."}),
        (["show", "--json"], 0, {"a": 1}),
        (["own", "--json"], 0, {"own": True}),
    ],
)
def test_what_is_said_is_json(verbs: click.Group, words: list[str], code: int, said: object) -> None:
    result = CliRunner().invoke(verbs, words)
    assert (result.exit_code, json.loads(result.stdout)) == (code, said)


def test_without_it_nothing_changes(verbs: click.Group) -> None:
    assert CliRunner().invoke(verbs, ["drop", "a"]).stdout == "a is gone – für immer.\n"
    assert CliRunner().invoke(verbs, ["broken"]).exit_code == 2


def test_a_real_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["reset", "--yes", "--home", str(tmp_path / "home"), "--json"])
    assert result.exit_code == 0, result.output
    assert isinstance(json.loads(result.stdout), dict)
