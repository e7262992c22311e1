"""Holds what the API answers against the OpenAPI document, and notes it for ``make api-docs``."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from jsonschema import Draft202012Validator
from starlette.types import Message, Receive, Scope, Send

from linkflow.http.document import answers, module_of
from linkflow.http.problems import MEDIA_TYPE

NOTED = os.environ.get("LINKFLOW_SEEN_ANSWERS", "")
MEND = (
    "http/answers says what routes answer, and is written from what they answer to tests:"
    " make api-docs ARGS=tests/integration/control/test_http_YOURS.py"
)


class Watched:
    """ASGI: the app, looked at while it is `on`. `faults` are answers that are not as the document says."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.routes = app.routes
        self.faults: list[str] = []
        self.on = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, parts = bytearray(), bytearray()
        status, kind = 0, ""

        async def heard() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def told(message: Message) -> None:
            nonlocal status, kind
            if message["type"] == "http.response.start":
                headers = {name.lower(): value for name, value in message["headers"]}
                status, kind = message["status"], headers.get(b"content-type", b"").decode().partition(";")[0]
            parts.extend(message.get("body", b""))
            await send(message)

        await self.app(scope, heard, told)
        route = scope.get("route")
        if not self.on or route is None or not route.include_in_schema or kind == MEDIA_TYPE or status == 304:
            return
        operation = f"{scope['method']} {route.path_format}"
        answer = json.loads(parts) if kind == "application/json" and parts else None
        if NOTED:
            self._note(module_of(route), operation, status, kind, answer, bytes(asked))
        elif kind == "application/json" or not parts:
            self._check(operation, status, answer)

    def check(self) -> None:
        """Was every answer as the document says?"""
        assert not self.faults, "\n".join([*dict.fromkeys(self.faults), MEND])

    def _check(self, operation: str, status: int, answer: Any) -> None:
        found = _validator(operation, str(status))
        if found is None:
            self.faults.append(f"{operation} answered {status}, which the document does not know.")
            return
        for error in found.iter_errors(answer) if answer is not None else ():
            self.faults.append(f"{operation} {status} at {error.json_path}: {error.message[:200]}")

    def _note(self, module: str, operation: str, status: int, kind: str, answer: Any, asked: bytes) -> None:
        try:
            request = json.loads(asked) if asked else None
        except ValueError:
            request = None
        row = {"module": module, "operation": operation, "status": status, "type": kind, "answer": answer,
               "request": request}  # fmt: skip
        with (Path(NOTED) / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


@cache
def _validator(operation: str, status: str) -> Draft202012Validator | None:
    _, _, path = operation.partition(" ")
    known = (answers().get(operation) or answers().get(f"ANY /{path.split('/')[1]}", {})).get(status)
    return None if known is None else Draft202012Validator(known.get("schema", {}))
