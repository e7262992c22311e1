"""The control plane for the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkflow.postgres.database import Database
from tests.conftest import fresh_database
from tests.integration.control.plane import Plane, build


@pytest.fixture
async def plane(database_url: str) -> AsyncIterator[Plane]:
    """The API over an empty database. Whatever changed something by it has to be in the audit log."""
    async with _open(database_url) as made:
        yield made
        await check_record(made)


@pytest.fixture(scope="module")
async def shared_plane(postgres, migrated_template: str) -> AsyncIterator[Plane]:
    """One for all tests of a module: they look at nothing but what they made themselves."""
    with fresh_database(postgres.url, migrated_template) as url:
        async with _open(url) as made:
            yield made
            await check_record(made)


@asynccontextmanager
async def _open(url: str) -> AsyncIterator[Plane]:
    database = Database(url, size=4)
    made = build(database)
    made.client.event_hooks["response"].append(made.remember)
    async with made.client:
        yield made
    made.engine.shut()
    await database.close()
    shutil.rmtree(made.outbox)
    made.watched.check()


BARE = {
    "accounts.login", "accounts.login_failed", "accounts.logout", "accounts.logout_all", "accounts.token_reused",
    "accounts.verify_email", "oidc.exchange", "oidc.link", "user.end_session", "user.end_sessions",
    # nothing of a password or of codes is told
    "accounts.reset_password", "user.change_password", "user.begin_second_factor", "user.renew_recovery_codes",
    # what they do is in the history of a run; a reason, where one is given, is told
    "workflows.execute", "executions.cancel", "executions.terminate", "executions.retry", "executions.pause",
    "executions.resume", "executions.delete", "forks.fork", "forks.reset", "forks.rerun", "forks.rerun_deterministic",
    "forks.begin", "forks.stop", "trials.try_out", "schedules.trigger", "dead_letters.redrive", "dead_letters.redrive_many", "dead_letters.drop",
    "webhooks.redeliver", "waiting.publish", "approvals.answer",
    # nothing of ours changes by them
    "credentials.trial", "credentials.connect", "credentials.finish", "webhooks.listen", "notifications.test",
    "exchange.export_bulk",
}  # fmt: skip
"""What the log tells of without a before and an after."""

UNRECORDED = ("/webhook", "/api/v1/auth/refresh", "/api/v1/auth/resend", "/api/v1/auth/forgot")
"""Runs have a history of their own, a session its last use; who asks for a mail has changed nothing yet."""


async def check_record(plane: Plane) -> None:
    """Is each call that changed something in the audit log, by its request id?"""
    async with plane.database.connection() as connection:
        rows = await (await connection.execute("SELECT request_id, action, changes FROM audit_log")).fetchall()
    recorded = {row[0] for row in rows}
    if plane.watched.on:  # what comes by chance may change nothing
        assert {action for id, action, changes in rows if bytes(changes) == b"[]" and id not in plane.idle} <= BARE
    missing = {what for id, what in plane.changes.items() if id not in recorded and not what[1].startswith(UNRECORDED)}
    assert {what for what in missing if not what[1].endswith(("/schedules/preview", "/workflows/validate"))} == set()
