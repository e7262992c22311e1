"""What a node type is: a name, a parameter model, outputs, `run`, and what it says about itself.

A node type lives in a file of its own and is found by the entry point group ``linkflow.nodes``. `run` gets parameters
whose expressions are already resolved, and answers with an `Outcome`; it never raises on purpose but `NodeFailure`.
docs/writing-nodes.md is the guide.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from linkflow.domain.definition import MAIN
from linkflow.domain.outcomes import NodeError, Outcome
from linkflow.domain.policy import OPEN, Policy
from linkflow.nodes.about import ANY, Example, Fault, Refusal, Schema
from linkflow.nodes.fields import sentence
from linkflow.nodes.files import Files
from linkflow.nodes.going import Going
from linkflow.nodes.scripts import Part, Scripts
from linkflow.nodes.slots import Slot
from linkflow.nodes.steps import Done, InMemory, Steps, Work


class Params(BaseModel):
    """Base of every parameter model. Its JSON Schema is the form that the console shows.

    Unknown fields are refused, so that a misspelt name is a problem with a path, not a silent default. A model that
    accepts the original's spellings says so with aliases.
    """

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        str_strip_whitespace=False,
        field_title_generator=sentence,
        defer_build=True,  # until it is used: no process uses all node types at once
    )


class NodeFailure(Exception):
    """Raised by `run` to fail the attempt with a typed error. `retry_after` is milliseconds. `fresh`: the steps that
    were recorded led to this, so the next attempt is to do them anew."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = True,
        retry_after: int = 0,
        details: dict[str, Any] | None = None,
        fresh: bool = False,
    ) -> None:
        super().__init__(message)
        self.error = NodeError(code=code, message=message, retryable=retryable, details=details or {})
        self.retry_after = retry_after
        self.fresh = fresh


class EgressResponse(Protocol):
    """What the egress client gives back: the body is read whole, within the size cap."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> bytes: ...
    @property
    def url(self) -> str: ...


Watch = Callable[[int, Mapping[str, str], bytes], bool]
"""Gets status, headers (lower case) and a piece of the body as it came: ask for no compression."""


@runtime_checkable
class Egress(Protocol):
    """The one client that goes out: resolves, checks, pins the address, follows redirects under the same rules."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = 30.0,
        follow_redirects: bool = True,
        verify: bool = True,
        going: Going | None = None,
        watch: Watch | None = None,
    ) -> EgressResponse:
        """`going` says more of how: redirects, size, TLS, proxy. `watch` sees bodies as they come; when
        it answers true, the rest is left unread.

        Raises `NodeFailure` (codes ``egress_refused``, ``http_connect``, ``http_timeout``, ``http_too_large``)."""
        ...

    async def open_address(self, host: str, port: int) -> tuple[str, int]:
        """The checked address to connect to for protocols other than HTTP. Raises `NodeFailure` ``egress_refused``."""
        ...


def _no_words(_kind: str, _text: str) -> None:
    """Nobody listens."""


async def _no_heartbeat(_details: Any) -> None:
    """Pure nodes have nobody to tell."""


@dataclass(slots=True)
class Context:
    """What a node may use while it runs. Nothing else: no environment, no clock of its own, no store."""

    input: Any
    execution_id: str
    node_id: str
    node_name: str
    workflow_id: str
    workspace_id: str
    idempotency_key: str
    attempt: int
    now_ms: int
    trigger: Any = None
    """The trigger's data; where that is large, only if the node's config speaks of the trigger (else a reference)."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Outputs of the sources whose edges were taken, by source id."""
    egress: Egress | None = None
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Default connections by family (``smtp``, ``slack``, ``ai``, ``database``); secrets, never to be logged."""
    credentials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Resolved credentials by slot; secrets, never to be logged."""
    conceal: Callable[[str], None] = lambda _secret: None
    """Says that a value is secret, such as a token that a server gave: it is taken out of whatever the node leaves."""
    redact: Callable[[Any], Any] = lambda value: value
    """A JSON value without this run's secrets, for what leaves a node before its result does."""
    log: Callable[[str], None] = lambda _line: None
    heartbeat: Callable[[Any], Awaitable[None]] = _no_heartbeat
    """Says that the node run lives, and how far it has come (JSON, up to 32 KB; null: as before). A worker beats by
    itself for nodes with a heartbeat timeout; what they tell reaches the next attempt."""
    heartbeat_details: Any = None
    """What the last heartbeat of an earlier attempt told."""
    steps: Steps | None = None
    """What records steps; without it they are kept in memory."""
    say: Callable[[str, str], None] = _no_words
    """Tells whoever watches the run now, with a kind (``text``) and some text. It is kept nowhere, and may be lost."""
    scripts: Scripts | None = None
    """Runs scripts outside of this process; None in a pure context."""
    files: Files | None = None
    """The workspace's files."""
    spent: int = 0
    """What the run has spent on models so far, in billionths of a dollar."""
    policy: Policy = OPEN
    """What the workspace lets its workflows do; see `domain.policy`."""
    random: Callable[[], float] = lambda: 0.5
    """A number from 0 up to 1."""
    evaluate: Callable[[str], Any] | None = None
    """Evaluates an expression field against this run's scope (set for nodes whose config holds expressions)."""

    async def step(self, id: str, work: Work, *, kind: str = "", name: str = "", input: Any = None) -> Done:
        """Do `work` once in this node run: recorded as an event, so no later attempt, and no other worker after a
        crash, does it again. `id` names the step within the node run and has to be the same each time the node comes
        there. What was not recorded when a worker died is done again. See `Steps.run` for what it raises."""
        return await self.recorder.run(id, work, kind=kind, name=name, input=input)

    @property
    def recorder(self) -> Steps:
        """The steps of this node run."""
        if self.steps is None:
            self.steps = InMemory()
        return self.steps

    def http(self) -> Egress:
        """The egress client. Raises `NodeFailure` where the worker has none (a pure context)."""
        if self.egress is None:
            raise NodeFailure("no_egress", "This worker runs pure nodes only.", retryable=False)
        return self.egress

    def storage(self) -> Files:
        """The workspace's files. Raises `NodeFailure` ``no_storage`` where there are none (a pure context)."""
        if self.files is None:
            raise NodeFailure("no_storage", "This place runs nodes without files.", retryable=False)
        return self.files


