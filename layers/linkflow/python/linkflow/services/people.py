"""Everything about people and teams, put together once: `bootstrap` and tests give the stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from linkflow.config import OidcProvider
from linkflow.ports import Clock, Mailer, RateLimiter

from .accounts import Accounts
from .audit import Audit, AuditStore
from .auth import Auth
from .control_ports import UserStore, WorkspaceStore
from .gate import USUAL, Gate, Rates
from .keys import Keys
from .mails import Mails
from .oidc import Oidc
from .passwords import COST, Cost, Passwords
from .people_ports import AccountStore, FactorStore, FailureStore, IdentityStore, TeamStore
from .providers import Fetch
from .second_factor import SecondFactors
from .teams import Teams
from .tokens import AccessTokens
from .workspaces import Workspaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What is kept, and where."""

    users: UserStore
    accounts: AccountStore
    failures: FailureStore
    factors: FactorStore
    identities: IdentityStore
    teams: TeamStore
    workspaces: WorkspaceStore
    audit: AuditStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator has set. `secret` is the installation's; times are seconds."""

    secret: str
    public_url: str
    token_ttl: int = 900
    refresh_ttl: int = 30 * 24 * 3600
    open_registration: bool = True
    only_verified: bool = False
    rates: Rates = USUAL
    oidc: Mapping[str, OidcProvider] = field(default_factory=dict)
    mail_at_once: bool = False
    least: float = 0.0
    password_cost: Cost = COST
    restore_days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The services."""

    auth: Auth
    workspaces: Workspaces
    accounts: Accounts
    factors: SecondFactors
    oidc: Oidc
    keys: Keys
    teams: Teams
    audit: Audit
    mails: Mails
    gate: Gate


def build(
    stores: Stores, rules: Rules, clock: Clock, limiter: RateLimiter | None, mailer: Mailer, fetch: Fetch
) -> People:
    """The services over these stores. `fetch` is how providers are reached."""
    audit = Audit(stores.audit, clock)
    gate = Gate(stores.failures, clock, limiter, audit, rules.rates)
    mails = Mails(mailer, clock, rules.public_url, at_once=rules.mail_at_once)
    passwords = Passwords(cost=rules.password_cost)
    factors = SecondFactors(stores.factors, clock, rules.secret)
    accounts = Accounts(stores.users, stores.accounts, clock, gate, mails, passwords, least=rules.least)
    auth = Auth(
        stores.users,
        stores.accounts,
        AccessTokens(rules.secret, rules.token_ttl),
        clock,
        gate,
        refresh_ttl=rules.refresh_ttl,
        open_registration=rules.open_registration,
        only_verified=rules.only_verified,
        second_factor=factors.check,
        welcome=accounts.welcome,
        taken=accounts.taken,
        least=rules.least,
        passwords=passwords,
    )
    workspaces = Workspaces(
        stores.workspaces, stores.users, clock, only_verified=mailer.delivers, restore_days=rules.restore_days
    )
    oidc = Oidc(
        rules.oidc, fetch, stores.identities, stores.users, stores.accounts, auth, factors, gate, audit, clock,
        rules.public_url,
    )  # fmt: skip
    return People(
        auth=auth,
        workspaces=workspaces,
        accounts=accounts,
        factors=factors,
        oidc=oidc,
        keys=Keys(stores.teams, workspaces, clock),
        teams=Teams(stores.teams, workspaces, stores.users, clock, gate, mails),
        audit=audit,
        mails=mails,
        gate=gate,
    )
