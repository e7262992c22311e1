"""Ask a MySQL or MariaDB database. Output: ``{rows, rows_affected}``, or ``{row, rows_affected}`` with `single_row`."""

from __future__ import annotations

import builtins
from typing import ClassVar

from pydantic import Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal, Schema
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.slots import Slot
from linkflow.nodes.sql_building import MysqlDialect
from linkflow.nodes.sql_params import FAULTS, PRODUCES, SqlParams, Values, bounds_of, output_of, statements_of

FAMILY = "mysql"
_MAIN = PRODUCES["main"]
_MORE: Schema = {"insert_id": {"type": "integer", "description": "With insert: the first key that was made."}}


class MysqlParams(SqlParams):
    params: Values = Field(default_factory=list, description="For %s, %(name)s in the query.")


class Mysql(Base):
    type: ClassVar[str] = "action_mysql"
    aliases: ClassVar[tuple[str, ...]] = ("mysql", "mariadb", "action_mariadb")
    name: ClassVar[str] = "MySQL"
    description: ClassVar[str] = "Ask a MySQL or MariaDB database."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = MysqlParams
    slots = (Slot(FAMILY, ("mysql",), "Where the database is."),)
    help = """
    | operation | takes | hands on |
    |---|---|---|
    | `query` | `query`, `params` | `{rows, rows_affected}`; `{row, rows_affected}` with `single_row` |
    | `execute` | `query`, `params` | `{rows_affected}` |
    | `transaction` | `queries`, all or none | `{results: [{rows, rows_affected}], rows_affected}` |
    | `select` | `table`, `columns`, `where`, `order_by`, `limit`, `offset` | as `query` |
    | `insert` | `table`, `rows` | `{rows_affected, insert_id}` |
    | `upsert` | `table`, `rows`, `key`, `on_conflict` | `{rows_affected}`: 2 for each row that was changed |
    | `update` | `table`, `values`, `where` | `{rows_affected}` |
    | `delete` | `table`, `where` | `{rows_affected}` |

    `params` is a list for `%s`, an object for `%(name)s`; `IN %s` takes a list. Objects, and lists as values of
    columns, go as JSON. Names of tables and columns are quoted. `{"age": {"gte": 18}, "name": null}` as `where` are
    adults without a name.

    The connection string is in the credential: `mysql://user:password@host:3306/database?ssl-mode=verify_identity`.
    `ssl-mode` is as MySQL's own: `disabled`, `preferred`, `required`, `verify_ca`, `verify_identity`; left out, it is
    `preferred`, or with a `ca` in the credential `verify_identity`. What takes longer than `timeout` is cancelled on
    the server.

    Times are ISO 8601, DECIMAL is text, TIME is seconds, bytes are base64. Each node run is one transaction, as far as
    the tables' engine has them. An attempt that is retried after its answer was lost inserts again: give rows a key of
    their own (`{{ execution.id }}`) and `upsert` them.
    """
    produces = {"main": {**_MAIN, "properties": {**_MAIN["properties"], **_MORE}}}
    faults = FAULTS
    examples = (
        Example(
            name="Ask with a value",
            config={"query": "select %s + 1 as next", "params": ["{{ input.n }}"]},
            input={"n": 6},
            needs="mysql",
            output={"rows": [{"next": 7}], "rows_affected": 1},
        ),
    )
    refuses = (
        Refusal({"operation": "query"}, "", "invalid_value"),
        Refusal({"operation": "upsert", "table": "orders", "rows": []}, "", "invalid_value"),
    )

    async def run(self, params: MysqlParams, context: Context) -> Outcome:
        secrets = connection(context, FAMILY)
        text = str(secrets.get("connection_string") or "")
        if not text:
            message = "The database is not set up: give the node a credential with a `connection_string`."
            raise NodeFailure("no_credential", message, retryable=False)
        from linkflow.nodes import mysql_client

        results = await mysql_client.run(
            mysql_client.read(text, str(secrets.get("ca") or "")),
            statements_of(params, MysqlDialect()),
            egress=context.http(),
            bounds=bounds_of(params),
        )
        return Completed(output=output_of(params, results))


node = Mysql()
