"""Configuration: one typed model, read once from the environment (prefix ``LINKFLOW_``).

`DATABASE_URL` and `REDIS_URL` keep their usual names. Everything else has a default that works on one machine.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from msgspec import Struct as _Struct
from msgspec import ValidationError, convert, field


class Egress(_Struct, frozen=True, kw_only=True):
    """Rules of the one client that goes out."""

    allow: tuple[str, ...] = ()
    """Hosts or networks that are reachable although private: ``127.0.0.1:9000``, ``10.1.0.0/16``, ``intra.example``."""
    delegate: tuple[str, ...] = ()
    """Private hosts and networks that workspaces may open for themselves; others only an operator opens for them."""
    resolve: dict[str, str] = {}
    """Fixed addresses, like curl's ``--resolve``: ``{"api.example:443": "127.0.0.1:8443"}``. Implies allow."""
    ca_file: str = ""
    """A PEM file of extra certificate authorities."""
    max_body: int = 10 * 1024 * 1024
    """Bytes of a response body that are read before the call fails."""


class Smtp(_Struct, frozen=True, kw_only=True):
    """Where the installation's own mails go out: invitations, links to verify and to reset."""

    host: str = ""
    """Empty: mails are kept in ``outbox`` of the home."""
    port: int = 587
    username: str = ""
    password: str = ""
    tls: str = "starttls"
    """``none``, ``starttls`` or ``tls``."""
    sender: str = ""
    ca_file: str = ""


class OidcProvider(_Struct, frozen=True, kw_only=True):
    """A provider by which people sign in (OpenID Connect)."""

    issuer: str
    client_id: str
    client_secret: str = ""
    """Empty: a public client; PKCE is used either way."""
    label: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    domains: tuple[str, ...] = ()
    """Domains of addresses that may come in; empty: all."""
    register: bool = True
    """Whoever has no account gets one."""


class Config(_Struct, frozen=True, kw_only=True):
    """All settings of a process. Durations are seconds, sizes bytes."""

    database_url: str = ""
    databases: dict[str, str] = {}
    """Further databases for runs, by name: ``b=postgresql://…, c=postgresql://…``, or a JSON object. See
    docs/sharding.md."""
    redis_url: str = ""
    home: str = ".linkflow"
    secret: str = ""
    """Signs access tokens and internal call tokens: at least 32 characters."""
    keys: str = ""
    """Master keys for what is secret: ``file:/path``, ``kms:alias/name``, both with a comma between them (the first is
    for what is new), or the keys themselves as JSON. `linkflow up` keeps a file in its home."""
    public_url: str = "http://127.0.0.1:8080"
    environment: str = "local"
    log_level: str = "INFO"

    peers: dict[str, str] = {}
    """Where each service is reached: ``{"history": "grpc://127.0.0.1:7001"}``; absent means in this process.
    Forms: ``grpc://host:port``, ``lambda:function-name``, ``local:``."""

    tls: str = ""
    """A folder with ``tls.crt``, ``tls.key`` and ``ca.crt``: services call each other over mutual TLS. `linkflow certs`
    makes such folders."""
    plaintext: bool = False
    """Services may listen without TLS beyond this machine: something else encrypts, such as a mesh."""

    pool_size: int = 10
    db_timeout: float = 10.0
    partitions: int = 2
    """Partitions of a task queue."""
    lease: float = 15.0
    """How long a claimed task is a worker's own without a heartbeat."""
    max_backlog: int = 100_000
    """Tasks in a partition above which workspaces with more than their share of it are refused, where a queue's
    settings say nothing."""
    max_deliveries: int = 10
    """After so many deliveries without a result a task becomes a dead letter."""
    sweep_interval: float = 5.0
    """How often lost pushes are looked for."""
    republish_after: float = 10.0
    """A task whose push may be lost is offered again after so long."""
    head_start: bool = True
    """Pure nodes at the front of a run are run in its first transaction, in History's process."""
    worker_capacity: int = 100
    """Node runs at once in one worker."""
    worker_queues: tuple[str, ...] = ("default",)
    worker_invitations: int = 10
    """On Lambda, the most workers that are invoked for a queue's partition and not there yet."""
    worker_functions: dict[str, str] = {}
    """On Lambda, the functions that serve queues of their own: ``{"gpu": "linkflow-gpu-worker"}``. The others are the
    worker function's."""
    sandbox_processes: int = 0
    """Processes for scripts of each language that a worker keeps; 0: one for each core, up to four."""
    timer_horizon: float = 60.0
    clock_rest: float = 6 * 3600.0
    """On Lambda: the longest time for which the clock leaves the database alone while nothing is to be done; 0: it
    looks every minute."""
    rate_limit: int = 2000
    """Control calls per workspace and second before 429."""
    api_rate_limit: int = 500
    """Calls of the API per user or key and second before 429, in bursts of two seconds' worth; 0 for no limit."""
    max_payload: int = 1024 * 1024
    """Bytes of a node's output, a sub-workflow's input, and of a request's body. For all limits see docs/limits.md."""
    blobs: str = ""
    """Where payloads over `blob_limit` are kept: ``s3://bucket/prefix``, or empty for the database."""
    console: str = ""
    """Where the console's assets are: ``s3://bucket/prefix``, or empty for the package."""
    max_file: int = 10 * 1024 * 1024
    """Bytes of one file of a workspace."""
    max_files: int = 10_000
    """Files of a workspace."""
    max_files_bytes: int = 256 * 1024 * 1024
    """Bytes of all files of a workspace."""
    blob_limit: int = 32_768
    """Encoded bytes over which a payload is kept outside of its run's rows."""
    max_resolved: int = 64 * 1024 * 1024
    """Bytes of kept payloads that one node run may read."""
    max_events: int = 50_000
    """Events of a run."""
    max_pending: int = 10_000
    """Node runs of a run that are active at once."""
    max_signals: int = 1_000
    """Events that a run keeps for later waits."""
    max_history_bytes: int = 50 * 1024 * 1024
    """Bytes of a run's history."""
    retention_days: int = 90
    """How long runs are kept after they have closed, where their workflow says nothing; 0 for ever."""
    restore_days: int = 30
    """How long a workspace that was deleted can be restored; then it is purged."""
    max_depth: int = 16
    """Depth of sub-workflows."""
    token_ttl: int = 900
    refresh_ttl: int = 30 * 24 * 3600
    call_ttl: int = 60
    """Seconds an internal call token lives."""
    open_registration: bool = True
    smtp: Smtp = Smtp()
    verify_email: bool | None = None
    """Nobody gets in before he has verified his address. Not set: so where anybody may register and mails get to people
    (see `verifies`), since else registering tells who has an account."""
    oidc: dict[str, OidcProvider] = {}
    """Providers by which people sign in, by name. See docs/accounts.md."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of reverse proxies, whose ``X-Forwarded-For`` is believed: ``10.0.0.0/8``, or an address."""
    auth_rate: int = 60
    """Public calls about accounts (sign-in, registration, refresh) in a minute from one address."""
    audit_days: int = 365
    """How long the audit log is kept; 0 for ever."""
    connections: dict[str, dict[str, object]] = field(default_factory=dict)
    """Default connections by node family, for nodes without a credential of their own:
    ``{"slack": {"token": "…"}, "smtp": {"host": "…", "port": 25}}``. Read by workers alone."""
    egress: Egress = Egress()

    @property
    def verifies(self) -> bool:
        """Does nobody get in before he has verified his address?"""
        return bool(self.smtp.host) and self.open_registration if self.verify_email is None else self.verify_email


