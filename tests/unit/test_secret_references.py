"""What a definition refers to, told from its texts."""

from __future__ import annotations

import pytest

from linkflow.domain.definition import Definition, Node
from linkflow.domain.secrets import refs_of, slug_of


def refs(config: dict[str, object], type: str = "action_http_request", **more: object):
    return refs_of(Definition("x", (Node("call", type, "Call", config, **more),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "names", "every"),
    [
        ("{{ vars.API_URL }}/x", ("API_URL",), False),
        ("{{ env?.A }} and {{ B + C_2 }}", ("A", "B", "C_2"), False),
        ("{{ vars[input.name] }}", (), True),
        ("{{ Object.keys(vars) }}", (), True),
        ("{{ input.POST + JSON.stringify(trigger.GET) }}", (), False),
        ("POST to vars", (), False),
        ("{{ lower.case }}", (), False),
    ],
)
def test_variables(text: str, names: tuple[str, ...], every: bool):
    found = refs({"deep": [{"url": text}]})
    assert (found.variables, found.every) == (names, every)


def test_expressions_without_braces():
    assert refs({"expression": "input.n > LIMIT"}, "condition").variables == ("LIMIT",)
    assert refs({"method": "POST", "url": "x"}).wants_variables is False


def test_a_nodes_own_name_is_no_variable():
    nodes = (Node("A", "noop"), Node("b", "noop", "B", {"x": "{{ A.x + B + C }}"}))
    assert refs_of(Definition("x", nodes)).variables == ("C",)


def test_credentials():
    found = refs({"url": "{{ credential.stripe_key.token }}"}, credentials={"http": "id"})
    assert (found.credentials, found.slugs, found.ids) == (("id",), ("stripe_key",), ())
    assert refs({"x": "{{ credential.a }}"}, disabled=True) == refs_of(Definition("x", ()))


@pytest.mark.parametrize(
    ("name", "slug"), [("Stripe key", "stripe_key"), ("  A--B ", "a_b"), ("3D", "_3d"), ("!!", ""), ("Ünï", "n")]
)
def test_slugs(name: str, slug: str):
    assert slug_of(name) == slug
