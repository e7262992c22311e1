"""The tools of an agent, as an author writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from linkflow.nodes.base import Params
from linkflow.nodes.fields import Headers, Text

NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""What providers take for a tool's name."""
PLACES = frozenset({"url", "endpoint", "base_url", "host", "port", "proxy", "token_url", "headers", "auth", "batch"})
"""Fields that say where a call goes: not for a model to give beside a credential."""


class Tool(Params):
    """`parameters` is the JSON Schema of what the model gives, or just its properties by name (all required then)."""

    description: Text = Field("", description="What it does and when to use it: the model reads this.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="What the model gives, by name.")
    credential: Text = Field("", description="The slot of this node whose credential the tool gets.")

    @property
    def shape(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
        if isinstance(self.parameters.get("properties"), Mapping) or self.parameters.get("type") == "object":
            return {"type": "object", "properties": {}, **self.parameters}
        return {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": one} if isinstance(one, str) else one
                for name, one in self.parameters.items()
            },
            "required": list(self.parameters),
            "additionalProperties": False,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments' names."""
        return tuple(self.shape["properties"])

    @model_validator(mode="after")
    def _has_a_schema(self) -> Tool:
        from linkflow.nodes.models.schemas import fault

        if self.parameters and (text := fault(self.shape)):
            raise ValueError(f"`parameters` are no JSON Schema: {text}")
        return self


class NodeTool(Tool):
    """A node. What the model gives is added to `config`; a dot in a name leads inside (``body.title``)."""

    type: Literal["node"]
    name: Annotated[Text, Field(pattern=NAME)]
    node_type: Text = Field(description="Its type, such as action_slack.")
    version: int = Field(0, ge=0, description="0: the newest.")
    config: dict[str, Any] = Field(default_factory=dict, description="What is fixed.")

    @model_validator(mode="after")
    def _is_safe(self) -> NodeTool:
        given = {name.partition(".")[0] for name in self.names}
        if twice := [name for name in self.names if _is_fixed(name, self.config)]:
            raise ValueError(f"`{twice[0]}` is fixed in `config`, so the model cannot give it")
        if self.credential and (place := given & PLACES):
            raise ValueError(f"with a credential the model cannot say where the call goes: fix `{min(place)}`")
        return self


def _is_fixed(name: str, config: Any) -> bool:
    for part in name.split("."):
        if not isinstance(config, Mapping):
            return True  # all of it is
        if part not in config:
            return False
        config = config[part]
    return True


class HttpTool(Tool):
    """A call. ``{name}`` in the URL's path and query is what the model gives; what is left is its query, or body."""

    type: Literal["http"]
    name: Annotated[Text, Field(pattern=NAME)]
    url: Annotated[Text, Field(min_length=1)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: Headers = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_a_place(self) -> HttpTool:
        if "{" in "".join(urlsplit(self.url)[:2]) and "{{" not in self.url:
            raise ValueError("the model cannot give a URL's host")
        return self


class WorkflowTool(Tool):
    """A workflow: a run of its own, whose trigger data is what the model gives. The agent waits for its result."""

    type: Literal["workflow"]
    name: Annotated[Text, Field(pattern=NAME)]
    workflow_id: Annotated[Text, Field(min_length=1)]
    parent_close_policy: Literal["terminate", "cancel", "abandon"] = "terminate"


class McpTool(Params):
    """All tools of an MCP server (streamable HTTP), or some of them."""

    type: Literal["mcp"]
    url: Annotated[Text, Field(min_length=1)]
    headers: Headers = Field(default_factory=dict)
    credential: Text = Field("", description="The slot of this node whose credential the server gets.")
    only: list[Text] = Field(default_factory=list, description="Names of tools; empty: all.")
    prefix: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]{0,32}$")] = Field("", description="In front of their names.")
    timeout: float = Field(60, gt=0, le=600)


AnyTool = Annotated[NodeTool | HttpTool | WorkflowTool | McpTool, Field(discriminator="type")]
