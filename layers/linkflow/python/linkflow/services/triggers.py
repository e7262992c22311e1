"""What starts a workflow, read off the trigger nodes of its definition: webhooks with their rules, and schedules.

A webhook's secret is hashed before the definition is stored, so that neither a version nor a row ever holds it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from linkflow.domain import schedules
from linkflow.domain.definition import Definition, Node
from linkflow.domain.errors import InvalidDefinition, LinkFlowError, Problem
from linkflow.domain.firings import YEAR_MS
from linkflow.domain.timetable import Timetable, delay, following

from .hook_rules import WebhookRules
from .signatures import PRESETS, Scheme

__all__ = ["Cron", "Hook", "WebhookRules", "digest", "read_schedule", "sealed", "triggers_of", "with_jitter"]

if TYPE_CHECKING:
    from pydantic import ValidationError

    from linkflow.nodes.auth import Auth
    from linkflow.nodes.trigger_schedule import ScheduleParams
    from linkflow.nodes.trigger_webhook import WebhookAuth

WEBHOOK, SCHEDULE = "trigger_webhook", "trigger_schedule"

_SECRETS = ("password", "token", "header_value", "api_key")
_NESTED = ("auth", "auth_config")
_KEYS = ("secret", "previous_secret", "public_key", "jwks", "jwks_url")
_NOT_KEPT = "Secrets are not kept in a workflow: make a credential, and name it in `credential`."
_SEALED = re.compile(r"sha256:[0-9a-f]{64}")


class Hook(Struct, frozen=True):
    """A webhook of a definition. `id` is used where the node has none yet."""

    id: str
    node_id: str
    rules: WebhookRules


class Cron(Struct, frozen=True):
    """A schedule of a definition; `next_at` is when it fires first, should it be new or changed, and `delay_ms` that
    fire's jitter. `timetable` is JSON, `catch_up_window` milliseconds."""

    node_id: str
    cron: str
    timezone: str
    next_at: int | None
    ends_at: int | None = None
    timetable: bytes = b""
    overlap: str = "allow"
    catch_up_window: int = YEAR_MS
    catch_up: str = "latest"
    delay_ms: int = 0


def digest(secret: bytes) -> str:
    """How a webhook's secret is stored and compared."""
    return hashlib.sha256(secret).hexdigest()


def sealed(definition: Definition) -> Definition:
    """The definition with every webhook secret replaced by ``sha256:<hex>``; one that is sealed already stays.

    Raises `InvalidDefinition` where one is left that cannot be hashed: `hook_secrets` makes credentials of these.
    """
    problems = [
        Problem(f"/nodes/{place}/config/auth/{name}", "secret_not_kept", _NOT_KEPT)
        for place, node in enumerate(definition.nodes)
        if node.type == WEBHOOK
        for name in keys_in(node.config)
    ]
    if problems:
        raise InvalidDefinition("A webhook's secret would be kept in the workflow.", problems=problems)
    nodes = tuple(
        msgspec.structs.replace(node, config=_seal(node.config, _SECRETS)) if node.type == WEBHOOK else node
        for node in definition.nodes
    )
    return msgspec.structs.replace(definition, nodes=nodes)


def keys_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """What calls are checked with, where it is written in a webhook's config."""
    places = (config, *(part for name in _NESTED if isinstance(part := config.get(name), Mapping)))
    return {name: place[name] for place in places for name in _KEYS if place.get(name)}


def without_keys(config: Mapping[str, Any], credential: str) -> dict[str, Any]:
    """The config with the id of a credential in place of them."""
    out = {name: value for name, value in config.items() if name not in _KEYS}
    for name in _NESTED:
        if isinstance(part := out.get(name), Mapping):
            out[name] = {**{key: value for key, value in part.items() if key not in _KEYS}, "credential": credential}
            return out
    return {**out, "credential": credential}


