"""Ask the input with JMESPath. The output is what the query gives."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params


def _checked(text: str) -> str:
    from linkflow.nodes.jmespath_budget import compiled

    compiled(text)
    return text


class JmespathParams(Params):
    query: Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_checked)] = Field(
        validation_alias=AliasChoices("query", "expression"), json_schema_extra={"widget": "code"}
    )
    value: Any = Field(None, validation_alias=AliasChoices("value", "data"), description="Left out: the input.")


class JmespathQuery(Base):
    type: ClassVar[str] = "jmespath"
    aliases: ClassVar[tuple[str, ...]] = ("query", "query_jmespath")
    name: ClassVar[str] = "JMESPath"
    description: ClassVar[str] = "Ask and reshape a value with JMESPath."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = JmespathParams
    help = """
    The language is [JMESPath](https://jmespath.org). A query that finds nothing gives null. It may do so much work
    (about half a million steps); what it makes must fit as well.
    """
    faults = (
        Fault("bad_query", "The query fails on this value."),
        Fault("too_much_work", "The query does more than it may."),
    )
    examples = (
        Example(
            name="Names of the paid orders",
            config={"query": "orders[?paid].{id: id, who: customer.name}"},
            input={"orders": [{"id": 1, "paid": True, "customer": {"name": "Ada"}}, {"id": 2, "paid": False}]},
            output=[{"id": 1, "who": "Ada"}],
        ),
    )
    refuses = (
        Refusal({}, "/query", "missing_field"),
        Refusal({"query": "a["}, "/query", "invalid_value"),
    )

    def run(self, params: JmespathParams, context: Context) -> Outcome:
        from linkflow.nodes.jmespath_budget import TooMuch, search

        value = params.value if "value" in params.model_fields_set else context.input
        try:
            return Completed(output=search(params.query, value))
        except TooMuch as error:
            raise NodeFailure("too_much_work", str(error), retryable=False) from None
        except (ValueError, RecursionError) as error:
            text = "It nests too deeply" if isinstance(error, RecursionError) else str(error)
            raise NodeFailure("bad_query", f"The query fails: {text}.", retryable=False) from None


node = JmespathQuery()
