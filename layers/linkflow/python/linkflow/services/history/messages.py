"""What one execution tells another: start a child, close it, report to the parent.

A message is a row until it was told, and telling it twice is telling it once: ids of children follow from the parent,
and the decider refuses what no longer fits.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from linkflow.contracts.base import ANY_WORKSPACE
from linkflow.domain import commands as c
from linkflow.domain import definition as d
from linkflow.domain.answering import ERROR_MODE
from linkflow.domain.errors import InvalidInput, LinkFlowError, NotFound
from linkflow.domain.ids import is_uuid
from linkflow.domain.outcomes import NodeError
from linkflow.domain.state import CALLING
from linkflow.domain.trial import TEST
from linkflow.ports import FORGET_BLOBS, Blobs, EventStore, Message, StoredMessage

from .lanes import Commits
from .loading import load_one
from .notifying import NOTIFY, Notifier
from .transition import (
    CHILD_CLOSED,
    CLOSE_CHILD,
    END_SOURCE,
    START_CHILD,
    START_ERROR,
    STOP_RUN,
    ChildClosed,
    CloseChild,
    EndSource,
    StartChild,
    StartError,
    StopRun,
)


class Messenger:
    """Tells messages and forgets them."""

    def __init__(
        self, store: EventStore, committer: Commits, max_depth: int, blobs: Blobs | None = None,
        notifier: Notifier | None = None,
    ) -> None:  # fmt: skip
        self._notifier = notifier
        self._blobs = blobs
        self._store = store
        self._committer = committer
        self._max_depth = max_depth

    async def tell_new(self, execution_id: str, message: Message) -> None:
        await self.tell(StoredMessage(message.id, execution_id, message.kind, message.body))

    async def tell(self, message: StoredMessage) -> None:
        """Raises what the other execution's transition raises if it may succeed later; the row stays then."""
        if message.kind == START_CHILD:
            await self._start(msgspec.json.decode(message.body, type=StartChild))
        elif message.kind == CLOSE_CHILD:
            await self._close(msgspec.json.decode(message.body, type=CloseChild))
        elif message.kind == STOP_RUN:
            await self._stop(msgspec.json.decode(message.body, type=StopRun))
        elif message.kind == CHILD_CLOSED:
            await self._report(msgspec.json.decode(message.body, type=ChildClosed))
        elif message.kind == START_ERROR:
            await self._start_error(msgspec.json.decode(message.body, type=StartError))
        elif message.kind == FORGET_BLOBS and self._blobs is not None:
            await self._blobs.drop([(message.body.decode(), message.execution_id)])
        elif message.kind == NOTIFY and self._notifier is not None:
            await self._notifier.tell(message.execution_id, message.body)
        elif message.kind == END_SOURCE:
            await self.end_source(msgspec.json.decode(message.body, type=EndSource))
        await self._store.drop_messages([(message.execution_id, message.id)])

    async def _start(self, body: StartChild) -> None:
        try:
            if body.parent.depth > self._max_depth:
                raise InvalidInput(f"Sub-workflows nest deeper than {self._max_depth}.")
            version, trigger = await self._entrance(body.workspace_id, body.workflow_id, body.environment)
            command = c.Start(
                body.execution_id, body.workspace_id, body.workflow_id, version, trigger, body.input,
                TEST if body.trial else "sub_workflow", f"execution:{body.parent.execution_id}", "", body.parent,
                trial=body.trial, environment=body.environment,
            )  # fmt: skip
            await self._committer.start(command)
            await self._still_wanted(body)
        except LinkFlowError as error:
            if error.retryable:
                raise
            refused = NodeError(error.code, error.message, False)
            await self._report(ChildClosed(body.parent, body.execution_id, "rejected", None, refused))

    async def _start_error(self, body: StartError) -> None:
        """Start an error workflow; where that cannot be, the failed run's history says why."""
        try:
            version, trigger = await self._entrance(body.workspace_id, body.workflow_id, body.environment)
            command = c.Start(
                body.execution_id, body.workspace_id, body.workflow_id, version, trigger, body.trigger, ERROR_MODE,
                f"execution:{body.caused_by}", caused_by=body.caused_by, environment=body.environment,
            )  # fmt: skip
            await self._committer.start(command)
        except LinkFlowError as error:
            if error.retryable:
                raise
            refused = NodeError(error.code, error.message, False)
            note = c.RefuseErrorWorkflow(body.failure, body.workflow_id, refused)
            with suppress(NotFound):  # it may have been deleted meanwhile
                await self._committer.apply(body.caused_by, [note])

    async def _entrance(self, workspace_id: str, workflow_id: str, environment: str) -> tuple[int, str]:
        """The version and trigger such a run starts with. Another tenant's workflow does not exist."""
        found = await self._store.workflow(workflow_id, environment) if is_uuid(workflow_id) else None
        if found is None or found[0] not in (workspace_id, ANY_WORKSPACE):
            raise NotFound(f"There is no workflow {workflow_id[:64]!r} in this workspace.")
        if not found[1]:
            raise NotFound(f"The workflow {workflow_id} has no release in environment {environment!r}: promote one.")
        data = await self._store.definition(workflow_id, found[1])
        triggers = d.decode(data).triggers if data else ()
        if not triggers:
            raise InvalidInput("The workflow has no trigger to start from.")
        manual = [node for node in triggers if node.type == "trigger_manual"]
        return found[1], (manual or list(triggers))[0].id

    async def _still_wanted(self, body: StartChild) -> None:
        """The parent may have closed before its child was there to be told; then it is told now."""
        state = await load_one(self._store, body.parent.execution_id)
        if state is None or body.parent.close_policy == "abandon":
            return
        run = state.runs.get(body.parent.node_key)
        waits = run is not None and run.status == CALLING and run.child == body.execution_id
        kept = (run is not None and run.detached) or body.execution_id in state.children
        if state.closed or not (waits or kept):
            await self._close(CloseChild(body.execution_id, body.parent.close_policy))

    async def _close(self, body: CloseChild) -> None:
        await self._stop(StopRun(body.execution_id, body.verb, "parent", ""))

    async def _stop(self, body: StopRun) -> None:
        verb = c.Cancel if body.verb == "cancel" else c.Terminate
        try:
            await self._committer.apply(body.execution_id, [verb(body.actor, body.reason)])
        except NotFound:
            return

    async def end_source(self, body: EndSource) -> None:
        """Terminate a run that goes on as another one. One that is over stays as it is."""
        try:
            await self._committer.apply(body.execution_id, [c.Terminate(body.actor, body.reason)])
        except NotFound:
            return

    async def _report(self, body: ChildClosed) -> None:
        parent = body.parent
        command = c.CloseChild(parent.node_key, parent.attempt, body.execution_id, body.status, body.result, body.error)
        try:
            await self._committer.apply(parent.execution_id, [command])
        except NotFound:
            return
