"""Looks that are made together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from linkflow.domain.errors import Unavailable
from linkflow.services.together import Together


class Shelf:
    """Holds values, counts looks, and may be away."""

    def __init__(self) -> None:
        self.values = {"a": 1, "b": 2}
        self.looks: list[list[str]] = []
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def look(self, keys: Sequence[str]) -> dict[str, int]:
        self.looks.append(list(keys))
        await self.gate.wait()
        if self.away:
            raise Unavailable("away")
        return {key: self.values[key] for key in keys if key in self.values}


async def test_keys_that_are_asked_for_at_once_are_looked_up_at_once():
    shelf = Shelf()
    together = Together(shelf.look)
    assert await asyncio.gather(*(together.find(key) for key in "abacb")) == [1, 2, 1, None, 2]
    assert shelf.looks == [["a", "b", "c"]]


async def test_what_is_asked_during_a_look_is_read_after_it():
    shelf = Shelf()
    together = Together(shelf.look)
    shelf.gate.clear()
    first = asyncio.create_task(together.find("a"))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(together.find("a"))
    await asyncio.sleep(0)
    shelf.values["a"] = 5
    shelf.gate.set()
    assert (await first, await second) == (5, 5)
    assert shelf.looks == [["a"], ["a"]]


async def test_a_look_that_fails_fails_those_who_asked_and_no_later_one():
    shelf = Shelf()
    together = Together(shelf.look)
    shelf.away = True
    found = await asyncio.gather(*(together.find(key) for key in "ab"), return_exceptions=True)
    assert [type(error) for error in found] == [Unavailable, Unavailable]
    shelf.away = False
    assert await together.find("b") == 2


async def test_one_who_stops_waiting_takes_nothing_from_the_others():
    shelf = Shelf()
    together = Together(shelf.look)
    shelf.gate.clear()
    impatient, patient = (asyncio.create_task(together.find("a")) for _ in range(2))
    await asyncio.sleep(0.01)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    shelf.gate.set()
    assert await patient == 1
