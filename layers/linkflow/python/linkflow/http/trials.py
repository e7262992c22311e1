"""Trying workflows: test runs, pinned outputs, and tests saved from runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services.trials import Ask
from linkflow.services.workflows import Shown
from linkflow.services.workspaces import Membership

from . import shapes
from .guard import can
from .idempotency import key_of
from .payloads import shown as shown_payload
from .replying import etag, expected, reply
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Testing"])

Editor = Annotated[Membership, can("workflow.update")]
Runner = Annotated[Membership, can("workflow.execute")]
NodeKey = Annotated[str, StringConstraints(max_length=300)]


class Try(BaseModel):
    """What to try. All of it may be left out: then the whole workflow runs, on an empty input."""

    model_config = ConfigDict(extra="forbid")

    input: Any = Field(default_factory=dict, description="The trigger data; with `node`, that node's input.")
    trigger_node: NodeKey = ""
    version: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(default=0, description="0: the current one.")
    mocks: dict[str, Any] = Field(default_factory=dict, description="What stands in for nodes, by id; see testing.md.")
    node: NodeKey = Field(default="", description="Run this node alone.")
    up_to: NodeKey = Field(default="", description="Run this node and what leads to it.")
    from_execution: Annotated[str, StringConstraints(max_length=36)] = Field(
        default="", description="A run whose results are used again, or `last`."
    )
    skip_delays: bool = False
    unmocked: Literal["run", "fail"] = Field(default="run", description="What becomes of nodes that act outside.")
    allow: Annotated[list[NodeKey], Field(max_length=1000)] = Field(default_factory=list)
    error_workflow: bool = False
    limits: bool = Field(default=False, description="Wait for slots and turns as other runs do.")

    def ask(self) -> Ask:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Ask(**fields | {"given": "input" in self.model_fields_set, "allow": tuple(self.allow)})


class Pin(BaseModel):
    """One of `output` (not null), `error` (a code, or an object with one), or `execution_id`: what the node came to in
    that run, in the node run `node` where it is in a loop."""

    model_config = ConfigDict(extra="forbid")

    output: Any = None
    error: Any = None
    execution_id: Annotated[str, StringConstraints(max_length=36)] | None = None
    node: NodeKey = ""


@router.post("/workflows/{workflow_id}/test", status_code=201)
async def try_out(
    request: Request,
    workflow_id: str,
    services: Given,
    who: Runner,
    form: Try | None = None,
    wait: Annotated[float, Query(ge=0, le=28)] = 0.0,
) -> Response:
    """Start a test run: the workflow, one node, or what leads to a node, with mocks. Takes an Idempotency-Key."""
    tried = await services.trials.run(who, workflow_id, (form or Try()).ask(), wait=wait, key=key_of(request))
    execution: dict[str, Any] = {
        "id": tried.execution_id,
        "workspace_id": who.workspace_id,
        "workflow_id": tried.workflow.id,
        "workflow_version": tried.version,
        "mode": "test",
        "status": tried.status,
    }
    if tried.closed:
        execution |= {"result": shown_payload(tried.result, who.workspace_id), "error": tried.error}
    location = f"/api/v1/workspaces/{who.workspace_id}/executions/{tried.execution_id}"
    message = "Test run started." if tried.created else "Test run found."
    return reply({"message": message, "execution": execution}, 201 if tried.created else 200, {"Location": location})


@router.put("/workflows/{workflow_id}/nodes/{node_id}/pin")
async def pin(request: Request, workflow_id: str, node_id: str, services: Given, who: Editor, form: Pin) -> Response:
    """Pin an output or an error to a node: manual and test runs use it, runs by other triggers never do."""
    found = await services.trials.pin(who, workflow_id, node_id, form.model_dump(), expected(request))
    return _one(found, services, "Pinned.")


@router.delete("/workflows/{workflow_id}/nodes/{node_id}/pin")
async def unpin(request: Request, workflow_id: str, node_id: str, services: Given, who: Editor) -> Response:
    """Take away what is pinned to a node."""
    return _one(await services.trials.unpin(who, workflow_id, node_id, expected(request)), services, "Unpinned.")


@router.get("/executions/{execution_id}/test")
async def save(
    execution_id: str,
    services: Given,
    who: Annotated[Membership, can("execution.view")],
    node: Annotated[list[NodeKey] | None, Query(max_length=100)] = None,
    ignore: Annotated[list[NodeKey] | None, Query(max_length=100)] = None,
    by_id: bool = False,
) -> Response:
    """A closed run as a test for `linkflow test`: input, mocks for the nodes that acted, and what came of it. `node`
    names those whose outputs are expected, `ignore` places that differ from run to run."""
    found = await services.trials.saved(who, execution_id, node or (), ignore or (), by_id)
    return reply({"test": found})


def _one(found: Shown, services: Services, message: str) -> Response:
    body = {"message": message, "workflow": shapes.shown(found, services.public_url)}
    return reply(body, 200, etag(found.workflow.lock_version))
