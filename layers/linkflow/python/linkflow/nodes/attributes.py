"""Give the run attributes, by which it is found in the list of runs. The output is ``{attributes}``."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from pydantic import Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.domain.searching import MOST_ATTRIBUTES, attribute_fault
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params


class AttributesParams(Params):
    attributes: dict[str, Any] = Field(
        ..., description="Name and value: text, a number, true or false, or a list of such. A null is left out."
    )


class Attributes(Base):
    type: ClassVar[str] = "set_attributes"
    aliases: ClassVar[tuple[str, ...]] = ("search_attributes",)
    name: ClassVar[str] = "Set attributes"
    description: ClassVar[str] = "Give the run attributes to find it by: a customer, an order, an amount."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = AttributesParams
    produces = {
        "main": {"type": "object", "properties": {"attributes": {"type": "object"}}, "required": ["attributes"]}
    }
    faults = (Fault("bad_attribute", "An attribute has a wrong name, or a value that cannot be searched for."),)
    examples = (
        Example(
            name="Whose order it is",
            config={"attributes": {"customer": "{{ input.customer }}", "amount": "{{ input.total }}"}},
            input={"customer": "acme", "total": 90},
            output={"attributes": {"customer": "acme", "amount": 90}},
        ),
    )
    refuses = (Refusal({}, "/attributes", "missing_field"),)

    def run(self, params: AttributesParams, context: Context) -> Outcome:
        given = {name: value for name, value in params.attributes.items() if value is not None}
        if len(given) > MOST_ATTRIBUTES:
            raise NodeFailure("bad_attribute", f"A run has at most {MOST_ATTRIBUTES} attributes.", retryable=False)
        for name, value in given.items():
            if fault := attribute_fault(name, value):
                raise NodeFailure("bad_attribute", f"{name[:100]}: {fault}.", retryable=False)
        return Completed(output={"attributes": given})


node = Attributes()
