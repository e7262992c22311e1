"""Credential slots: what secrets a node type can be given, told as data."""

from __future__ import annotations

from msgspec import Struct


class Slot(Struct, frozen=True, omit_defaults=True):
    """A place for one credential: ``credentials: {name: id}`` of a node.

    `kinds` are the kinds of credential that fit, by their names in `credentials.KINDS`. Without a credential a node
    takes the worker's default connection of the family `name`, if there is one.
    """

    name: str
    kinds: tuple[str, ...] = ()
    description: str = ""
    required: bool = False
