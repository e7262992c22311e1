"""What a workspace may reach is held to in the worker: real servers on loopback, rules in a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from linkflow.clock import SystemClock
from linkflow.config import Config, Egress
from linkflow.contracts.base import acting_as
from linkflow.domain.ids import uuid7
from linkflow.domain.reach import Reach
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.postgres.database import Database
from linkflow.postgres.reach import PostgresReach
from linkflow.services.history import History
from linkflow.services.reach import grant
from linkflow.services.worker.bound import HostBound
from linkflow.services.worker.reaching import KEPT_MS, Reaches
from tests.integration.test_history import SERVICE
from tests.integration.test_keepalive import Peer
from tests.unit.nodes.peers import http_peer, reply

ADA, BOB = uuid7(1, 1, 1), uuid7(1, 1, 2)


class Clock(SystemClock):
    def __init__(self) -> None:
        self.at = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.at


@pytest.fixture(autouse=True)
def service() -> Iterator[None]:
    with acting_as(SERVICE):
        yield


@pytest.fixture
async def client() -> AsyncIterator[EgressClient]:
    made = EgressClient(Egress())
    yield made
    await made.aclose()


async def refused(call: Any) -> None:
    with pytest.raises(NodeFailure) as caught:
        await call
    assert (caught.value.error.code, caught.value.error.retryable) == ("egress_refused", False)


async def test_a_private_place_is_open_where_it_is_allowed(client: EgressClient):
    async with http_peer() as peer, http_peer() as other:
        mine = client.within(Reach(allow=(f"127.0.0.1:{peer.port}",)))
        assert (await mine.request("GET", peer.url)).status_code == 200
        assert await mine.open_address("127.0.0.1", peer.port) == ("127.0.0.1", peer.port)
        await refused(mine.request("GET", other.url))
        await refused(client.request("GET", peer.url))
        await refused(client.within(Reach(only=("127.0.0.1",))).request("GET", peer.url))  # `only` opens nothing
        assert client.within(Reach()) is client


async def test_nothing_else_is_reached(client: EgressClient):
    async with http_peer(lambda _: reply(302, b"", {"Location": "http://1.1.1.1/"})) as peer:
        rules = Reach(allow=("127.0.0.1",), only=(f"127.0.0.1:{peer.port}", "*.example.com"))
        mine = client.within(rules)
        assert (await mine.request("GET", peer.url, follow_redirects=False)).status_code == 302
        await refused(mine.request("GET", peer.url))  # a redirect leads out of it
        await refused(mine.request("GET", "http://1.1.1.1"))
        await refused(mine.request("GET", f"http://127.0.0.1:{peer.port + 1}"))
        await refused(mine.request("GET", "http://example.org"))
        await refused(mine.open_address("example.org", 25))
        # Other spellings of an address are that address.
        assert (await mine.request("GET", f"http://127.1:{peer.port}", follow_redirects=False)).status_code == 302


async def test_names_and_networks(client: EgressClient):
    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with http_peer() as peer:
        names = EgressClient(Egress(), resolver=resolver)
        url = f"http://a.intra.example:{peer.port}"
        for allow in ("*.intra.example", "a.intra.example", "127.0.0.0/8"):
            assert (await names.within(Reach(allow=(allow,))).request("GET", url)).status_code == 200
        await refused(names.within(Reach(allow=("*.other.example",))).request("GET", url))
        await names.aclose()


async def test_a_connection_of_one_workspace_is_no_way_in_for_another():
    """A kept connection asks no resolver again: it must be its workspace's own."""
    import asyncio

    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]

    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    client = EgressClient(Egress(), resolver=resolver)
    url = f"http://intra.example:{peer.port}"
    mine = client.within(Reach(allow=("intra.example",)))
    for _ in range(2):
        await mine.request("GET", url)
    assert (peer.connections, peer.requests) == (1, 2)
    await refused(client.request("GET", url))
    await refused(client.within(Reach(allow=("other.example",))).request("GET", url))
    assert peer.requests == 2
    await client.aclose()
    server.close()


async def test_clients_of_rules_that_nobody_uses_are_closed(client: EgressClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("linkflow.nodes.egress.MANY_REACHES", 2)
    async with http_peer() as peer:
        made = [client.within(Reach(allow=("127.0.0.1", f"10.0.0.{n}"))) for n in range(3)]
        assert (await made[0].request("GET", peer.url)).status_code == 200  # retired, and closed behind the call
        assert made[0]._outgoing is None
        assert client.within(Reach(allow=("127.0.0.1", "10.0.0.2"))) is made[2]
        assert client.within(Reach(allow=("127.0.0.1", "10.0.0.0"))) is not made[0]


async def test_rules_are_read_from_history_and_kept_for_a_moment(database_url: str, client: EgressClient):
    database, clock = Database(database_url), Clock()
    book = PostgresReach(database)
    history = History(None, None, None, clock, Config(), reach=book)  # type: ignore[arg-type]
    reaches = Reaches(history, client, clock)
    async with http_peer() as peer:
        await refused(reaches.of(ADA).request("GET", peer.url))
        await grant(book, clock, ADA, ["127.0.0.1"], [])
        await refused(reaches.of(ADA).request("GET", peer.url))
        clock.at += KEPT_MS + 1
        assert (await reaches.of(ADA).request("GET", peer.url)).status_code == 200
        assert await reaches.of(ADA).open_address("127.0.0.1", 5) == ("127.0.0.1", 5)
        await refused(reaches.of(BOB).request("GET", peer.url))  # another workspace's
        await grant(book, clock, ADA, [], [])
        clock.at += KEPT_MS + 1
        await refused(reaches.of(ADA).request("GET", peer.url))
    await database.close()


async def test_rules_that_cannot_be_read_are_not_guessed(client: EgressClient):
    database, clock = Database("postgresql://nobody@127.0.0.1:1/none", timeout=0.2), Clock()
    history = History(None, None, None, clock, Config(), reach=PostgresReach(database))  # type: ignore[arg-type]
    with pytest.raises(NodeFailure) as caught:
        await Reaches(history, client, clock).of(ADA).request("GET", "http://1.1.1.1")
    assert (caught.value.error.code, caught.value.error.retryable) == ("egress_unknown", True)
    await database.close()


async def test_what_a_credential_is_bound_to_holds_for_redirects():
    """Also where a redirect goes out and would come back, and for connections that are no HTTP."""
    client = EgressClient(Egress(allow=("127.0.0.1",)))
    async with http_peer() as other, http_peer() as peer:
        bound = HostBound(client, ((f"127.0.0.1:{peer.port}", "api.example.com"),))
        assert (await bound.request("GET", peer.url, headers={"Authorization": "Bearer t"})).status_code == 200
        peer.answer = lambda _: reply(307, b"", {"Location": other.url})
        await refused(bound.request("POST", peer.url, headers={"Authorization": "Bearer t"}, content=b"x"))
        await refused(bound.request("GET", other.url))
        await refused(bound.open_address("127.0.0.1", other.port))
        assert await bound.open_address("127.0.0.1", peer.port) == ("127.0.0.1", peer.port)
        both = HostBound(client, ((f"127.0.0.1:{peer.port}",), (f"127.0.0.1:{other.port}",)))
        await refused(both.request("GET", peer.url))  # two credentials with no host in common
        assert other.requests == []
    await client.aclose()
