"""Attributes: what a node accepts, and how they compare."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain.outcomes import Completed
from linkflow.domain.searching import as_text, attribute_fault, compares, terms, words
from linkflow.nodes.base import NodeFailure
from tests.unit.nodes.peers import run


def _run(attributes: dict[str, Any]) -> Any:
    return run("set_attributes", {"attributes": attributes})


def test_nulls_are_left_out():
    assert _run({"customer": "acme", "note": None}) == Completed(output={"attributes": {"customer": "acme"}})


@pytest.mark.parametrize(
    "attributes",
    [{"": 1}, {"9lives": 1}, {"a b": 1}, {"x" * 101: 1}, {"a": {}}, {"a": "x" * 201}, {"a": [1] * 21}, {"a": [None]},
     {f"a{n}": 1 for n in range(51)}],
)  # fmt: skip
def test_what_cannot_be_searched_for_is_refused(attributes: dict[str, Any]):
    with pytest.raises(NodeFailure) as failure:
        _run(attributes)
    assert failure.value.error.code == "bad_attribute"
    assert not failure.value.error.retryable


def test_values_compare_as_they_are_written():
    assert (as_text(2.0), as_text(True), as_text("Ä")) == ("2", "true", "Ä")
    assert compares(9, "<", "10")
    assert not compares("9", "<", "10")
    assert not compares(9, ">", "many")
    assert compares([1, 20], ">", "10")
    assert compares(2.0, "=", "2")
    assert attribute_fault("tags", ["a", "b"]) is None


def test_terms_of_an_error_and_of_attributes():
    found = terms({"tags": ["VIP", 7]}, {"code": "http_500", "message": "It's late, it's LATE"}, "staging")
    assert found == [
        "v:staging", "e:http_500", "n:tags", "a:tags=VIP", "a:tags=7", "w:it's", "w:late", "w:http", "w:500", "w:vip",
        "w:7",
    ]  # fmt: skip
    assert len(words(" ".join(f"w{n}" for n in range(500)))) == 60
