"""The tools of one agent's run: what the model is told of them, and calling them, each call a step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from pydantic import AliasChoices, ValidationError

from linkflow.domain.outcomes import CallWorkflow, Completed, NodeError
from linkflow.domain.policy import type_fault
from linkflow.nodes.agents.mcp import Mcp
from linkflow.nodes.agents.params import AnyTool, HttpTool, McpTool, NodeTool, WorkflowTool
from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.http_auth import plain
from linkflow.nodes.models.schemas import faults
from linkflow.nodes.models.talk import Tool, ToolCall, ToolResult
from linkflow.nodes.registry import Registry
from linkflow.nodes.steps import Done, Steps, Work
from linkflow.observability import logger

MOST_RESULT = 64 * 1024
"""Characters of a tool's result; what is more is cut off, and the model is told so."""
BARRED = ("trigger", "logic")
"""Categories of nodes that are no tools: they lead the flow, and here is none."""
TOOL = "tool"
REQUEST = "action_http_request"


class Suspended(Exception):
    """The agent waits for a workflow."""

    def __init__(self, outcome: CallWorkflow) -> None:
        super().__init__(outcome.step)
        self.outcome = outcome


class Entry(Struct, frozen=True):
    """A tool as the model sees it, and what it is. `inner` is its name at an MCP server."""

    shown: Tool
    tool: AnyTool
    inner: str = ""


class Within:
    """Steps of a node that is a tool: those of the agent, under the call's name."""

    def __init__(self, steps: Steps, id: str) -> None:
        self._steps = steps
        self._id = id

    async def find(self, id: str) -> Done | None:
        return await self._steps.find(f"{self._id}/{id}")

    async def run(self, id: str, work: Work, *, kind: str = "", name: str = "", input: Any = None) -> Done:
        return await self._steps.run(f"{self._id}/{id}", work, kind=kind, name=name, input=input)


