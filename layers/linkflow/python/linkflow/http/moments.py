"""Points in time as clients write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator

_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)", re.IGNORECASE)


def _written(value: Any) -> Any:
    """Pydantic would take a number for seconds since the epoch, or for milliseconds where it is large."""
    if isinstance(value, str) and not _ISO.fullmatch(value.strip()):
        raise ValueError("write a time as in 2026-01-31T09:30:00Z (RFC 3339)")
    if isinstance(value, int | float):
        raise ValueError("write a time as in 2026-01-31T09:30:00Z (RFC 3339), not as a number")
    return value.strip() if isinstance(value, str) else value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
"""RFC 3339 with a zone."""
