"""Ask a Postgres database. Output: ``{rows, rows_affected}``, or ``{row, rows_affected}`` with `single_row`.

Values that JSON lacks come as text: times in ISO 8601, `numeric` and `uuid` as they are written, bytes in base64.
"""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import GOING_OUT, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Secret, Text
from linkflow.nodes.slots import Slot

FAMILY = "database"
Values = list[Any] | dict[str, Any]


class Statement(Params):
    """One statement of a transaction."""

    query: Annotated[Text, Field(min_length=1)]
    params: Values = Field(default_factory=list)


class DatabaseParams(Params):
    operation: Literal["query", "execute", "transaction"] = Field(
        "query", description="query gives rows, execute a count, transaction runs `queries` all or none."
    )
    query: Text = ""
    params: Values = Field(default_factory=list, description="For $1, $2 … or %s, %(name)s in the query.")
    queries: Annotated[
        list[Statement],
        BeforeValidator(
            lambda value: (
                [{"query": one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value
            )
        ),
    ] = Field(default_factory=list)
    timeout: float = Field(30, gt=0, le=600, description="Seconds, connecting included.")
    single_row: bool = False
    max_rows: int = Field(10_000, ge=1, le=100_000, description="More rows than this fail the node.")
    connection_string: Secret = Field("", deprecated="Not used: put the connection string into a credential.")
    connection_name: Text = Field("", deprecated="Not used: choose a credential.")

    @model_validator(mode="after")
    def _has_a_query(self) -> DatabaseParams:
        if self.operation == "transaction" and not self.queries:
            raise ValueError("operation transaction needs `queries`")
        if self.operation != "transaction" and not self.query:
            raise ValueError("there is no `query`")
        return self


class Database(Base):
    type: ClassVar[str] = "action_database"
    aliases: ClassVar[tuple[str, ...]] = ("database",)
    name: ClassVar[str] = "Database"
    description: ClassVar[str] = "Ask a Postgres database."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = DatabaseParams
    slots = (Slot(FAMILY, ("postgres",), "Where the database is."),)
    help = """
    `query` with `params`: a list for `$1` or `%s`, an object for `%(name)s`. `operation: transaction` runs `queries`,
    all or none. The connection string is in the credential, never in the config. Output: `{rows, rows_affected}`,
    `{row, rows_affected}` with `single_row`, `{rows_affected}` for execute, `{results: [{rows, rows_affected}],
    rows_affected}` for a transaction. Times are ISO 8601, `numeric` and `uuid` are text, bytes are base64.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "rows": {"type": "array", "items": {"type": "object"}},
                "row": {"type": ["object", "null"]},
                "results": {"type": "array"},
                "rows_affected": {"type": "integer"},
            },
            "required": ["rows_affected"],
        }
    }
    faults = (
        Fault("db_connect", "The database cannot be reached, or turned the user away.", True),
        Fault("db_timeout", "The database did not answer in time.", True),
        Fault("db_error", "The database refused the statement; `details.sqlstate` says why."),
        Fault("db_too_many_rows", "There are more rows than `max_rows`."),
        Fault("no_credential", "There is no connection string."),
        Fault("bad_credential", "The connection string cannot be used."),
        *GOING_OUT[:3],
    )
    examples = (
        Example(
            name="Ask with a value",
            config={"query": "select $1::int + 1 as next", "params": ["{{ input.n }}"]},
            input={"n": 6},
            needs="database",
            output={"rows": [{"next": 7}], "rows_affected": 1},
        ),
    )
    refuses = (Refusal({"operation": "query"}, "", "invalid_value"),)

    async def run(self, params: DatabaseParams, context: Context) -> Outcome:
        secrets = connection(context, FAMILY)
        text = str(secrets.get("connection_string") or "")
        if not text:
            message = "The database is not set up: give the node a credential with a `connection_string`."
            raise NodeFailure("no_credential", message, retryable=False)
        # psycopg is 60 ms of cold start that only this node needs.
        from linkflow.nodes import sql

        trusted = secrets is context.connections.get(FAMILY)
        many = params.operation == "transaction"
        statements = [(one.query, one.params) for one in params.queries] if many else [(params.query, params.params)]
        results = await sql.run(
            text,
            statements,
            egress=context.http(),
            timeout=params.timeout,
            max_rows=0 if params.operation == "execute" else params.max_rows,
            trusted=trusted,
        )
        if many:
            listed = [{"rows": rows, "rows_affected": count} for rows, count in results]
            return Completed(output={"results": listed, "rows_affected": sum(count for _, count in results)})
        rows, count = results[0]
        if params.operation == "execute":
            return Completed(output={"rows_affected": count})
        if params.single_row:
            return Completed(output={"row": rows[0] if rows else None, "rows_affected": count})
        return Completed(output={"rows": rows, "rows_affected": count})


node = Database()
