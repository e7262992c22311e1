"""Retry, timeout and the workflow's settings, in the stored spelling and the original's."""

from __future__ import annotations

from typing import Any

from linkflow.domain.definition import Retry, Settings, Timeout
from linkflow.domain.importing.entry import KEY_LIMIT, read_batch, read_concurrency, read_debounce, read_rate_limit
from linkflow.domain.importing.fields import Fields, check_json
from linkflow.domain.outcomes import NodeError
from linkflow.domain.validation.places import show, step

ORIGINAL_ATTEMPTS = 3
"""Attempts where the original's retry is enabled without a number."""

_CODE_LIMIT = 100


def read_retry(owner: Fields) -> Retry | None:
    """`retry` of a node or of the settings, stored or as the original's `{enabled, max_attempts, delay_seconds}`."""
    fields = owner.object("retry")
    if fields is None:
        return None
    if "enabled" in fields.value or "delay_seconds" in fields.value:
        return _original_retry(fields)
    standard = Retry()
    retry = Retry(
        max_attempts=fields.whole("max_attempts", default=standard.max_attempts),
        initial_interval=fields.number("initial_interval", default=standard.initial_interval),
        backoff_coefficient=fields.number("backoff_coefficient", default=standard.backoff_coefficient),
        max_interval=fields.number("max_interval", default=standard.max_interval),
        jitter=fields.number("jitter", default=standard.jitter),
        non_retryable=_codes(fields),
    )
    fields.unread(strict=True)
    return retry


def _original_retry(fields: Fields) -> Retry | None:
    """The original waits the same time before each attempt."""
    enabled = fields.flag("enabled") if "enabled" in fields.value else True
    attempts = fields.whole("max_attempts", default=ORIGINAL_ATTEMPTS)
    delay = fields.number("delay_seconds", default=Retry().initial_interval)
    fields.report.places.note(fields.stored + "/initial_interval", fields.at("delay_seconds"))
    fields.unread(strict=True)
    if not enabled:
        return None
    longest = max(delay, Retry().max_interval)
    return Retry(max_attempts=attempts, initial_interval=delay, backoff_coefficient=1.0, max_interval=longest)


def _codes(fields: Fields) -> tuple[str, ...]:
    found = fields.find("non_retryable")
    if found is None:
        return ()
    codes = fields.value[found]
    if not isinstance(codes, list):
        fields.fault(found, found, "invalid_type", f"Must be a list of error codes, not {show(codes)}.")
        return ()
    return tuple(code for i, code in enumerate(codes) if _is_code(code, fields, i))


def _is_code(code: Any, fields: Fields, place: int) -> bool:
    if isinstance(code, str) and 0 < len(code) <= _CODE_LIMIT and code.isascii() and code.isprintable():
        return True
    path = fields.at("non_retryable") + step(place)
    fields.report.error(path, "invalid_value", f"Must be an error code such as 'http_timeout', not {show(code)}.")
    return False


def read_timeout(owner: Fields) -> Timeout | None:
    """`timeout` of a node."""
    fields = owner.object("timeout")
    if fields is None:
        return None
    timeout = Timeout(
        start_to_close=fields.number("start_to_close", default=0),
        schedule_to_start=fields.number("schedule_to_start", default=0),
        schedule_to_close=fields.number("schedule_to_close", default=0),
        heartbeat=fields.number("heartbeat", default=0),
    )
    fields.unread(strict=True)
    return timeout


def read_pinned_error(owner: Fields) -> NodeError | None:
    """`pinned_error` of a node: the failure that stands in for it."""
    fields = owner.object("pinned_error")
    if fields is None:
        return None
    details = fields.object("details")
    known = details is None or check_json(details.value, details.path, details.stored, fields.report)
    code = fields.text("code", limit=_CODE_LIMIT)
    if not code:
        fields.fault("code", "code", "missing_field", "An error needs a code, such as 'http_timeout'.")
    error = NodeError(
        code=code or "error",
        message=fields.text("message", limit=10_000, default=code),
        retryable=fields.flag("retryable"),
        details=details.value if details is not None and known else {},
    )
    fields.unread(strict=True)
    return error


def read_settings(document: Fields) -> tuple[Settings, float]:
    """The settings, and the seconds that the original's `timeout.node` gives every node (0: none)."""
    fields = document.object("settings")
    if fields is None:
        return Settings(), 0
    timeout, per_node = _workflow_timeout(fields)
    settings = Settings(
        timeout=timeout,
        retry=read_retry(fields),
        concurrency=read_concurrency(fields),
        rate_limit=read_rate_limit(fields),
        debounce=read_debounce(fields),
        batch=read_batch(fields),
        fairness_key=fields.text("fairness_key", limit=KEY_LIMIT),
        error_workflow=fields.identifier("error_workflow", limit=100) or "",
        timezone=fields.text("timezone", limit=64) or Settings().timezone,
        retention_days=fields.whole("retention_days", default=0),
        shard_spread=fields.whole("shard_spread", default=1),
        max_parallel=fields.whole("max_parallel", default=0),
        timeout_counts_waiting=fields.flag("timeout_counts_waiting"),
    )
    fields.unread()
    return settings, per_node


def _workflow_timeout(fields: Fields) -> tuple[float, float]:
    if not isinstance(fields.value.get("timeout"), (dict, list)):
        return fields.number("timeout", default=0), 0
    inner = fields.object("timeout")
    if inner is None:
        return 0, 0
    seconds = inner.number("workflow", default=0)
    per_node = inner.number("node", default=0)
    if per_node < 0:
        inner.fault("node", "node", "invalid_timeout", "Must be zero or more seconds.")
        per_node = 0
    # In the stored form the settings' timeout is the number itself.
    inner.report.places.note(inner.stored, inner.at("workflow"))
    inner.unread(strict=True)
    return seconds, per_node
