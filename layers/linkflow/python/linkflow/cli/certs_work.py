"""`linkflow certs`."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

from msgspec import to_builtins

from linkflow.config import BadConfig
from linkflow.local import certificates
from linkflow.local.certificates import Certificate

from .client import say


def make(folder: str, services: Sequence[str], hosts: Sequence[str], days: int, renew: bool, as_json: bool) -> int:
    wanted = services or certificates.SERVICES
    further: dict[str, list[str]] = {}
    for text in hosts:
        service, given, name = text.rpartition("=")
        further.setdefault(service if given else "*", []).append(name)
    try:
        unknown = sorted((set(wanted) | set(further)) - {*certificates.SERVICES, "*"})
        if unknown:
            raise BadConfig(
                f"There is no service {', '.join(unknown)}; {', '.join(certificates.SERVICES)} are the six."
            )
        found = certificates.make(Path(folder), wanted, further, days, renew=renew)
    except BadConfig as error:
        say(str(error))
        return 2
    _print(found, as_json)
    return 0


def show(folder: str, as_json: bool) -> int:
    try:
        found = certificates.described(Path(folder))
    except BadConfig as error:
        say(str(error))
        return 2
    _print(found, as_json)
    return 1 if any(_left(one) <= 0 for one in found) else 0


def _print(found: list[Certificate], as_json: bool) -> None:
    if as_json:
        print(json.dumps(to_builtins(found), indent=2))
        return
    for one in found:
        days = _left(one)
        state = "expired" if days <= 0 else f"{days:.0f} days left"
        print(f"{one.service:<10} {'made' if one.made else '':<5} {state:<14} {', '.join(one.names)}")


def _left(one: Certificate) -> float:
    """Days."""
    left = datetime.datetime.fromisoformat(one.expires) - datetime.datetime.now(datetime.UTC)
    return left.total_seconds() / 86_400
