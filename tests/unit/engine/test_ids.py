"""Identifiers: UUIDv7 as RFC 9562 lays it out, and the shard inside."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain.ids import SHARDS, derived_id, execution_id, is_uuid, shard_of_execution, shard_of_workflow, uuid7
from linkflow.domain.state import key_of, split_key

TIMES = st.integers(0, 2**48 - 1)
BITS = st.integers(0, 2**62 - 1)


def test_the_example_of_the_rfc():
    """RFC 9562, appendix A.6."""
    assert uuid7(0x017F22E279B0, 0xCC3, 0x18C4DC0C0C07398F) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(TIMES, st.integers(0, 2**12 - 1), BITS)
def test_the_layout(at: int, a: int, b: int):
    text = uuid7(at, a, b)
    value = uuid.UUID(text)
    assert str(value) == text
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == at
    assert value.int >> 64 & 0xFFF == a
    assert value.int & (1 << 62) - 1 == b


@given(TIMES, st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70))
def test_what_is_too_large_never_spills_over(at: int, a: int, b: int):
    value = uuid.UUID(uuid7(at, a, b))
    assert (value.version, value.variant, value.int >> 80) == (7, uuid.RFC_4122, at)


@given(TIMES, st.integers(0, SHARDS - 1), BITS)
def test_an_execution_id_gives_its_shard_back(at: int, shard: int, b: int):
    assert shard_of_execution(execution_id(at, shard, b)) == shard


@given(st.lists(st.tuples(TIMES, st.integers(0, SHARDS - 1), BITS), min_size=2))
def test_ids_sort_by_time(parts: list[tuple[int, int, int]]):
    times = [int(id[:8] + id[9:13], 16) for id in sorted(execution_id(*part) for part in parts)]
    assert times == sorted(part[0] for part in parts)


@given(st.text(), st.integers(0, 50))
def test_a_workflow_s_shard_is_always_the_same(workflow: str, slot: int):
    shard = shard_of_workflow(workflow, slot)
    assert 0 <= shard < SHARDS
    assert shard_of_workflow(workflow, slot) == shard


def test_shards_are_fixed_for_ever():
    """They are stored in ids: another hash would lose every run."""
    workflow = "5b0f7e0e-0000-4000-8000-000000000002"
    assert [shard_of_workflow(workflow, slot) for slot in range(3)] == [767, 4059, 2624]


def test_workflows_and_slots_spread():
    assert len({shard_of_workflow(str(n)) for n in range(1000)}) > 800
    assert len({shard_of_workflow("hot", slot) for slot in range(100)}) > 90


@given(st.text(), st.text(), TIMES, st.integers(0, SHARDS - 1))
def test_a_derived_id_follows_from_its_text(one: str, other: str, at: int, shard: int):
    id = derived_id(one, at, shard)
    assert is_uuid(id)
    assert shard_of_execution(id) == shard
    assert (derived_id(other, at, shard) == id) == (one == other)


@pytest.mark.parametrize(
    "text", ["", "x", "019AAC8B-7C00-7ABC-8000-000000000001", "{19aac8b-7c00-7abc-8000-000000000001}",
             "019aac8b7c007abc8000000000000001", " 19aac8b-7c00-7abc-8000-000000000001", "019aac8b-7c00-7abc-8000-00000000000g",
             "019aac8b-7c00-7abc-8000-00000000000１"],
)  # fmt: skip
def test_only_the_canonical_form_is_an_id(text: str):
    assert not is_uuid(text)


# Keys of node runs


@given(st.text(min_size=1).filter(lambda id: not id.endswith("]")), st.lists(st.integers(0, 10**6)).map(tuple))
def test_a_key_gives_node_and_path_back(node: str, path: tuple[int, ...]):
    assert split_key(key_of(node, path)) == (node, path)


@pytest.mark.parametrize("key", ["a]", "a[]", "a[x]", "a[1,]", "a[,1]", "a[-1]", "a[²]", "a[٣]", "a[1", "a[1]b", "]"])
def test_only_integers_in_brackets_are_a_path(key: str):
    assert split_key(key) == (key, ())


def test_the_last_brackets_are_the_path():
    assert split_key("a[x][3,0]") == ("a[x]", (3, 0))
