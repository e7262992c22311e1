"""Every attempt of attempts.toml fails closed, and leaves the pool as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .trying import Attempt, World, attempts, world

ATTEMPTS = attempts()


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[World]:
    async with world() as made:
        yield made


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[attempt.id for attempt in ATTEMPTS])
async def test_it_fails_closed(place: World, attempt: Attempt) -> None:
    ended = await place.make(attempt)
    assert ended.how in ("refused", "failed", "harmless"), ended.told
    assert await place.is_sound(attempt)
