"""What an expression can see (`Scope`), and one evaluation of it with its limits (`Run`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from linkflow.domain.expressions.errors import Fault

MAX_STEPS = 100_000
"""Steps one evaluation may take: about one for a call, for an item given to a function, or for 8 items copied."""
MAX_TEXT = 1024 * 1024
"""Characters one produced string may have."""

NodeRecord = Mapping[str, Any]
NodeLookup = Callable[[str], NodeRecord | None]
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _no_node(name: str) -> NodeRecord | None:
    return None


class Scope:
    """Everything an expression can see. All values are JSON values; nothing here is ever read by attribute.

    `node` finds a node's record by id or label: a mapping with ``output``, ``status``, ``error`` and, where it differs
    from the output, ``json``. It is asked only when an expression needs that node. `prev` is the record of the node
    that came before. `approvals` finds the links of an approval node likewise. `now` gives an ISO 8601 time ending in
    Z, `random` a number from 0 up to 1; the caller records both. Where `credentials` is None, `credential.NAME` is
    null. `answers` has what the JavaScript engine made of the scripts in a compiled value, by their code; a `Fault`
    where one failed.
    """

    __slots__ = (
        "answers", "approvals", "credentials", "execution", "input", "loop", "node", "now", "prev", "random", "trigger",
        "vars", "workflow",
    )  # fmt: skip

    def __init__(
        self,
        *,
        trigger: Any = None,
        input: Any = None,
        node: NodeLookup = _no_node,
        prev: NodeRecord | None = None,
        loop: Any = None,
        vars: Mapping[str, Any] = _NOTHING,
        workflow: Any = None,
        execution: Any = None,
        credentials: Mapping[str, Any] | None = None,
        now: Callable[[], str] | None = None,
        random: Callable[[], float] | None = None,
        answers: Mapping[str, Any] = _NOTHING,
        approvals: NodeLookup = _no_node,
    ) -> None:
        self.trigger = trigger
        self.input = input
        self.node = node
        self.prev = prev
        self.loop = loop
        self.vars = vars
        self.workflow = workflow
        self.execution = execution
        self.credentials = credentials
        self.now = now
        self.random = random
        self.answers = answers
        self.approvals = approvals


class Run:
    """One evaluation: the scope, the arrow functions' parameters, and the steps that are left."""

    __slots__ = ("locals", "scope", "steps")

    def __init__(self, scope: Scope, locals: list[Any]) -> None:
        self.scope = scope
        self.locals = locals
        self.steps = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Take `steps` from what is left; raises `Fault` when that is too little."""
        self.steps -= steps
        if self.steps < 0:
            raise Fault(f"the expression does too much work (over {MAX_STEPS} steps)")

    def handle(self, items: int) -> None:
        """Pay for reading or producing a list of that many items."""
        self.spend(1 + (items >> 3))

    def read(self, text: str) -> None:
        """Pay for reading through `text`; short ones are free."""
        if len(text) > 256:
            self.spend(len(text) >> 8)

    def room(self, length: int) -> None:
        """Pay for a string of that many characters, before it is made."""
        if length > 256:
            if length > MAX_TEXT:
                raise Fault(f"the text is too long (over {MAX_TEXT} characters)")
            self.spend(length >> 8)

    def text(self, produced: str) -> str:
        """`produced`, paid for."""
        self.room(len(produced))
        return produced
