"""New runs from old ones, and verbs upon many runs at once: part of History's contract."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from linkflow.domain.comparing import Plan
from linkflow.domain.trial import Trial

from .searching import RunFilter


class ForkRequest(Struct, frozen=True, omit_defaults=True):
    """A new run from an old one, its source: ``fork`` keeps what is not behind `node` (a key, as ``send[3]``),
    ``reset`` does so and ends the source if it is open, ``rerun`` keeps nothing but the trigger data.

    With `edited`, `input` replaces the node's input (rerun: the trigger data). `version` 0 is the source's, -1 the
    workflow's current one. `dry_run` plans and starts nothing. A repeated call with one `idempotency_key`, or one
    `new_id`, finds the run of the first.
    """

    execution_id: str
    workspace_id: str
    verb: str
    node: str = ""
    edited: bool = False
    input: Any = None
    version: int = 0
    dry_run: bool = False
    actor: str = ""
    reason: str = ""
    idempotency_key: str = ""
    new_id: str = ""
    trial: Trial | None = None
    """Of a fork that is a test run: it goes up to `node`."""
    fresh: bool = False
    """Results of nodes that have changed since are not kept."""


class ForkReply(Struct, frozen=True, omit_defaults=True):
    """`execution_id` is the new run, empty after a dry run; `created` is false where an earlier call made it."""

    execution_id: str
    workflow_id: str
    workflow_version: int
    mode: str
    created: bool = False
    plan: Plan | None = None


class BulkFilter(Struct, frozen=True, omit_defaults=True):
    """Which runs of a workspace: what is empty does not narrow. Times are ms since the epoch, `after` is included."""

    workflow_id: str = ""
    status: tuple[str, ...] = ()
    mode: str = ""
    started_after: int = 0
    started_before: int = 0
    ids: tuple[str, ...] = ()
    more: RunFilter | None = None


class BulkOptions(Struct, frozen=True, omit_defaults=True):
    """What a verb takes: `node`, `edited`, `input`, `version` of a fork; `name`, `key`, `payload` of a signal."""

    reason: str = ""
    node: str = ""
    edited: bool = False
    input: Any = None
    version: int = 0
    name: str = ""
    key: str = ""
    payload: Any = None


class BulkRequest(Struct, frozen=True, omit_defaults=True):
    """A verb upon many runs: one of `ControlRequest`, of `ForkRequest`, or ``signal``; `options` are its own fields.

    The runs are those that fit when it is asked for, the newest `limit` of them. `dry_run` counts them.
    """

    workspace_id: str
    verb: str
    filter: BulkFilter = BulkFilter()
    options: BulkOptions = BulkOptions()
    limit: int = 10_000
    dry_run: bool = False
    actor: str = ""
    id: str = ""
    """A UUIDv7 that makes a repeated call the same operation; else one is made."""


class BulkError(Struct, frozen=True):
    execution_id: str
    code: str
    message: str


class Bulk(Struct, frozen=True, omit_defaults=True):
    """A bulk operation as it stands. `total` runs were chosen (`more` fitted than the limit lets through); of those
    that were seen to, `done` took the verb, `skipped` could not take it as they are, `failed` are among `errors`."""

    id: str
    workspace_id: str
    verb: str
    filter: BulkFilter
    options: BulkOptions
    actor: str
    status: str  # running | completed | cancelled
    total: int
    more: bool
    done: int
    failed: int
    skipped: int
    errors: tuple[BulkError, ...]
    created_at: int
    updated_at: int
    finished_at: int = 0


class BulkReply(Struct, frozen=True, omit_defaults=True):
    """After a dry run there is no operation, only the count."""

    total: int
    more: bool = False
    bulk: Bulk | None = None


class BulksRequest(Struct, frozen=True, omit_defaults=True):
    """Operations of a workspace: one by `id`, or a page of them, newest first, after the one called `before`."""

    workspace_id: str
    id: str = ""
    before: str = ""
    limit: int = 20
    cancel: bool = False
    """Stop the one called `id`: runs that it has not come to stay as they are."""


class BulksReply(Struct, frozen=True):
    bulks: tuple[Bulk, ...]