class Kit:
    """Made by `packed`."""

    def __init__(self, context: Context, on_error: str) -> None:
        self._context = context
        self._on_error = on_error
        self._entries: dict[str, Entry] = {}
        self._servers: dict[int, Mcp] = {}

    @classmethod
    async def packed(cls, tools: Sequence[AnyTool], context: Context, on_error: str) -> Kit:
        """The tools, with those that MCP servers have. Raises `NodeFailure` ``mcp_error``, ``bad_tools``, and
        ``policy_violation`` for nodes that the workspace may not have."""
        kit = cls(context, on_error)
        for place, tool in enumerate(tools):
            kit._check(tool)
            if isinstance(tool, McpTool):
                await kit._list(tool, place)
            else:
                kit._add(Entry(Tool(tool.name, tool.description, tool.shape), tool))
        return kit

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(entry.shown for entry in self._entries.values())

    def _check(self, tool: AnyTool) -> None:
        """A node is what it is, also as a tool: nobody is asked before that is clear."""
        type = REQUEST if isinstance(tool, HttpTool) else tool.node_type if isinstance(tool, NodeTool) else ""
        node = Registry.load().resolve(type) if type else None
        if node is not None and (fault := type_fault(self._context.policy, node.type)):
            raise NodeFailure("policy_violation", fault, retryable=False)

    def _add(self, entry: Entry) -> None:
        if self._entries.setdefault(entry.shown.name, entry) is not entry:
            text = f"Two tools are called {entry.shown.name!r}: give an MCP server a `prefix`."
            raise NodeFailure("bad_tools", text, retryable=False)

    async def _list(self, tool: McpTool, place: int) -> None:
        async def work() -> Done:
            return Done(await self._server(tool).tools())

        done = await self._context.step(f"mcp/{place}", work, kind="mcp", name=tool.url[:200])
        for found in done.output:
            if not tool.only or found["name"] in tool.only:
                name = "".join(
                    sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in found["name"]
                )
                shown = Tool(f"{tool.prefix}{name}"[:64], found["description"], found["schema"])
                self._add(Entry(shown, tool, found["name"]))

    def _server(self, tool: McpTool) -> Mcp:
        found = self._servers.get(id(tool))
        if found is None:
            secret = self._secret(tool.credential)
            headers = {**tool.headers, **(plain(secret).headers() if secret is not None else {})}
            found = self._servers[id(tool)] = Mcp(tool.url, headers, tool.timeout, self._context)
        return found

    def _secret(self, slot: str) -> Mapping[str, Any] | None:
        if not slot:
            return None
        if slot not in self._context.credentials:
            text = f"A tool wants the credential {slot!r}, which the node has not."
            raise NodeFailure("no_credential", text, retryable=False)
        return self._context.credentials[slot]

    async def close(self) -> None:
        for server in self._servers.values():
            await server.close()

    async def use(self, turn: int, calls: Sequence[ToolCall]) -> tuple[list[ToolResult], list[dict[str, Any]]]:
        """Call what a model asks for: results in the same order, and what to show of them. Workflows come last, one
        after another, and the agent waits for each: raises `Suspended`."""
        ids = [f"{TOOL}/{turn}/{place}" for place in range(1, len(calls) + 1)]
        done: dict[str, Done] = {}
        at_once = [(id, call) for id, call in zip(ids, calls, strict=True) if not self._is_workflow(call)]
        found = await asyncio.gather(*(self._step(id, call) for id, call in at_once))
        done.update(zip((id for id, _ in at_once), found, strict=True))
        for id, call in zip(ids, calls, strict=True):
            if id not in done:
                done[id] = await self._workflow(id, call)
        results = [_result(call, done[id]) for id, call in zip(ids, calls, strict=True)]
        return results, [_shown(call, done[id]) for id, call in zip(ids, calls, strict=True)]

    def _is_workflow(self, call: ToolCall) -> bool:
        entry = self._entries.get(call.name)
        return entry is not None and isinstance(entry.tool, WorkflowTool) and not self._misfit(call)

    def _misfit(self, call: ToolCall) -> str:
        """Why this cannot be called so."""
        entry = self._entries.get(call.name)
        if entry is None:
            return f"There is no tool {call.name!r}. There are: {', '.join(self._entries) or 'none'}."
        if not isinstance(call.arguments, dict):
            return "The arguments are no JSON object."
        problems = faults(entry.shown.schema, call.arguments)
        return "; ".join(f"{problem['path'] or 'arguments'}: {problem['message']}" for problem in problems)

    async def _step(self, id: str, call: ToolCall) -> Done:
        async def work() -> Done:
            if text := self._misfit(call):
                return Done(error=NodeError("bad_arguments", text, False))
            self._context.say(TOOL, call.name)
            try:
                return Done(_shortened(await self._call(id, self._entries[call.name], call.arguments)))
            except NodeFailure as failure:
                if self._on_error == "fail" or failure.error.code in PASSING_ON:
                    raise
                return Done(error=failure.error)
            except Exception as error:
                logger.exception("A tool crashed", extra={"tool": call.name})
                return Done(error=NodeError("tool_crashed", f"The tool crashed with {type(error).__name__}.", False))

        return await self._context.step(id, work, kind=TOOL, name=call.name[:200], input=call.arguments)

    async def _call(self, id: str, entry: Entry, arguments: dict[str, Any]) -> Any:
        tool = entry.tool
        if isinstance(tool, McpTool):
            value, failed = await self._server(tool).call(entry.inner, arguments)
            if failed:
                raise NodeFailure("tool_failed", _text(value)[:2000], retryable=False)
            return value
        if isinstance(tool, HttpTool):
            answer = await self._node(id, REQUEST, 0, _request(tool, arguments), tool.credential)
            return {"status": answer["status"], "body": answer["body"]}  # a model has no use for headers
        if not isinstance(tool, NodeTool):  # `use` has sent workflows another way
            raise NodeFailure("bad_tools", f"{entry.shown.name!r} cannot be called so.", retryable=False)
        return await self._node(id, tool.node_type, tool.version, _filled(tool.config, arguments), tool.credential)

    async def _node(self, id: str, type: str, version: int, config: dict[str, Any], slot: str) -> Any:
        node = Registry.load().resolve(type, version)
        if node is None or node.category in BARRED or node.type.startswith("action_ai_agent"):
            raise NodeFailure("bad_tools", f"{type!r} is no node that can be a tool.", retryable=False)
        for name, info in node.params.model_fields.items():
            alias = info.validation_alias
            others = alias.choices if isinstance(alias, AliasChoices) else ()
            if sum(key in config for key in {name, *(key for key in others if isinstance(key, str))}) > 1:
                raise NodeFailure("bad_arguments", f"`{name}` is given twice, by two names.", retryable=False)
        secret, context = self._secret(slot), self._context
        inner = replace(
            context, idempotency_key=f"{context.idempotency_key}/{id}", evaluate=None, trigger=None, inputs={},
            credentials={} if secret is None else {"default": secret}, steps=Within(context.recorder, id),
        )  # fmt: skip
        try:
            outcome: Any = node.run(node.params.model_validate(config), inner)
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, item['loc'])) or 'config'}: {item['msg']}" for item in error.errors()]
            raise NodeFailure("bad_arguments", "; ".join(lines[:10]), retryable=False) from None
        before = context.spent
        if not isinstance(outcome, Completed):
            outcome = await outcome if hasattr(outcome, "__await__") else outcome
            context.spent += inner.spent - before  # a model that the tool asked is this run's cost
        if not isinstance(outcome, Completed):
            raise NodeFailure("bad_tools", f"{type!r} waits for something: it cannot be a tool.", retryable=False)
        return outcome.output

    async def _workflow(self, id: str, call: ToolCall) -> Done:
        done = await self._context.recorder.find(id)
        if done is None:
            tool: Any = self._entries[call.name].tool
            self._context.say(TOOL, call.name)
            raise Suspended(
                CallWorkflow(tool.workflow_id, call.arguments, True, tool.parent_close_policy, id, call.name)
            )
        if done.error is not None and self._on_error == "fail":
            raise NodeFailure(
                done.error.code, done.error.message, retryable=False, details=done.error.details, fresh=True
            )
        return Done(_shortened(done.output), done.error)


