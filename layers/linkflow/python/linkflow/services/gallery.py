"""The gallery: workflows to begin with, from `linkflow/templates`.

Each works as it is, once the variables and credentials that it names are there; a test runs every one of them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.domain.errors import NotFound

from .workflows import Shown, Workflows
from .workspaces import Membership


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """`variables` are those that it reads, with what they are for; `credentials` those that it names, with their type.
    `input` is an example of what it is started with."""

    slug: str
    name: str
    category: str
    description: str
    workflow: dict[str, Any]
    variables: dict[str, str] = {}
    credentials: dict[str, str] = {}
    input: Any = None


@cache
def templates() -> tuple[Template, ...]:
    """All, by category and name."""
    folder = files("linkflow").joinpath("templates")
    read = msgspec.json.Decoder(Template)
    found = [read.decode(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".json")]
    return tuple(sorted(found, key=lambda one: (one.category, one.name)))


class Gallery:
    def __init__(self, workflows: Workflows) -> None:
        self._workflows = workflows

    def find(self, text: str = "", category: str = "") -> list[Template]:
        """Those of a category (empty: of all) in which every word of the text stands."""
        words = text.lower().split()

        def fits(one: Template) -> bool:
            about = f"{one.slug} {one.name} {one.description} {one.category}".lower()
            types = " ".join(node["type"] for node in one.workflow["nodes"])
            return category in ("", one.category) and all(word in about or word in types for word in words)

        return [one for one in templates() if fits(one)]

    def get(self, slug: str) -> Template:
        """Raises `NotFound`."""
        for found in templates():
            if found.slug == slug:
                return found
        raise NotFound("There is no such template.")

    async def use(self, who: Membership, slug: str, name: str = "") -> Shown:
        """A new workflow, switched off; its warnings say which credentials are not there. Raises `NotFound`, and
        `PolicyViolation` where the workspace does not allow what is in it."""
        found = self.get(slug)
        return await self._workflows.create(who, {**found.workflow, **({"name": name} if name else {})})
