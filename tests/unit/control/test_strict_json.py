"""JSON from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain.errors import InvalidInput
from linkflow.http.strict_json import MAX_DEPTH, Malformed, load

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner)
    ),
)


@given(VALUES)
def test_it_reads_what_json_loads_reads(value: Any):
    assert load(json.dumps(value).encode()) == value
    assert load(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary())
def test_bytes_are_read_or_refused(body: bytes):
    try:
        load(body)
    except InvalidInput:
        return


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, True),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), False),
        (b"[" + b",".join([b"[]"] * 1000) + b"]", True),
        (b'"' + b"[" * 1000 + b'"', True),
        (b'["\\"' + b"[" * 1000 + b'\\\\", 1]', True),
        (b'{"a":' * 101 + b"1" + b"}" * 101, False),
        (b"[" * 10_000_00, False),
    ],
)
def test_depth(body: bytes, fine: bool):
    if fine:
        load(body)
    else:
        with pytest.raises(Malformed):
            load(body)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'"\\u0000"', ""),
        (b'{"a": {"b~c/d": ["x", "\\u0000"]}}', "/a/b~0c~1d/1"),
        (b'{"a": {"\\u0000": 1}}', "/a"),
    ],
)
def test_where_a_nul_is(body: bytes, pointer: str):
    with pytest.raises(InvalidInput) as caught:
        load(body)
    assert caught.value.problems[0].path == pointer


def test_an_escaped_backslash_before_u0000_is_no_nul():
    assert load(b'"\\\\u0000"') == "\\u0000"
