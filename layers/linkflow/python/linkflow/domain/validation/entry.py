"""The settings that say how runs are let in: their numbers, and the expressions of their keys."""

from __future__ import annotations

from linkflow.domain.definition import RateLimit, Settings
from linkflow.domain.expressions import ExpressionSyntaxError, compile_value
from linkflow.domain.validation.expressions import KnownNames, check_text
from linkflow.domain.validation.findings import Findings
from linkflow.domain.validation.limits import LONGEST, check_range

MOST = 1_000_000
"""Runs that a limit may allow."""
MOST_IN_A_BATCH = 1_000
SHORTEST = 0.1
"""Seconds that collecting takes at least."""

_CODE = "invalid_settings"


def check_entry(settings: Settings, known: KnownNames, findings: Findings) -> None:
    """Everything about letting runs in."""
    if settings.concurrency:
        check_range(settings.concurrency.limit, 1, MOST, "/settings/concurrency/limit", _CODE, findings)
        _check_key(settings.concurrency.key, known, "/settings/concurrency", "key", findings)
    _check_rate(settings.rate_limit, known, findings)
    _check_collecting(settings, known, findings)
    _check_key(settings.fairness_key, known, "/settings", "fairness_key", findings)


def _check_rate(rate: int | RateLimit, known: KnownNames, findings: Findings) -> None:
    path = "/settings/rate_limit"
    if not isinstance(rate, RateLimit):
        check_range(rate, 0, MOST, path, _CODE, findings)
        return
    check_range(rate.limit, 1, MOST, f"{path}/limit", _CODE, findings)
    check_range(rate.per, 1, LONGEST, f"{path}/per", _CODE, findings)
    _check_key(rate.key, known, path, "key", findings)


def _check_collecting(settings: Settings, known: KnownNames, findings: Findings) -> None:
    debounce, batch = settings.debounce, settings.batch
    if debounce:
        path = "/settings/debounce"
        check_range(debounce.wait, SHORTEST, LONGEST, f"{path}/wait", _CODE, findings)
        if debounce.max_wait:
            check_range(debounce.max_wait, max(SHORTEST, debounce.wait), LONGEST, f"{path}/max_wait", _CODE, findings)
        _check_key(debounce.key, known, path, "key", findings)
    if batch:
        path = "/settings/batch"
        check_range(batch.size, 1, MOST_IN_A_BATCH, f"{path}/size", _CODE, findings)
        check_range(batch.wait, SHORTEST, LONGEST, f"{path}/wait", _CODE, findings)
        _check_key(batch.key, known, path, "key", findings)
    if debounce and batch:
        findings.error("/settings/batch", _CODE, "A workflow may have debounce or batch, not both.")


def _check_key(text: str, known: KnownNames, path: str, field: str, findings: Findings) -> None:
    """A key is evaluated before any node ran: from the trigger data, the workflow and the run alone."""
    before = len(findings.problems)
    check_text({field: text}, known, path, findings)
    if any(found.severity == "error" for found in findings.problems[before:]):
        return
    try:
        compiled = compile_value(text)
    except ExpressionSyntaxError:  # reported where the author wrote it
        return
    why = ""
    if named := sorted(name for name in compiled.references if name in known):
        why = f"no node has run yet, so {named[0]!r} has no output"
    elif compiled.credentials:
        why = "it may not read credentials"
    elif compiled.uses_clock or compiled.uses_random:
        why = "it may not depend on the time or on chance"
    elif compiled.scripts:
        why = "it must do without what only the JavaScript engine has"
    if why:
        message = f"A key is made of the trigger data, workflow and execution alone: {why}."
        findings.error(f"{path}/{field}", "expression_not_allowed", message)
