"""Commands about master keys, for operators: on the stores of --home or the environment."""

from __future__ import annotations

import click

from .options import HOME, JSON


@click.group("keys")
def keys() -> None:
    """Master keys of what is secret."""


@keys.command("list")
@JSON
@HOME
def list_keys(as_json: bool, home: str) -> None:
    """The keys, and how many secrets each has sealed."""
    from .keys_work import list_keys as listing

    raise SystemExit(listing(home, as_json))


@keys.command("rotate")
@click.option("--all", "every", is_flag=True, help="Seal anew what is under the current key as well; make no new key.")
@JSON
@HOME
def rotate(every: bool, as_json: bool, home: str) -> None:
    """Make a new key and seal everything anew under it; where that was begun before, go on with it.

    With keys of KMS, or given by LINKFLOW_KEYS, name the new one there first.
    """
    from .keys_work import rotate as work

    raise SystemExit(work(home, every, as_json))


@keys.command("drop")
@click.argument("key_id")
@HOME
def drop(key_id: str, home: str) -> None:
    """Forget an old key that nothing needs any more."""
    from .keys_work import drop as work

    raise SystemExit(work(home, key_id))