class NodeType(Protocol):
    """A node type. Register an instance under the entry point group ``linkflow.nodes``, by its `type`.

    An older version that stays runnable is an instance of its own, registered as ``TYPE.vN``.
    """

    type: ClassVar[str]
    """Canonical name, such as ``action_http_request``."""
    version: ClassVar[int]
    """From 1. A node of a definition names the version that it was written for, and gets that one for ever."""
    aliases: ClassVar[tuple[str, ...]]
    """Other spellings that import as this type."""
    name: ClassVar[str]
    description: ClassVar[str]
    """One sentence."""
    help: ClassVar[str]
    """All that an author should know beyond the fields' descriptions; Markdown."""
    category: ClassVar[str]
    """trigger | logic | data | action | message | ai | output"""
    pure: ClassVar[bool]
    """True if `run` only computes, in bounded time and memory: it may then run within History's process, fused with its
    neighbours, and again after a crash."""
    acts: ClassVar[bool | None]
    """True if it needs the world outside: it asks or changes something there, waits for an event or for people, or
    calls a sub-workflow. Tests give such nodes a mock. None: what is not pure does."""
    params: ClassVar[builtins.type[Params]]
    expression_fields: ClassVar[tuple[str, ...]]
    """Dotted names of config fields that hold an expression as such; `run` evaluates them with `Context.evaluate`."""
    path_fields: ClassVar[tuple[str, ...]]
    """Those of `expression_fields` that may hold a dot path as well; they are checked as text."""
    literal_fields: ClassVar[tuple[str, ...]]
    """Config fields that reach `run` as they were written, such as code: ``{{`` in them means nothing to LinkFlow."""
    slots: ClassVar[tuple[Slot, ...]]
    """Credentials that a node of this type can be given."""
    produces: ClassVar[Mapping[str, Schema]]
    """Schema of what is handed on, by output; `about.NAMED` stands for outputs that the author names."""
    faults: ClassVar[tuple[Fault, ...]]
    """Codes that a run of it may fail with, besides those that every node has."""
    examples: ClassVar[tuple[Example, ...]]
    refuses: ClassVar[tuple[Refusal, ...]]

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the outputs of a node with this (unresolved) config; ``on_error: branch`` adds ``error``."""
        ...

    def scripts(self, config: Mapping[str, Any]) -> tuple[Part, ...]:
        """Scripts that this (unresolved) config holds: their syntax is checked when the workflow is saved."""
        ...

    def run(self, params: Any, context: Context) -> Outcome | Awaitable[Outcome]:
        """Do it. Pure types are plain functions; those that go out are coroutines."""
        ...


class Base:
    """Defaults for node types."""

    version: ClassVar[int] = 1
    aliases: ClassVar[tuple[str, ...]] = ()
    description: ClassVar[str] = ""
    help: ClassVar[str] = ""
    pure: ClassVar[bool] = False
    acts: ClassVar[bool | None] = None
    expression_fields: ClassVar[tuple[str, ...]] = ()
    path_fields: ClassVar[tuple[str, ...]] = ()
    literal_fields: ClassVar[tuple[str, ...]] = ()
    slots: ClassVar[tuple[Slot, ...]] = ()
    produces: ClassVar[Mapping[str, Schema]] = {MAIN: ANY}
    faults: ClassVar[tuple[Fault, ...]] = ()
    examples: ClassVar[tuple[Example, ...]] = ()
    refuses: ClassVar[tuple[Refusal, ...]] = ()

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        return (MAIN,)

    def scripts(self, config: Mapping[str, Any]) -> tuple[Part, ...]:
        return ()
