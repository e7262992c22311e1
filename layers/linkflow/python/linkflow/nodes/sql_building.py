"""Statements made from a table's name, conditions and rows, for authors who write no SQL. Names are quoted, values are
parameters: none of them ever becomes SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from linkflow.nodes.base import NodeFailure

if TYPE_CHECKING:
    from linkflow.nodes.sql_params import SqlParams

Built = tuple[str, list[Any]]
"""A statement with ``%s`` for each of its parameters."""

AT_ONCE = 500
"""Rows of one INSERT, where each value is a parameter."""
_MOST = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
OPERATORS = frozenset({*_MOST, "in", "not_in", "like", "not_like", "is_null"})


class Dialect(Protocol):
    """How a database spells what others spell otherwise."""

    mark: str
    """What names are quoted with."""
    no_limit: str
    """What stands for no LIMIT before an OFFSET; empty where none is needed."""

    def equal_null(self, column: str, is_null: bool) -> str: ...

    def value(self, table: str, column: str, value: Any) -> Built:
        """An expression for a value that is compared with a column."""
        ...

    def values(self, table: str, column: str, values: Sequence[Any]) -> Built:
        """The same of several, as it stands behind IN."""
        ...

    def text(self, column: str) -> str:
        """A column as text."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[Built]:
        """INSERT, without what stands behind the rows."""
        ...

    def on_conflict(self, key: Sequence[str], columns: Sequence[str], ignore: bool) -> str: ...

    def assignments(self, table: str, values: Mapping[str, Any]) -> Built:
        """What stands behind SET."""
        ...


def invalid(text: str) -> NodeFailure:
    return NodeFailure("db_invalid", text, retryable=False)


def name(dialect: Dialect, text: str) -> str:
    """A quoted name. Raises `NodeFailure` ``db_invalid``."""
    if not text or "\0" in text or "%" in text or len(text) > 128:
        raise invalid(f"{text[:40]!r} cannot be a name.")
    return f"{dialect.mark}{text.replace(dialect.mark, dialect.mark * 2)}{dialect.mark}"


def table_name(dialect: Dialect, text: str) -> str:
    """A quoted table, with its schema if it has one."""
    parts = text.split(".")
    if len(parts) > 2:
        raise invalid(f"{text[:80]!r} is no table: write table, or schema.table.")
    return ".".join(name(dialect, part) for part in parts)


def build(params: SqlParams, dialect: Dialect) -> list[Built]:
    """The statements of a select, insert, update, upsert or delete. Raises `NodeFailure` ``db_invalid``."""
    made = _Builder(params, dialect)
    if params.operation == "select":
        return [made.select()]
    if params.operation in ("insert", "upsert"):
        return list(made.insert())
    return [made.update() if params.operation == "update" else made.delete()]


@dataclass
class _Builder:
    params: SqlParams
    dialect: Dialect

    def __post_init__(self) -> None:
        self.table = table_name(self.dialect, self.params.table)

    def names(self, texts: Sequence[str]) -> list[str]:
        return [name(self.dialect, text) for text in texts]

    def listed(self, texts: Sequence[str]) -> str:
        return "*" if list(texts) in ([], ["*"]) else ", ".join(self.names(texts))

    def select(self) -> Built:
        where, values = self.where()
        text = f"SELECT {self.listed(self.params.columns)} FROM {self.table}{where}{self.order()}"  # noqa: S608
        limit, offset = self.params.limit, self.params.offset
        if limit is not None or (offset and self.dialect.no_limit):
            text += f" LIMIT {int(limit) if limit is not None else self.dialect.no_limit}"
        return text + (f" OFFSET {int(offset)}" if offset else ""), values

    def insert(self) -> Iterator[Built]:
        params = self.params
        for columns, rows in groupby(params.rows, key=_columns):
            if not columns:
                raise invalid("A row has no columns.")
            tail = ""
            if params.operation == "upsert":
                quoted = self.names(columns)
                key = self.names(params.key)
                tail = self.dialect.on_conflict(key, quoted, params.on_conflict == "ignore")
            for text, values in self.dialect.insert(self.table, self.names(columns), [*rows]):
                yield text + tail + self.returning(), values

    def update(self) -> Built:
        if not self.params.values:
            raise invalid("There is nothing to set: `values` is empty.")
        text, values = self.dialect.assignments(self.table, self.params.values)
        where, more = self.where(needed=True)
        return f"UPDATE {self.table} SET {text}{where}{self.returning()}", [*values, *more]  # noqa: S608

    def delete(self) -> Built:
        where, values = self.where(needed=True)
        return f"DELETE FROM {self.table}{where}{self.returning()}", values  # noqa: S608

    def returning(self) -> str:
        found: list[str] = getattr(self.params, "returning", [])
        return f" RETURNING {self.listed(found)}" if found else ""

    def order(self) -> str:
        parts = [
            f"{name(self.dialect, text.removeprefix('-'))}{' DESC' if text.startswith('-') else ''}"
            for text in self.params.order_by
        ]
        return f" ORDER BY {', '.join(parts)}" if parts else ""

    def where(self, needed: bool = False) -> Built:
        """All conditions have to hold. An update or delete without any has to say that it means all rows."""
        if not self.params.where:
            if needed and not self.params.all_rows:
                raise invalid("There is no condition: `where` is empty, and `all_rows` is false.")
            return "", []
        parts: list[str] = []
        values: list[Any] = []
        for column, wanted in self.params.where.items():
            conditions = wanted if isinstance(wanted, dict) else {"eq": wanted}
            for operator, value in conditions.items():
                text, more = self.condition(column, operator, value)
                parts.append(text)
                values += more
        return f" WHERE {' AND '.join(parts)}", values

    def condition(self, text: str, operator: str, value: Any) -> Built:
        column = name(self.dialect, text)
        if operator not in OPERATORS:
            raise invalid(f"`where` has no operator {operator[:40]!r}: use {', '.join(sorted(OPERATORS))}.")
        if operator == "is_null" or (value is None and operator in ("eq", "ne")):
            is_null = bool(value) if operator == "is_null" else operator == "eq"
            return self.dialect.equal_null(column, is_null), []
        negated = "NOT " if operator.startswith("not_") else ""
        if operator in ("like", "not_like"):
            return f"{self.dialect.text(column)} {negated}LIKE %s", [str(value)]
        if operator in ("in", "not_in"):
            if not isinstance(value, list):
                raise invalid(f"`{operator}` of {text[:40]!r} needs a list.")
            if not value:
                return ("1 = 1" if negated else "1 = 0"), []
            inner, values = self.dialect.values(self.table, column, value)
            return f"{column} {negated}IN {inner}", values
        inner, values = self.dialect.value(self.table, column, value)
        return f"{column} {_MOST[operator]} {inner}", values


