"""Entries of what a workspace may reach: how they are read, what they mean, which of them an operator has granted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain.reach import faults, place


@pytest.mark.parametrize(
    ("entry", "there", "not_there"),
    [
        ("Intra.Example", [("intra.example", 80)], [("a.intra.example", 80), ("xintra.example", 80)]),
        ("intra.example:8443", [("intra.example", 8443)], [("intra.example", 443)]),
        ("*.example.com", [("a.example.com", 1), ("a.b.example.com", 1)], [("example.com", 1), ("aexample.com", 1)]),
        ("10.1.0.0/16", [("10.1.2.3", 5432)], [("10.2.0.1", 5432), ("intra.example", 5432), ("::ffff:10.1.2.3", 5432)]),
        ("10.1.2.3:5432", [("10.1.2.3", 5432)], [("10.1.2.3", 22), ("10.1.2.4", 5432)]),
        ("[fd00::1]:80", [("fd00::1", 80)], [("fd00::1", 81), ("fd00::2", 80)]),
        ("fd00::/8", [("fd12::1", 1)], [("fe80::1", 1)]),
    ],
)
def test_what_an_entry_means(entry: str, there: list[tuple[str, int]], not_there: list[tuple[str, int]]):
    found = place(entry)
    assert all(found.has(host, port) for host, port in there)
    assert not any(found.has(host, port) for host, port in not_there)


@pytest.mark.parametrize(
    "entry",
    ["", " ", "a b", "http://a.example", "a:99999", "a:x", "a:", "*", "*.*.a", "a/b", "-a.b", "[::1", "x" * 300],
)
def test_what_is_no_entry(entry: str):
    with pytest.raises(ValueError, match=r"write a host|a port is"):
        place(entry)
    assert [fault.path for fault in faults("allow", ["a.example", entry])] == ["/allow/1"]


@pytest.mark.parametrize(
    ("granted", "entry", "fits"),
    [
        ("10.0.0.0/8", "10.1.0.0/16", True), ("10.0.0.0/8", "10.1.2.3:80", True), ("10.1.0.0/16", "10.0.0.0/8", False),
        ("10.0.0.0/8:80", "10.1.2.3", False), ("10.0.0.0/8", "intra.example", False), ("*.a.example", "b.a.example", True),
        ("*.a.example", "*.b.a.example", True), ("*.a.example", "a.example", False), ("a.example:80", "a.example:80", True),
        ("a.example:80", "a.example", False), ("0.0.0.0/0", "::1", False), ("a.example", "10.0.0.1", False),
    ],
)  # fmt: skip
def test_what_an_operator_has_granted(granted: str, entry: str, fits: bool):
    found = faults("allow", [entry], [granted])
    assert [fault.code for fault in found] == ([] if fits else ["not_granted"])
    assert faults("allow", [entry]) == []


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_what_is_granted_covers_all_of_an_entry(first: int, bits: int, second: int, others: int):
    """No address of an entry that passes is outside of what was granted."""
    from ipaddress import IPv4Network

    wide, narrow = IPv4Network((first, bits), strict=False), IPv4Network((second, others), strict=False)
    if not faults("allow", [str(narrow)], [str(wide)]):
        assert narrow[0] in wide
        assert narrow[-1] in wide


@given(st.text(max_size=30))
def test_nothing_crashes_it(text: str):
    faults("only", [text])
