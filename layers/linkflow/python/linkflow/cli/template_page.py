"""The page about templates, docs/templates.md, from the templates themselves."""

from __future__ import annotations

from collections.abc import Iterator

from linkflow.services.gallery import Template, templates

HEAD = """# Templates

Workflows to begin with. `linkflow template use SLUG` (or `POST …/templates/{slug}/use`) makes one of your own, switched
off. What a template names as variables and credentials has to be there for it to work. This page is made of the
templates (`linkflow template docs`).
"""


def page() -> str:
    """All of it, in Markdown."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    category = ""
    for one in templates():
        if one.category != category:
            category = one.category
            yield f"## {'APIs' if category == 'apis' else 'AI' if category == 'ai' else category.capitalize()}\n"
        yield f"### {one.name}\n\n`{one.slug}`. {one.description}\n"
        yield f"{_way(one)}\n"
        needs = [f"- variable `{key}`: {text}" for key, text in one.variables.items()]
        needs += [f"- credential `{name}` of the type `{type}`" for name, type in one.credentials.items()]
        if needs:
            yield "\n".join(needs) + "\n"


def _way(one: Template) -> str:
    types = dict.fromkeys(node["type"] for node in one.workflow["nodes"])
    return "Nodes: " + ", ".join(f"`{type}`" for type in types) + "."
