"""Webhooks in Postgres, as their receiver finds them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from linkflow.services.control_ports import Webhook
from linkflow.services.hook_rules import WebhookRules

from .database import Database
from .queries import queries

_sql = queries("webhooks")
_rules = msgspec.json.Decoder(WebhookRules)


class PostgresWebhooks:
    """`control_ports.WebhookStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, webhook_ids: Sequence[str]) -> dict[str, Webhook]:
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_sql["find"], (list(webhook_ids),))).fetchall()
            return {row[0]: Webhook(*(*row[:6], _rules.decode(row[6]))) for row in rows}
