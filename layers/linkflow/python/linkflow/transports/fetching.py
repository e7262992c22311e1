"""Calls to providers that an operator has named, through the one client that goes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import structs

from linkflow.config import Egress
from linkflow.domain.errors import Unavailable

if TYPE_CHECKING:
    from linkflow.nodes.egress import EgressClient

MOST, TIMEOUT = 256 * 1024, 10.0


class Fetcher:
    """Reaches these hosts although they may be private; what they refer to only where anybody may. The client is made
    with the first call."""

    def __init__(self, egress: Egress, named: Iterable[str]) -> None:
        allow = (_place(url) for url in named)
        self._rules = structs.replace(egress, allow=(*egress.allow, *allow), max_body=MOST)
        self._client: EgressClient | None = None

    async def fetch(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """Raises `Unavailable`."""
        from linkflow.nodes.base import NodeFailure
        from linkflow.nodes.egress import EgressClient

        if self._client is None:
            self._client = EgressClient(self._rules)
        try:
            answer = await self._client.request(
                method, url, headers=headers, content=body, timeout=TIMEOUT, follow_redirects=False
            )
        except NodeFailure as error:
            raise Unavailable(error.error.message, details={"code": error.error.code}) from None
        return answer.status_code, answer.content

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _place(url: str) -> str:
    there = urlsplit(url)
    host = f"[{there.hostname}]" if ":" in (there.hostname or "") else there.hostname
    return f"{host}:{there.port or (443 if there.scheme == 'https' else 80)}"
