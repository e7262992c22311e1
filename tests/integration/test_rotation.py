"""Changing master keys: a rotation that dies is gone on with, and everything opens all the while."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkflow.clock import SystemClock
from linkflow.contracts.secrets import credential_about, tokens_about
from linkflow.domain.errors import Conflict
from linkflow.domain.ids import uuid7
from linkflow.postgres.credentials import PostgresCredentials
from linkflow.postgres.database import Database
from linkflow.postgres.variables import PostgresRotation, PostgresVariables
from linkflow.services.rotation import PAGE, Rotated, Rotation
from linkflow.services.sealing import Sealer
from linkflow.services.secret_ports import Credential, CredentialRow, Variable
from linkflow.services.secret_ports import Rewrap as Row
from linkflow.transports.keyrings import connect

WORKSPACE = uuid7(1, 7, 1)
MANY = PAGE + 30


class Died(Exception):
    """Where the process would be killed."""


class Place:
    """A database full of secrets, and a file of keys."""

    def __init__(self, database: Database, keys: Path) -> None:
        self.database, self.keys = database, keys
        self.store = PostgresRotation(database)
        self.sealer = self.process()

    def process(self) -> Sealer:
        """The keys as another process has them."""
        return Sealer(connect([f"file:{self.keys}"]), SystemClock())

    async def fill(self) -> None:
        credentials, variables = PostgresCredentials(self.database), PostgresVariables(self.database)
        async with self.database.connection() as connection:
            await connection.execute(
                "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (%s, 'w', 0, 0)", (WORKSPACE,)
            )
        for n in range(MANY):
            id = uuid7(1, 7, 100 + n)
            made = Credential(
                id, WORKSPACE, f"c{n}", "oauth2", "", (), (), {}, "connected", 0, "", 0, 1, 1, "", 0, 0
            )  # fmt: skip
            sealed = await self.sealer.seal(f"secret {n}".encode(), credential_about(WORKSPACE, id, 1))
            assert await credentials.insert(CredentialRow(made, f"c{n}", sealed))
            if n % 10 == 0:
                await self.give_tokens(credentials, id)
        for n in range(3):
            id = uuid7(1, 7, 9000 + n)
            row = Variable(id, WORKSPACE, "", f"KEY_{n}", "", True, "", 1, 1, 0, 0)
            sealed = await self.sealer.seal(b"value", f"variable/{WORKSPACE}/{id}/1")
            assert await variables.insert(row, sealed, "user:1")

    async def give_tokens(self, credentials: PostgresCredentials, id: str) -> None:
        tokens = await self.sealer.seal(b"tokens", tokens_about(WORKSPACE, id, 1))
        assert await credentials.claim(WORKSPACE, id, "me", 1, 2)
        assert await credentials.keep_tokens(WORKSPACE, id, "me", 0, tokens, "connected", "", 1)

    async def opened(self) -> int:
        """How many texts open, in a process that has just begun. All of them have to."""
        sealer, count = self.process(), 0
        for table in ("credentials", "variables"):
            for row in await self.store.after(table, uuid7(0, 0, 0), 10_000):
                for sealed, about in ((row.sealed, row.about), (row.tokens, row.tokens_about)):
                    if sealed is not None:
                        await sealer.open(sealed, about)
                        count += 1
        return count


@pytest.fixture
async def place(database_url: str, tmp_path: Path):
    database = Database(database_url, size=2)
    made = Place(database, tmp_path / "keys.json")
    await made.fill()
    yield made
    await database.close()


async def test_one_that_dies_is_gone_on_with(place: Place):
    total = await place.opened()
    rotation = Rotation(place.store, place.sealer)
    assert await rotation.keys() == ("k1", {"k1": total})
    assert await rotation.new_key() == "k2"
    assert await rotation.left() == total

    def die(done: Rotated) -> None:
        raise Died

    with pytest.raises(Died):
        await rotation.run(die)
    left = await rotation.left()
    assert 0 < left < total
    assert await place.opened() == total  # some under the new key, the others still under the old one
    with pytest.raises(Conflict, match=f"{left} secrets are sealed under k1"):
        await rotation.drop("k1")

    told: list[Rotated] = []
    done = await Rotation(place.store, place.process()).run(told.append)
    assert (done.key_id, done.sealed, await rotation.left()) == ("k2", MANY - PAGE + 3, 0)
    assert [one.seen for one in told] == sorted(one.seen for one in told)
    assert await rotation.keys() == ("k2", {"k2": total})
    await rotation.drop("k1")
    assert (await place.opened(), '"k1"' in place.keys.read_text()) == (total, False)


async def test_what_changes_meanwhile_is_not_written_over(place: Place):
    """A row as it was read is older than the one that is there: the rotation leaves it, and finds it again."""
    credentials, rotation = PostgresCredentials(place.database), Rotation(place.store, place.sealer)
    await rotation.new_key()
    before: Row = (await place.store.after("credentials", uuid7(0, 0, 0), 1))[0]
    old = place.process()
    assert before.tokens is not None
    newer = await old.seal(b"newer", tokens_about(WORKSPACE, before.id, 2))
    assert await credentials.claim(WORKSPACE, before.id, "me", 3, 4)
    assert await credentials.keep_tokens(WORKSPACE, before.id, "me", 1, newer, "connected", "", 3)
    assert not await place.store.rewrap(before, before.sealed, before.tokens)
    await rotation.run(lambda _: None)
    after = (await place.store.after("credentials", uuid7(0, 0, 0), 1))[0]
    assert after.tokens is not None
    assert await place.process().open(after.tokens, after.tokens_about) == b"newer"
    assert await rotation.left() == 0
