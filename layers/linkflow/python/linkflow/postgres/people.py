"""The stores of people and teams over one database."""

from __future__ import annotations

from linkflow.services.people import Stores

from .accounts import PostgresAccounts, PostgresFactors, PostgresFailures, PostgresIdentities
from .audit_log import PostgresAudit
from .database import Database
from .teams import PostgresTeams
from .users import PostgresUsers
from .workspaces import PostgresWorkspaces


def stores(database: Database) -> Stores:
    """All of them."""
    return Stores(
        users=PostgresUsers(database),
        accounts=PostgresAccounts(database),
        failures=PostgresFailures(database),
        factors=PostgresFactors(database),
        identities=PostgresIdentities(database),
        teams=PostgresTeams(database),
        workspaces=PostgresWorkspaces(database),
        audit=PostgresAudit(database),
    )
