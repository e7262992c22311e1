"""Ask the input with JSONata. The output is what the query gives."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes import aside
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params


class JsonataParams(Params):
    query: Annotated[str, Field(min_length=1, max_length=20_000)] = Field(
        validation_alias=AliasChoices("query", "expression"), json_schema_extra={"widget": "code"}
    )
    value: Any = Field(None, validation_alias=AliasChoices("value", "data"), description="Left out: the input.")
    values: dict[str, Any] = Field(default_factory=dict, description="Variables: `rate` is $rate in the query.")


class JsonataQuery(Base):
    type: ClassVar[str] = "jsonata"
    aliases: ClassVar[tuple[str, ...]] = ("query_jsonata",)
    name: ClassVar[str] = "JSONata"
    description: ClassVar[str] = "Ask and reshape a value with JSONata."
    category: ClassVar[str] = "data"
    acts: ClassVar[bool | None] = False
    params: ClassVar[builtins.type[Params]] = JsonataParams
    literal_fields: ClassVar[tuple[str, ...]] = ("query", "expression")
    help = """
    The language is [JSONata](https://docs.jsonata.org). `{{ … }}` in the query means nothing; give values from
    elsewhere by `values`. The query runs in a process of its own, with 5 s of CPU and 512 MB: it is a whole programming
    language. A query that finds nothing gives null. Where JMESPath is enough, [it](jmespath.md) is quicker.
    """
    faults = (Fault("bad_query", "The query does not parse, or fails."), *aside.FAULTS)
    examples = (
        Example(
            name="Turnover of the paid orders",
            config={"query": "$sum(orders[paid].(price * quantity)) * $rate", "values": {"rate": 2}},
            input={"orders": [{"paid": True, "price": 5, "quantity": 2}, {"paid": False, "price": 9, "quantity": 1}]},
            output=20,
        ),
    )
    refuses = (Refusal({}, "/query", "missing_field"),)

    async def run(self, params: JsonataParams, context: Context) -> Outcome:
        value = params.value if "value" in params.model_fields_set else context.input
        call = aside.aside("jsonata:evaluate", params.query, value, params.values, code="bad_query")
        return Completed(output=await call)


node = JsonataQuery()