PASSING_ON = frozenset(
    {"attempt_over", "step_refused", "too_many_steps", "bad_tools", "no_credential", "bad_credential"}
)
"""Failures that are no answer to a model: the author's to mend, or the engine's."""


def _filled(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with what the model gave; a dot leads inside."""
    filled: dict[str, Any] = dict(config)
    for name, value in arguments.items():
        *path, last = name.split(".")
        at = filled
        for part in path:
            inner = at.get(part)
            at[part] = dict(inner) if isinstance(inner, Mapping) else {}
            at = at[part]
        at[last] = value
    return filled


def _request(tool: HttpTool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an HTTP request."""
    url, left = tool.url, dict(arguments)
    for name in arguments:
        mark = f"{{{name}}}"
        if mark in url:
            spelt = quote(_text(left.pop(name)), safe="")
            if spelt in ("", ".", ".."):  # it would lead elsewhere
                raise NodeFailure("bad_arguments", f"`{name}` cannot be {spelt!r}.", retryable=False)
            url = url.replace(mark, spelt)
    config: dict[str, Any] = {"url": url, "method": tool.method, "headers": tool.headers, "timeout": 60}
    if left:
        config["query" if tool.method in ("GET", "DELETE") else "body"] = left
    return config


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shortened(value: Any) -> Any:
    """A result as it is, or as much of its text as a model is shown."""
    text = _text(value)
    return value if len(text) <= MOST_RESULT else f"{text[:MOST_RESULT]}\n[cut off: {len(text):,} characters in all]"


def _result(call: ToolCall, done: Done) -> ToolResult:
    if done.error is not None:
        return ToolResult(call.id, f"{done.error.code}: {done.error.message}", True)
    return ToolResult(call.id, _text(done.output))


def _shown(call: ToolCall, done: Done) -> dict[str, Any]:
    shown: dict[str, Any] = {"tool": call.name, "arguments": call.arguments}
    if done.error is not None:
        shown["error"] = {"code": done.error.code, "message": done.error.message}
    return shown
