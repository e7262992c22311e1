"""Documents from outside, in any spelling there has been, to definitions in the stored form.

`parse` reads, `read` also checks. Neither raises anything but `InvalidDefinition`, whatever is given: every fault is a
`Problem` whose path is a JSON Pointer into the document as its author wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from linkflow.domain.definition import TRIGGERS, Definition, Node, Timeout
from linkflow.domain.errors import InvalidDefinition, Problem
from linkflow.domain.importing.edges import read_edges
from linkflow.domain.importing.fields import Fields, Report, check_json
from linkflow.domain.importing.nodes import read_nodes
from linkflow.domain.importing.policies import read_settings
from linkflow.domain.importing.triggers import add_trigger
from linkflow.domain.validation import MAX_EDGES, MAX_NODES, Catalogue, Places, check
from linkflow.domain.validation.findings import capped
from linkflow.domain.validation.places import show

_WAITING = ("loop", "while", "delay", "action_approval", "approval", "wait_for_event", "sub_workflow")
"""Types that wait by their nature: the original's one timeout for all nodes is not meant for them."""

_ABOUT = frozenset((
    "id", "uuid", "slug", "version", "versions", "tags", "category", "status", "is_active", "is_locked",
    "metadata", "meta", "stats", "created_at", "updated_at", "deleted_at", "exported_at", "created_by",
    "updated_by", "workspace_id", "workspace", "triggers", "$schema",
))  # fmt: skip
"""What an export or an API answer says about a workflow besides what it is."""


class _Parsed(NamedTuple):
    definition: Definition | None
    problems: list[Problem]
    places: Places


def parse(document: Any, catalogue: Catalogue | None = None) -> tuple[Definition | None, list[Problem]]:
    """The definition a document means, and all that is wrong with how it is written; None where that is an error.

    Without a `catalogue` types stay as they are written, and an edge without an output leaves from ``main``.
    """
    definition, problems, _ = _parse(document, catalogue)
    refused = any(problem.severity == "error" for problem in problems)
    return (None if refused else definition), capped(problems)


def read(
    document: Any, catalogue: Catalogue, also: Callable[[Definition], Iterable[Problem]] = lambda _: ()
) -> tuple[Definition, list[Problem]]:
    """A definition that may be stored and run, and the warnings about it. `also` finds further problems of it, with
    pointers into the stored form.

    Raises `InvalidDefinition` with every problem at once, those of reading and those of checking.
    """
    definition, problems, places = _parse(document, catalogue)
    if definition is not None:
        more = [msgspec.structs.replace(one, path=places.given(one.path)) for one in also(definition)]
        problems = capped(problems + check(definition, catalogue, places) + more)
    errors = sum(problem.severity == "error" for problem in problems)
    if errors or definition is None:
        message = f"The workflow has {errors} {'problem' if errors == 1 else 'problems'}."
        raise InvalidDefinition(message, problems=problems)
    return definition, problems


def _parse(document: Any, catalogue: Catalogue | None) -> _Parsed:
    report = Report()
    fields = _unwrap(document, report)
    definition = _definition(fields, catalogue) if fields is not None and _fits(fields) else None
    return _Parsed(definition, capped(report.problems, report.dropped), report.places)


def _unwrap(document: Any, report: Report) -> Fields | None:
    """The workflow itself: bare, or in the export's `{version, exported_at, workflow}`."""
    if not isinstance(document, dict):
        report.error("", "invalid_type", f"A workflow must be a JSON object, not {show(document)}.")
        return None
    if "nodes" in document or not document.keys() & {"workflow", "workflows"}:
        return Fields(report, document, "", "")
    if "workflow" not in document:
        message = "This file holds several workflows; import them one by one."
        report.error("/workflows", "several_workflows", message)
        return None
    if not isinstance(document["workflow"], dict):
        report.error("/workflow", "invalid_type", f"Must be an object, not {show(document['workflow'])}.")
        return None
    for name in ("name", "description", "icon", "color", "nodes", "edges", "viewport", "settings", "trigger_type"):
        report.places.note(f"/{name}", f"/workflow/{name}")
    report.places.note("/trigger_config", "/workflow/trigger_config")
    return Fields(report, document["workflow"], "/workflow", "")


def _fits(fields: Fields) -> bool:
    """Is the document small enough to be read at all?"""
    fits = True
    for name, most in (("nodes", MAX_NODES), ("edges", MAX_EDGES)):
        values = fields.value.get(name)
        if isinstance(values, list) and len(values) > most:
            message = f"A workflow may have {most:,} {name}; this one has {len(values):,}."
            fields.report.error(fields.at(name), f"too_many_{name}", message)
            fits = False
    return fits


def _definition(fields: Fields, catalogue: Catalogue | None) -> Definition:
    """The best reading there is. Where the report has errors it serves only to find further ones."""
    settings, per_node = read_settings(fields)
    nodes = [_canonical(node, catalogue) for node in read_nodes(fields)]
    edges = read_edges(fields, nodes, catalogue)
    add_trigger(fields, nodes, edges)
    definition = Definition(
        name=fields.text("name", limit=10_000),
        nodes=tuple(_timed(node, per_node) for node in nodes),
        edges=tuple(edges),
        description=fields.text("description", limit=100_000),
        settings=settings,
        viewport=_viewport(fields),
        icon=fields.text("icon", limit=1_000),
        color=fields.text("color", limit=32),
    )
    fields.unread(_ABOUT)
    return definition


def _canonical(node: Node, catalogue: Catalogue | None) -> Node:
    known = catalogue.canonical(node.type) if catalogue and node.type else None
    return node if known in (None, node.type) else msgspec.structs.replace(node, type=known)


def _timed(node: Node, seconds: float) -> Node:
    """The original has one timeout for every node; here each node says its own."""
    if not seconds or node.timeout or node.type in TRIGGERS or node.type in _WAITING:
        return node
    return msgspec.structs.replace(node, timeout=Timeout(start_to_close=seconds))


def _viewport(fields: Fields) -> dict[str, Any]:
    viewport = fields.object("viewport")
    if viewport is None or not check_json(viewport.value, viewport.path, viewport.stored, fields.report):
        return {}
    return viewport.value


__all__ = ["parse", "read"]