def _seal(config: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    out = dict(config)
    for name in names:
        value = out.get(name)
        if isinstance(value, str) and value and "{{" not in value and not _SEALED.fullmatch(value):
            out[name] = f"sha256:{digest(value.encode())}"
    for name in _NESTED:
        if isinstance(out.get(name), Mapping):
            out[name] = _seal(out[name], (*names, "value"))
    return out


def triggers_of(
    definition: Definition, new_id: Callable[[], str], now_ms: int
) -> tuple[tuple[Hook, ...], tuple[Cron, ...]]:
    """The webhooks and schedules of a definition. `new_id` makes unguessable ids, for nodes that have no webhook yet.

    Raises `InvalidDefinition` with every problem of every trigger.
    """
    hooks, crons, problems = [], [], []
    for index, node in enumerate(definition.nodes):
        if node.disabled or node.type not in (WEBHOOK, SCHEDULE):
            continue
        try:
            if node.type == WEBHOOK:
                hooks.append(Hook(new_id(), node.id, _rules(node)))
            else:
                crons.append(_cron(node, definition, now_ms))
        except InvalidDefinition as error:
            pointer = f"/nodes/{index}/config"
            problems += [msgspec.structs.replace(fault, path=pointer + fault.path) for fault in error.problems]
    if problems:
        raise InvalidDefinition(f"The workflow's triggers have {len(problems)} problem(s).", problems=problems)
    return tuple(hooks), tuple(crons)


def _refused(error: ValidationError) -> InvalidDefinition:
    """A trigger has no run yet, so nothing in its config can be an expression: then validation fails here at last."""
    found = [
        Problem(
            "".join(f"/{part}" for part in item["loc"]), "bad_config", f"{item['msg']}. A trigger takes no expressions."
        )
        for item in error.errors(include_url=False, include_input=False)
    ]
    return InvalidDefinition("A trigger's settings are wrong.", problems=found)


def _rules(node: Node) -> WebhookRules:
    """Raises `InvalidDefinition` with paths relative to the config."""
    from pydantic import ValidationError  # here, as the next: a receiver of webhooks never needs them

    from linkflow.nodes.trigger_webhook import WebhookParams

    try:
        given = WebhookParams.model_validate(node.config)
    except ValidationError as error:
        raise _refused(error) from None
    kind, header, secret = _secret(given.auth)
    if "{{" in secret:
        fault = Problem("/auth", "bad_config", "A webhook's secret cannot be an expression.")
        raise InvalidDefinition("A trigger's settings are wrong.", problems=[fault])
    return WebhookRules(
        path=given.path,
        methods=tuple(dict.fromkeys(given.methods)),
        auth=kind,
        header=header,
        username=given.auth.username,
        secret=secret.removeprefix("sha256:") if _SEALED.fullmatch(secret) else digest(secret.encode()),
        mode=given.response_mode,
        wait=given.wait_timeout,
        status=given.response_status if "response_status" in given.model_fields_set else 0,
        body=given.response_body,
        rate_limit=given.rate_limit or 0,
        credential=given.auth.credential if kind in ("hmac", "jwt") else "",
        scheme=_scheme(given.auth),
        dedupe_header=given.dedupe.header if given.dedupe else "",
        dedupe=_expression(given.dedupe.key) if given.dedupe else "",
        dedupe_ttl=round(given.dedupe.ttl * 1000) if given.dedupe else 0,
        origins=tuple(given.cors_origins),
        max_body=given.max_body or 0,
        raw=given.raw_body,
        issuer=given.auth.issuer,
        audience=given.auth.audience,
    )


def _scheme(auth: WebhookAuth) -> Scheme | None:
    """How the calls are signed, where they are."""
    if auth.type == "jwt":
        return Scheme("", tolerance=auth.tolerance)
    if auth.type != "hmac":
        return None
    if auth.preset != "custom" or auth.custom is None:
        return msgspec.structs.replace(PRESETS[auth.preset], tolerance=auth.tolerance)
    own = auth.custom
    return Scheme(
        own.header, own.signed, own.algorithm, own.encoding, own.prefix, timestamp_header=own.timestamp_header,
        id_header=own.id_header, key=own.key, tolerance=auth.tolerance,
    )  # fmt: skip


def _expression(text: str) -> str:
    """Raises `InvalidDefinition` where it cannot be compiled, or asks for more than the call."""
    if not text:
        return ""
    from linkflow.domain.expressions import compile_value

    try:
        compiled = compile_value(text)
    except LinkFlowError as error:
        fault = Problem("/dedupe/key", "bad_expression", error.message)
        raise InvalidDefinition("A trigger's settings are wrong.", problems=[fault]) from None
    if compiled.facts.fixed - {"trigger", "input"} or not compiled.facts.fixed:
        fault = Problem(
            "/dedupe/key", "bad_expression", "It is an expression over `trigger`, the call, and nothing else."
        )
        raise InvalidDefinition("A trigger's settings are wrong.", problems=[fault])
    return text


def _secret(auth: Auth) -> tuple[str, str, str]:
    """The kind of authentication, the header that carries it where it is one of its own, and the secret."""
    if auth.type == "header":
        return auth.type, auth.header_name.lower(), auth.header_value
    return auth.type, "", {"bearer": auth.token, "basic": auth.password}.get(auth.type, "")


def _cron(node: Node, definition: Definition, now_ms: int) -> Cron:
    """Raises `InvalidDefinition` with paths relative to the config."""
    table, given = read_schedule(node.config, definition.settings.timezone)
    return Cron(
        node_id=node.id,
        cron=table.cron,
        timezone=table.timezone,
        next_at=following(table, now_ms),
        ends_at=table.ends_at or None,
        timetable=msgspec.json.encode(table),
        overlap=given.overlap,
        catch_up_window=given.catch_up_window * 1000,
        catch_up=given.catch_up,
    )


def read_schedule(config: Mapping[str, Any], timezone: str) -> tuple[Timetable, ScheduleParams]:
    """A schedule trigger's config; `timezone` is the workflow's. Raises `InvalidDefinition`, paths in the config."""
    from pydantic import ValidationError

    from linkflow.nodes.trigger_schedule import ScheduleParams

    try:
        given = ScheduleParams.model_validate(config)
    except ValidationError as error:
        raise _refused(error) from None
    table = given.timetable(timezone)
    if faults := schedules.check(table.cron or "0 0 * * *", table.timezone):
        raise InvalidDefinition("A schedule does not work.", problems=faults)
    return table, given


def with_jitter(cron: Cron, workflow_id: str) -> Cron:
    """The schedule with the delay of its first fire, which depends on whose it is."""
    if cron.next_at is None:
        return cron
    table = msgspec.json.decode(cron.timetable, type=Timetable)
    return msgspec.structs.replace(cron, delay_ms=delay(table, f"{workflow_id}/{cron.node_id}", cron.next_at))
