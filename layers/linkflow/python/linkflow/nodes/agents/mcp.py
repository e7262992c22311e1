"""A small MCP client: tools of a server over streamable HTTP (Model Context Protocol, revision 2025-06-18).

JSON-RPC in POSTs, answered as JSON or as a stream of events that is read as far as the answer. No SDK: it brings an
HTTP client of its own, and all that goes out has to go by ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.models.streams import Events
from linkflow.nodes.replies import failure, parse_json

REVISION = "2025-06-18"
MOST_PAGES = 20
MOST_TOOLS = 200


class Mcp:
    """One server, for the time of one attempt. Its session begins with the first call."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, context: Context) -> None:
        self._url = url
        self._headers = dict(headers)
        self._timeout = timeout
        self._context = context
        self._revision = ""
        self._session = ""
        self._last = 0

    async def tools(self) -> list[dict[str, Any]]:
        """``{name, description, schema}`` of each tool, as many pages as there are."""
        found: list[dict[str, Any]] = []
        cursor = None
        for _ in range(MOST_PAGES):
            page = await self._call("tools/list", {"cursor": cursor} if cursor else {})
            for tool in page.get("tools") or ():
                schema = tool.get("inputSchema") or {"type": "object", "properties": {}}
                text = str(tool.get("description") or tool.get("title") or "")
                found.append({"name": str(tool["name"]), "description": text[:4000], "schema": schema})
            cursor = page.get("nextCursor")
            if not cursor or len(found) >= MOST_TOOLS:
                break
        return found[:MOST_TOOLS]

    async def call(self, name: str, arguments: Any) -> tuple[Any, bool]:
        """What the tool gives, and whether the server says that it failed."""
        result = await self._call("tools/call", {"name": name, "arguments": arguments})
        if result.get("structuredContent") is not None:
            return result["structuredContent"], bool(result.get("isError"))
        parts = [_part(part) for part in result.get("content") or ()]
        value = parts[0] if len(parts) == 1 else "\n".join(parts) if all(isinstance(p, str) for p in parts) else parts
        return value, bool(result.get("isError"))

    async def close(self) -> None:
        """Say goodbye to a server that keeps a session."""
        if self._session:
            try:
                await self._context.http().request(
                    "DELETE", self._url, headers=self._own(), timeout=5.0, follow_redirects=False
                )
            except NodeFailure:
                return

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if not self._revision:
            await self._begin()
        response, result = await self._ask(method, params)
        if response.status_code == 404 and self._session:  # the server has forgotten us
            self._session = self._revision = ""
            await self._begin()
            response, result = await self._ask(method, params)
        if result is None:
            raise self._failed(response)
        if error := result.get("error"):
            text = str(error.get("message") or "no reason given")[:300]
            raise NodeFailure("mcp_error", f"The MCP server refuses {method}: {text}", retryable=False)
        found = result.get("result")
        return found if isinstance(found, dict) else {}

    async def _begin(self) -> None:
        client = {"name": "LinkFlow", "version": "1"}
        hello = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client}
        response, result = await self._ask("initialize", hello)
        answer = result.get("result") if result else None
        if not isinstance(answer, dict):
            raise self._failed(response)
        self._revision = str(answer.get("protocolVersion") or REVISION)[:40]
        self._session = response.headers.get("mcp-session-id", "")[:1000]
        await self._post({"jsonrpc": "2.0", "method": "notifications/initialized"}, 0)

    async def _ask(self, method: str, params: dict[str, Any]) -> tuple[EgressResponse, dict[str, Any] | None]:
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        return await self._post(message, self._last)

    async def _post(self, message: dict[str, Any], id: int) -> tuple[EgressResponse, dict[str, Any] | None]:
        events, found = Events(), list[dict[str, Any]]()

        def watch(status: int, headers: Mapping[str, str], data: bytes) -> bool:
            if status == 200 and headers.get("content-type", "").startswith("text/event-stream"):
                found.extend(answer for event in events.feed(data) if (answer := _answer(event, id)))
            return bool(found)  # a server may keep the stream open

        headers = {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity", **self._own(),
        }  # fmt: skip
        response = await self._context.http().request(
            "POST", self._url, headers=headers, content=msgspec.json.encode(message), timeout=self._timeout,
            follow_redirects=False, watch=watch,
        )  # fmt: skip
        if not found and response.status_code == 200 and (answer := _answer(response.content, id)):
            found.append(answer)
        return response, found[0] if found else None

    def _own(self) -> dict[str, str]:
        own = dict(self._headers)
        if self._revision:
            own["MCP-Protocol-Version"] = self._revision
        if self._session:
            own["Mcp-Session-Id"] = self._session
        return own

    def _failed(self, response: EgressResponse) -> NodeFailure:
        if response.status_code < 300:
            return NodeFailure("mcp_error", "The MCP server's answer is not what the protocol says.")
        return failure("mcp_error", "The MCP server", response, self._context.now_ms)


def _answer(data: bytes | str, id: int) -> dict[str, Any] | None:
    """The JSON-RPC answer with this id, if this is it."""
    try:
        found = parse_json(data if isinstance(data, bytes) else data.encode())
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("id") == id and "method" not in found else None


def _part(part: Any) -> Any:
    """Content of a result: text as it is, a resource's text too; of pictures and sounds what they are."""
    if not isinstance(part, dict):
        return str(part)
    if part.get("type") == "text":
        return str(part.get("text") or "")
    if part.get("type") == "resource" and isinstance(inner := part.get("resource"), dict) and "text" in inner:
        return str(inner["text"])
    kind = part.get("mimeType") or part.get("uri") or ""
    return f"[{part.get('type')} {kind}]".replace(" ]", "]")
