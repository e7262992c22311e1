"""Ask a Postgres database. Output: ``{rows, rows_affected}``, or ``{row, rows_affected}`` with `single_row`.

Values that JSON lacks come as text: times in ISO 8601, `numeric` and `uuid` as they are written, bytes in base64.
"""

from __future__ import annotations

import builtins
from typing import ClassVar

from pydantic import Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Secret, Text, TextList, ui
from linkflow.nodes.slots import Slot
from linkflow.nodes.sql_building import PostgresDialect
from linkflow.nodes.sql_params import FAULTS, PRODUCES, SqlParams, Values, bounds_of, output_of, statements_of

FAMILY = "database"


class DatabaseParams(SqlParams):
    params: Values = Field(default_factory=list, description="For $1, $2 … or %s, %(name)s in the query.")
    returning: TextList = Field(
        default_factory=list,
        description="For insert, update, upsert, delete: hand on these columns of the rows; * is all.",
        json_schema_extra=ui(group="Without SQL"),
    )
    connection_string: Secret = Field("", deprecated="Not used: put the connection string into a credential.")
    connection_name: Text = Field("", deprecated="Not used: choose a credential.")


class Database(Base):
    type: ClassVar[str] = "action_database"
    aliases: ClassVar[tuple[str, ...]] = ("database", "postgres", "action_postgres", "postgresql")
    name: ClassVar[str] = "Database"
    description: ClassVar[str] = "Ask a Postgres database."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = DatabaseParams
    slots = (Slot(FAMILY, ("postgres",), "Where the database is."),)
    help = """
    | operation | takes | hands on |
    |---|---|---|
    | `query` | `query`, `params` | `{rows, rows_affected}`; `{row, rows_affected}` with `single_row` |
    | `execute` | `query`, `params` | `{rows_affected}` |
    | `transaction` | `queries`, all or none | `{results: [{rows, rows_affected}], rows_affected}` |
    | `select` | `table`, `columns`, `where`, `order_by`, `limit`, `offset` | as `query` |
    | `insert` | `table`, `rows` | `{rows_affected}`, with `returning` as `query` |
    | `upsert` | `table`, `rows`, `key`, `on_conflict` | the same |
    | `update` | `table`, `values`, `where` | the same |
    | `delete` | `table`, `where` | the same |

    `params` is a list for `$1` or `%s`, an object for `%(name)s`. Values are never part of a statement's text, and
    names of tables and columns are quoted. Without SQL, values are sent as JSON, and Postgres makes of them what the
    column is: a time, an array, JSON. `{"age": {"gte": 18}, "name": null}` as `where` are adults without a name.

    The connection string is in the credential, never in the config. `sslmode=verify-full` verifies the server, by the
    system's authorities or by `ca` of the credential. What takes longer than `timeout` is cancelled on the server.
    `read_only` keeps an author from mistakes; whom it has to keep out is told by the rights of the database's user.

    Times are ISO 8601, `numeric` and `uuid` are text, bytes are base64. Each node run is one transaction. An attempt
    that is retried after its answer was lost inserts again: give rows a key of their own (`{{ execution.id }}`) and
    `upsert` them.
    """
    produces = PRODUCES
    faults = FAULTS
    examples = (
        Example(
            name="Ask with a value",
            config={"query": "select $1::int + 1 as next", "params": ["{{ input.n }}"]},
            input={"n": 6},
            needs="database",
            output={"rows": [{"next": 7}], "rows_affected": 1},
        ),
        Example(
            name="Select without SQL",
            config={
                "operation": "select",
                "table": "pg_catalog.pg_type",
                "columns": "typname, typlen",
                "where": {"typname": {"in": ["int4", "{{ input.name }}"]}, "typlen": {"gte": 4}},
                "order_by": "-typlen",
            },
            input={"name": "int8"},
            needs="database",
            output={
                "rows": [{"typname": "int8", "typlen": 8}, {"typname": "int4", "typlen": 4}],
                "rows_affected": 2,
            },
        ),
    )
    refuses = (
        Refusal({"operation": "query"}, "", "invalid_value"),
        Refusal({"operation": "delete", "table": "orders"}, "", "invalid_value"),
        Refusal({"operation": "select", "table": "orders", "where": {"id": {"is": 1}}}, "", "invalid_value"),
    )

    async def run(self, params: DatabaseParams, context: Context) -> Outcome:
        secrets = connection(context, FAMILY)
        text = str(secrets.get("connection_string") or "")
        if not text:
            message = "The database is not set up: give the node a credential with a `connection_string`."
            raise NodeFailure("no_credential", message, retryable=False)
        # psycopg is 60 ms of cold start that only this node needs.
        from linkflow.nodes import sql

        results = await sql.run(
            text,
            statements_of(params, PostgresDialect()),
            egress=context.http(),
            bounds=bounds_of(params),
            trusted=secrets is context.connections.get(FAMILY),
            authorities=str(secrets.get("ca") or ""),
        )
        return Completed(output=output_of(params, results))


node = Database()
