"""What nodes for SQL databases have in common: their fields, and what they hand on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct
from pydantic import BeforeValidator, Field, model_validator

from linkflow.nodes.about import GOING_OUT, Fault, Schema
from linkflow.nodes.base import NodeFailure, Params
from linkflow.nodes.fields import Text, TextList, ui
from linkflow.nodes.sql_building import OPERATORS, Dialect, build

Values = list[Any] | dict[str, Any]
Row = dict[str, Any]
BUILT = ("select", "insert", "update", "upsert", "delete")
_NEEDS = {"insert": ("rows",), "update": ("values",), "upsert": ("rows", "key")}


class Statement(Params):
    """One statement of a transaction."""

    query: Annotated[Text, Field(min_length=1)]
    params: Values = Field(default_factory=list)


def _statements(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [{"query": one} if isinstance(one, str) else one for one in value]


class SqlParams(Params):
    operation: Literal["query", "execute", "transaction", "select", "insert", "update", "upsert", "delete"] = Field(
        "query",
        description="query gives rows, execute a count, transaction runs `queries` all or none. "
        "The others need no SQL: they take a `table`.",
    )
    query: Text = Field("", json_schema_extra=ui("code"))
    params: Values = Field(default_factory=list, description="For the placeholders of the query.")
    queries: Annotated[list[Statement], BeforeValidator(_statements)] = Field(
        default_factory=list, description="For transaction: {query, params}, or text."
    )
    table: Text = Field("", description="table, or schema.table.", json_schema_extra=ui(group="Without SQL"))
    columns: TextList = Field(
        default_factory=list, description="For select. Left out: all.", json_schema_extra=ui(group="Without SQL")
    )
    where: dict[str, Any] = Field(
        default_factory=dict,
        description="Conditions that all have to hold: {column: value}, or {column: {operator: value}} with eq, ne, "
        "gt, gte, lt, lte, in, not_in, like, not_like, is_null.",
        json_schema_extra=ui("json", "Without SQL"),
    )
    rows: Annotated[
        list[dict[str, Any]],
        BeforeValidator(lambda value: [value] if isinstance(value, dict) else value),
        Field(max_length=100_000),
    ] = Field(
        default_factory=list,
        description="For insert, upsert: objects with values by column, or one.",
        json_schema_extra=ui("json", "Without SQL"),
    )
    values: dict[str, Any] = Field(
        default_factory=dict, description="For update: values by column.", json_schema_extra=ui("json", "Without SQL")
    )
    key: TextList = Field(
        default_factory=list,
        description="For upsert: columns that tell whether a row is there already (they have a unique index).",
        json_schema_extra=ui(group="Without SQL"),
    )
    on_conflict: Literal["update", "ignore"] = Field(
        "update",
        description="For upsert: what becomes of a row that is there.",
        json_schema_extra=ui(group="Without SQL"),
    )
    order_by: TextList = Field(
        default_factory=list, description="For select: column, or -column.", json_schema_extra=ui(group="Without SQL")
    )
    limit: int | None = Field(None, ge=0, description="For select.", json_schema_extra=ui(group="Without SQL"))
    offset: int = Field(0, ge=0, description="For select.", json_schema_extra=ui(group="Without SQL"))
    all_rows: bool = Field(
        False,
        description="For update, delete without `where`: all rows are meant.",
        json_schema_extra=ui(group="Without SQL"),
    )
    timeout: float = Field(
        30, gt=0, le=600, description="Seconds, connecting included.", json_schema_extra=ui(group="Bounds")
    )
    single_row: bool = Field(False, description="Hand on `row`, the first one, in place of `rows`.")
    max_rows: int = Field(
        10_000, ge=1, le=100_000, description="More rows than this fail the node.", json_schema_extra=ui(group="Bounds")
    )
    max_bytes: int = Field(
        4 * 1024 * 1024, ge=1, le=64 * 1024 * 1024, description="More bytes than this in all rows fail the node.",
        json_schema_extra=ui(group="Bounds"),
    )  # fmt: skip
    read_only: bool = Field(
        False,
        description="The database refuses statements that change something.",
        json_schema_extra=ui(group="Bounds"),
    )

    @model_validator(mode="after")
    def _is_complete(self) -> SqlParams:
        if self.operation in BUILT:
            missing = [field for field in ("table", *_NEEDS.get(self.operation, ())) if not getattr(self, field)]
            missing = [field for field in missing if field == "table" or field not in self.model_fields_set]
            if missing:
                raise ValueError(f"operation {self.operation} needs {' and '.join(f'`{one}`' for one in missing)}")
            if self.operation in ("update", "delete") and "where" not in self.model_fields_set and not self.all_rows:
                raise ValueError(f"operation {self.operation} needs `where`, or `all_rows`")
            strange = {one for wanted in self.where.values() if isinstance(wanted, dict) for one in wanted} - OPERATORS
            if strange:
                raise ValueError(f"`where` has no operator {', '.join(sorted(strange))}")
        elif self.operation == "transaction" and not self.queries and "queries" not in self.model_fields_set:
            raise ValueError("operation transaction needs `queries`")
        elif self.operation != "transaction" and not self.query:
            raise ValueError("there is no `query`")
        return self


class Bounds(Struct, frozen=True):
    """How far a node run may go: seconds, rows, bytes. No rows are wanted where `rows` is 0."""

    seconds: float
    rows: int
    bytes: int
    read_only: bool = False


def bounds_of(params: SqlParams) -> Bounds:
    rows = 0 if params.operation == "execute" else params.max_rows
    return Bounds(params.timeout, rows, params.max_bytes, params.read_only)


def statements_of(params: SqlParams, dialect: Dialect) -> list[tuple[str, Values]]:
    """The statements of a node run. Raises `NodeFailure` ``db_invalid``."""
    if params.operation in BUILT:
        return [(text, values) for text, values in build(params, dialect)]
    if params.operation == "transaction":
        return [(one.query, one.params) for one in params.queries]
    return [(params.query, params.params)]


class Result(Struct):
    """What one statement came to."""

    rows: list[Row]
    count: int
    insert_id: int | None = None


def output_of(params: SqlParams, results: list[Result]) -> dict[str, Any]:
    """What the node hands on."""
    total = sum(result.count for result in results)
    if params.operation == "transaction":
        listed = [{"rows": result.rows, "rows_affected": result.count} for result in results]
        return {"results": listed, "rows_affected": total}
    if params.operation == "execute":
        return {"rows_affected": total}
    rows = [row for result in results for row in result.rows]
    returns = params.operation in ("query", "select") or bool(getattr(params, "returning", []))
    if not returns:
        ids = [result.insert_id for result in results if result.insert_id]
        return {"rows_affected": total, **({"insert_id": ids[0]} if ids and params.operation == "insert" else {})}
    if params.single_row:
        return {"row": rows[0] if rows else None, "rows_affected": total}
    return {"rows": rows, "rows_affected": total}


PRODUCES: dict[str, Schema] = {
    "main": {
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": {"type": "object"}},
            "row": {"type": ["object", "null"], "description": "With `single_row`."},
            "results": {"type": "array", "description": "With transaction: `rows` and `rows_affected` of each."},
            "rows_affected": {"type": "integer"},
        },
        "required": ["rows_affected"],
    }
}
FAULTS: tuple[Fault, ...] = (
    Fault("db_connect", "The database cannot be reached, or turned the user away.", True),
    Fault("db_timeout", "The database did not answer in time.", True),
    Fault("db_error", "The database refused the statement; `details` says why."),
    Fault("db_too_many_rows", "There are more rows than `max_rows`."),
    Fault("db_too_large", "The rows have more bytes than `max_bytes`."),
    Fault("db_invalid", "Table, columns or conditions make no statement."),
    Fault("no_credential", "There is no connection string."),
    Fault("bad_credential", "The connection string cannot be used."),
    *GOING_OUT[:3],
)


class Weight:
    """Counts what rows come to. Raises `NodeFailure` ``db_too_many_rows``, ``db_too_large``."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._bytes = 0
        self._rows = 0

    def add(self, row: Row) -> Row:
        self._rows += 1
        self._bytes += sum(len(name) + _size(value) for name, value in row.items())
        if self._rows > self._bounds.rows:
            text = f"The query gave more than {self._bounds.rows} rows; add a LIMIT or raise `max_rows`."
            raise NodeFailure("db_too_many_rows", text, retryable=False)
        if self._bytes > self._bounds.bytes:
            text = f"The rows have more than {self._bounds.bytes:,} bytes; ask for less, or raise `max_bytes`."
            raise NodeFailure("db_too_large", text, retryable=False)
        return row


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    return len(msgspec.json.encode(value)) if isinstance(value, dict | list) else 8