class PostgresDialect:
    """Values go as JSON, and Postgres makes of them what its columns are: times, arrays, JSON, enums."""

    mark = '"'
    no_limit = ""

    def equal_null(self, column: str, is_null: bool) -> str:
        return f"{column} IS {'' if is_null else 'NOT '}NULL"

    def value(self, table: str, column: str, value: Any) -> Built:
        return f"(jsonb_populate_record(NULL::{table}, %s::jsonb)).{column}", [{_plain(column): value}]

    def values(self, table: str, column: str, values: Sequence[Any]) -> Built:
        rows = [{_plain(column): value} for value in values]
        inner = f"(SELECT {column} FROM jsonb_populate_recordset(NULL::{table}, %s::jsonb))"  # noqa: S608
        return inner, [rows]

    def text(self, column: str) -> str:
        return f"{column}::text"

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[Built]:
        listed = ", ".join(columns)
        source = f"jsonb_populate_recordset(NULL::{table}, %s::jsonb)"
        yield f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {source}", [[dict(row) for row in rows]]  # noqa: S608

    def on_conflict(self, key: Sequence[str], columns: Sequence[str], ignore: bool) -> str:
        rest = [column for column in columns if column not in key]
        target = f" ON CONFLICT ({', '.join(key)})"
        if ignore or not rest:
            return f"{target} DO NOTHING"
        return f"{target} DO UPDATE SET {', '.join(f'{column} = EXCLUDED.{column}' for column in rest)}"

    def assignments(self, table: str, values: Mapping[str, Any]) -> Built:
        listed = ", ".join(name(self, column) for column in values)
        source = f"jsonb_populate_record(NULL::{table}, %s::jsonb)"
        return f"({listed}) = (SELECT {listed} FROM {source})", [dict(values)]  # noqa: S608


def _columns(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row)


def _plain(quoted: str) -> str:
    return quoted[1:-1].replace('""', '"')


def _kept(value: Any) -> Any:
    """A value as a column of MySQL takes it: what is not plain is JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


class MysqlDialect:
    mark = "`"
    no_limit = "18446744073709551615"

    def equal_null(self, column: str, is_null: bool) -> str:
        return f"{column} IS {'' if is_null else 'NOT '}NULL"

    def value(self, table: str, column: str, value: Any) -> Built:
        return "%s", [_kept(value)]

    def values(self, table: str, column: str, values: Sequence[Any]) -> Built:
        return f"({', '.join(['%s'] * len(values))})", [_kept(value) for value in values]

    def text(self, column: str) -> str:
        return column

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[Built]:
        marks = f"({', '.join(['%s'] * len(columns))})"
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([marks] * len(part))}"  # noqa: S608
            yield text, [_kept(value) for row in part for value in row.values()]

    def on_conflict(self, key: Sequence[str], columns: Sequence[str], ignore: bool) -> str:
        rest = [column for column in columns if column not in key]
        if ignore or not rest:
            return f" ON DUPLICATE KEY UPDATE {columns[0]} = {columns[0]}"
        return f" ON DUPLICATE KEY UPDATE {', '.join(f'{column} = VALUES({column})' for column in rest)}"

    def assignments(self, table: str, values: Mapping[str, Any]) -> Built:
        return ", ".join(f"{name(self, column)} = %s" for column in values), [_kept(value) for value in values.values()]
