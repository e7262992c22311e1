"""What a node type says about itself besides its parameters: outputs, faults, examples.

All of it is data, so that one description serves the console, the generated pages of docs/nodes and the tests: an
example is a workflow that runs, a refusal is a config that is turned down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType

Schema = Mapping[str, Any]
"""A JSON Schema (2020-12)."""

ANY: Schema = {"description": "Any JSON value."}
INPUT: Schema = {"description": "The node's input, as it came."}

NAMED = "*"
"""In `NodeType.produces`: the outputs that the author names."""


class Fault(Struct, frozen=True):
    """An error code that a node run may fail with: what `on_error: branch` sees and `retry.non_retryable` names."""

    code: str
    meaning: str
    retryable: bool = False


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One HTTP call that an example makes, with what a stand-in on loopback answers.

    `body` is what the call must carry (JSON, or text); `sends` are headers that it must have. An `answer` that is
    neither text nor bytes goes as JSON.
    """

    method: str
    url: str
    body: Any | UnsetType = UNSET
    sends: dict[str, str] = {}
    status: int = 200
    headers: dict[str, str] = {}
    answer: Any = None


class Example(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workflow fragment around one node, with what goes in and what must come out.

    `input` is the trigger's data, `inputs` are outputs of several nodes in front, by id. `output` is what the node
    hands on, by the output `port`. A node that waits shows `outcome` in its place: what it waits for. `nodes` and
    `edges` are further ones, such as a loop's body; the node itself is called ``it``. `varies` are fields of the output
    that are there and differ from run to run. `needs` names a
    connection that has to be there: ``database`` or ``smtp``.
    """

    name: str
    config: dict[str, Any] = {}
    input: Any = None
    inputs: dict[str, Any] = {}
    output: Any = None
    port: str = "main"
    outcome: dict[str, Any] = {}
    nodes: tuple[dict[str, Any], ...] = ()
    edges: tuple[dict[str, str], ...] = ()
    calls: tuple[Call, ...] = ()
    needs: str = ""
    connections: dict[str, dict[str, Any]] = {}
    varies: tuple[str, ...] = ()

    def fragment(self, type: str, version: int = 1) -> dict[str, Any]:
        """The node as it stands in a workflow."""
        return {"id": "it", "type": type, **({"version": version} if version > 1 else {}), "config": self.config}

    def workflow(self, type: str, version: int = 1) -> dict[str, Any]:
        """The whole document: it can be imported and run."""
        node = self.fragment(type, version)
        if type.startswith("trigger_"):
            return {"name": self.name, "nodes": [node, *self.nodes], "edges": list(self.edges)}
        start: dict[str, Any] = {"id": "start", "type": "trigger_manual"}
        sources = [{"id": id, "type": "noop", "pinned_output": value} for id, value in self.inputs.items()]
        edges = [
            {"source": "start", "target": id, "id": f"in{place}"}
            for place, id in enumerate([*self.inputs] or ["it"])
        ]  # fmt: skip
        edges += [{"source": id, "target": "it", "id": f"to{place}"} for place, id in enumerate(self.inputs)]
        more = [{"id": f"more{place}", **edge} for place, edge in enumerate(self.edges)]
        return {"name": self.name, "nodes": [start, *sources, node, *self.nodes], "edges": [*edges, *more]}


class Refusal(Struct, frozen=True):
    """A config that is refused when the workflow is saved: where the fault is, and its code."""

    config: dict[str, Any]
    path: str
    code: str


GOING_OUT: tuple[Fault, ...] = (
    Fault("egress_refused", "The address is not public, and nobody allowed it."),
    Fault("egress_unknown", "What the workspace may reach cannot be told now.", True),
    Fault("egress_lookup", "The name has no address.", True),
    Fault("http_connect", "The connection cannot be made, or broke.", True),
    Fault("http_timeout", "There was no whole answer in time.", True),
    Fault("http_too_large", "The answer is larger than may be read."),
    Fault("http_redirects", "Too many redirects, or one to something that is no URL."),
    Fault("http_bad_request", "URL or headers cannot be sent."),
    Fault("http_bad_body", "The answer's compression is broken.", True),
)
"""What every node that goes out by HTTP may fail with. The first three are those of any protocol."""
