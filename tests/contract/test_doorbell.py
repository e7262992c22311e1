"""What every doorbell does, and how the one over pub/sub comes back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from linkflow.ports import Doorbell
from linkflow.streams.connection import Clients, connect
from linkflow.streams.doorbell import PubSubDoorbell
from tests.contract.fakes import MemoryDoorbell


@pytest.fixture
async def clients(redis_url: str) -> AsyncIterator[Clients]:
    found = connect(redis_url)
    yield found
    await found.close()


@pytest.fixture
async def streams(clients: Clients) -> AsyncIterator[PubSubDoorbell]:
    bell = PubSubDoorbell(clients)
    yield bell
    await bell.close()


@pytest.fixture(params=["streams", "memory"])
def doorbell(request: pytest.FixtureRequest) -> Doorbell:
    return MemoryDoorbell() if request.param == "memory" else request.getfixturevalue("streams")


async def heard(doorbell: Doorbell, messages: AsyncIterator[bytes], topic: str) -> None:
    """Ring until it is heard: only then the subscription stands for sure."""
    first = asyncio.ensure_future(anext(messages))
    while not first.done():
        await doorbell.ring(topic, b"")
        await asyncio.wait({first}, timeout=0.02)


async def following(messages: AsyncIterator[bytes], count: int) -> list[bytes]:
    """The next messages that say something."""
    got: list[bytes] = []
    async with asyncio.timeout(2):
        while len(got) < count:
            if message := await anext(messages):
                got.append(message)
    return got


async def test_rings_are_heard_in_order(doorbell: Doorbell) -> None:
    messages = doorbell.listen("a")
    await heard(doorbell, messages, "a")
    for number in range(20):
        await doorbell.ring("a", b"%d" % number)
    assert await following(messages, 20) == [b"%d" % number for number in range(20)]


async def test_topics_and_listeners(doorbell: Doorbell) -> None:
    first, second, other = doorbell.listen("a"), doorbell.listen("a"), doorbell.listen("b")
    for messages, topic in ((first, "a"), (second, "a"), (other, "b")):
        await heard(doorbell, messages, topic)
    await doorbell.ring("nobody", b"0")
    await asyncio.gather(doorbell.ring("a", b"1"), doorbell.ring("b", b"2"), doorbell.ring("a", b"\xff\x00"))
    assert await following(first, 2) == [b"1", b"\xff\x00"]
    assert await following(second, 2) == [b"1", b"\xff\x00"]
    assert await following(other, 1) == [b"2"]


async def test_many_rings_together(doorbell: Doorbell) -> None:
    messages = doorbell.listen("a")
    await heard(doorbell, messages, "a")
    await asyncio.gather(*(doorbell.ring("a", b"%d" % number) for number in range(500)))
    assert sorted(map(int, await following(messages, 500))) == list(range(500))


async def test_the_process_has_one_subscription(streams: PubSubDoorbell, clients: Clients) -> None:
    listeners = [streams.listen(f"t{number}") for number in range(20)]
    for number, messages in enumerate(listeners):
        await heard(streams, messages, f"t{number}")
    found = await clients.commands.execute_command("CLIENT", "LIST", "TYPE", "PUBSUB")
    text = found.decode() if isinstance(found, bytes) else str(found)
    assert text.count("sub=20") + text.count("'sub': '20'") == 1, text


async def test_it_listens_again_after_a_lost_connection(streams: PubSubDoorbell, clients: Clients) -> None:
    messages = streams.listen("a")
    await heard(streams, messages, "a")
    await clients.commands.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")
    await heard(streams, messages, "a")
    await streams.ring("a", b"1")
    assert await following(messages, 1) == [b"1"]


async def test_closing_ends_listeners(streams: PubSubDoorbell) -> None:
    messages = streams.listen("a")
    await heard(streams, messages, "a")
    waiting = asyncio.create_task(following(messages, 1))
    await asyncio.sleep(0.05)
    await streams.close()
    with pytest.raises((StopAsyncIteration, RuntimeError)):
        await waiting


async def test_a_forgotten_listener_leaves(streams: PubSubDoorbell) -> None:
    messages = streams.listen("a")
    await heard(streams, messages, "a")
    del messages
    gc.collect()
    assert not any(streams._listeners.values())


async def test_no_store_loses_rings_and_raises_nothing() -> None:
    clients = connect("redis://127.0.0.1:1/0")
    bell = PubSubDoorbell(clients)
    messages = bell.listen("a")
    await bell.ring("a", b"1")
    await asyncio.sleep(0.1)
    await bell.close()
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    await clients.close()
