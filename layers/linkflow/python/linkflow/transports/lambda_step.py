"""The door of a step of a deployment: CloudFormation's custom resources are answered at an address of their own."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable
from typing import Any

import msgspec

from linkflow.domain.errors import InvalidInput

from .lambda_log import InvocationLog

PATIENCE = 20.0
LONGEST = 1000
"""Characters of a reason; CloudFormation takes 4 KB of answer."""

_log = logging.getLogger("linkflow.transports")


class StepDoor:
    """A handler that makes one step. As a custom resource it is made on Create and Update; Delete undoes nothing."""

    def __init__(self, name: str, act: Callable[[], dict[str, Any]]) -> None:
        """`act` makes the step, and may do so twice; it returns what is to be told of it."""
        self._act = act
        self._log = InvocationLog(f"linkflow-{name}")

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """The Lambda handler. Raises what `act` raises, unless CloudFormation is to be told."""
        with self._log.invocation(context):
            if not isinstance(event, dict) or "ResponseURL" not in event:
                return {"ok": self._act()}
            return self._as_a_resource(event)

    def _as_a_resource(self, event: dict[str, Any]) -> dict[str, Any]:
        answer = {name: event.get(name, "") for name in ("StackId", "RequestId", "LogicalResourceId")}
        # A constant: one that changes would be taken for another resource, and the old one deleted.
        answer |= {"PhysicalResourceId": str(event["LogicalResourceId"]), "Status": "SUCCESS"}
        if event.get("RequestType") != "Delete":
            try:
                _log.info("made", extra={"step": self._act()})
            except Exception as error:
                _log.exception("the step failed")
                answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:LONGEST]}
        _answer(str(event["ResponseURL"]), msgspec.json.encode(answer))
        return {"ok": {"status": answer["Status"]}}


def _answer(url: str, body: bytes) -> None:
    """To where CloudFormation said that it waits: a signed address in S3, no workflow's."""
    if not url.startswith(("https://", "http://")):
        raise InvalidInput("CloudFormation waits for an answer at an address of the web.")
    request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")  # noqa: S310 (see above)
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        return