class BadConfig(ValueError):
    """A setting is wrong; the message names it and the fix."""


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration. Raises `BadConfig` naming every variable that is wrong."""
    env = os.environ if environ is None else environ
    values: dict[str, object] = {}
    problems: list[str] = []
    for name in Config.__struct_fields__:
        key = name.upper() if name in ("database_url", "redis_url") else f"LINKFLOW_{name.upper()}"
        text = env.get(key)
        if text is None:
            continue
        try:
            values[name] = _parse(name, text)
        except ValueError as error:
            problems.append(f"{key}: {error}")
    for service in ("frontend", "history", "matching", "worker", "timer"):
        if url := env.get(f"LINKFLOW_{service.upper()}_URL"):
            values["peers"] = {**_mapping(values.get("peers")), service: url}
    if problems:
        raise BadConfig("\n".join(problems))
    return convert(values, Config, strict=False)


def _parse(name: str, text: str) -> object:
    kind = next(f for f in _fields() if f[0] == name)[1]
    raw: object = text
    if text.startswith(("{", "[")) and name != "keys":
        try:
            raw = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
    elif kind == tuple[str, ...]:
        raw = [part.strip() for part in text.split(",") if part.strip()]
    elif name == "databases":
        raw = _pairs(text)
    try:
        value = convert(raw, kind, strict=False)
    except ValidationError as error:
        raise ValueError(str(error)) from None
    if name == "databases":
        _check_databases(_mapping(value))
    return value


def key_settings(text: str) -> tuple[str, ...]:
    """The places that `Config.keys` names."""
    return (text,) if text.startswith("{") else tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(text: str) -> dict[str, str]:
    """``name=url`` pairs; a URL may have commas of its own."""
    parts = re.split(r"[,\s]+(?=[^,\s=]+=postgres)", text.strip(", \t\n"))
    return {name: url for name, _, url in (part.partition("=") for part in parts if part)}


def _check_databases(found: Mapping[str, object]) -> None:
    for name, url in found.items():
        if not re.fullmatch("[a-z][a-z0-9_-]{0,39}", name) or name == "default":
            raise ValueError(f"{name!r} cannot be a database's name: use a-z, 0-9, _ and -; default is DATABASE_URL")
        if not re.match("postgres(ql)?://", str(url)):
            raise ValueError(f"give an address (postgresql://…) for {name!r}")


def _fields() -> list[tuple[str, object]]:
    from typing import get_type_hints

    return list(get_type_hints(Config).items())


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}
