"""The client of a node whose credentials are for some hosts alone."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from linkflow.nodes.addresses import literal
from linkflow.nodes.base import Egress, EgressResponse, Watch
from linkflow.nodes.egress import check_bound
from linkflow.nodes.going import Going


class HostBound:
    """`Egress` that goes to the hosts of each credential, redirects included, and nowhere else."""

    __slots__ = ("_egress", "_hosts")

    def __init__(self, egress: Egress, hosts: tuple[tuple[str, ...], ...]) -> None:
        self._egress = egress
        self._hosts = hosts

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None,
        timeout: float = 30.0, follow_redirects: bool = True, verify: bool = True, going: Going | None = None,
        watch: Watch | None = None,
    ) -> EgressResponse:  # fmt: skip
        way = replace(going or Going(), only=self._hosts)
        return await self._egress.request(
            method, url, headers=headers, content=content, timeout=timeout, follow_redirects=follow_redirects,
            verify=verify, going=way, watch=watch,
        )  # fmt: skip

    async def open_address(self, host: str, port: int) -> tuple[str, int]:
        check_bound(literal(host) or host, port, self._hosts)
        return await self._egress.open_address(host, port)
