"""Arrays in Postgres's binary form: what comes back is what was sent."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkflow.postgres.arrays import array, register

texts = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20))
bytes_ = st.lists(st.none() | st.binary(max_size=40))
numbers = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))


@pytest.fixture
def connection(database_url: str):
    with psycopg.connect(database_url, autocommit=True) as made:
        register(made)
        yield made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, data=bytes_, number=numbers)
def test_round_trip(connection: Any, text: list[Any], data: list[Any], number: list[Any]):
    for kind, items in (("text", text), ("bytea", data), ("bigint", number)):
        statement = f"SELECT array_agg(x ORDER BY n) FROM unnest(%s::{kind}[]) WITH ORDINALITY AS u (x, n)"
        assert (connection.execute(statement, (array(items),)).fetchone()[0] or []) == items


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        (["0190a0b0-0000-7000-8000-000000000001", None], "uuid"),
        ([1, -32768, 32767], "smallint"),
        ([2**31 - 1], "int"),
        ([True, False], "int"),
        ([None, None], "bytea"),
        ([None], "bigint"),
    ],
)
def test_casts(connection: Any, items: list[Any], kind: str):
    found = connection.execute(f"SELECT %s::{kind}[]::text[]", (array(items),)).fetchone()[0]
    expected = [None if item is None else str(int(item)) if isinstance(item, int) else item for item in items]
    assert found == expected


@pytest.mark.parametrize("kind", ["uuid", "smallint", "int", "bigint", "text", "bytea"])
def test_an_empty_array_is_an_empty_array_of_anything(connection: Any, kind: str):
    assert connection.execute(f"SELECT cardinality(%s::{kind}[])", (array([]),)).fetchone() == (0,)


def test_other_things_are_refused():
    with pytest.raises(TypeError, match="float"):
        array([1.5])
