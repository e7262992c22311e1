"""``--json`` for commands that only say what they did: ``{"message": "…"}``, or the JSON that they print anyway.

Commands with an answer of their own have the option themselves. Those that go on until they are stopped, and those that
write files or lines of JSON, have none.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import click

APART = frozenset({
    "up", "serve", "worker", "webhook listen", "export", "audit export", "files get", "openapi", "node docs",
    "node new", "template docs",
})  # fmt: skip
"""Servers, streams and files."""


def answer_in_json(main: click.Group) -> None:
    """Give the option to every command below that has none."""
    for path, command in leaves(main):
        if path not in APART and not any("--json" in option.opts for option in command.params):
            option = click.Option(["--json", "said_as_json"], is_flag=True, help="Print JSON.")
            command.params.append(option)
            command.callback = _wrapped(command.callback)


def leaves(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its path."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _wrapped(callback: Callable[..., Any] | None) -> Callable[..., Any]:
    def act(said_as_json: bool, **given: Any) -> Any:
        if callback is None or not said_as_json:
            return callback(**given) if callback else None
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                callback(**given)
        finally:  # the exit code is an exception
            print(_json(said.getvalue()))
        return None

    return act


def _json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return json.dumps({"message": text.strip()}, ensure_ascii=False)
    return text.strip()
