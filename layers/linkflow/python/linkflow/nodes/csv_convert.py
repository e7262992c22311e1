"""CSV text to rows and back. The output is a list of rows, or the text."""

from __future__ import annotations

import builtins
import csv
import io
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text, TextList, to_text, ui
from linkflow.nodes.items import FAULTS, MAX_BYTES, MAX_ITEMS, as_list, too_large, too_many
from linkflow.nodes.paths import MISSING, get
from linkflow.nodes.texts import text_of

One = Annotated[Text, Field(min_length=1, max_length=1)]


MAX_CELLS = 1_000_000


class CsvParams(Params):
    operation: Literal["parse", "write"] = Field("parse", description="parse: text to rows. write: rows to text.")
    value: Any = Field(
        None,
        validation_alias=AliasChoices("value", "text", "items", "data"),
        description="The text, or the rows: objects, or lists. Left out: the input.",
    )
    delimiter: One = Field(",", description="One character; a tab is allowed.")
    quote: One = '"'
    header: bool = Field(True, description="The first row has the names. Without it rows are lists.")
    columns: Annotated[TextList, Field(max_length=1000)] = Field(
        default_factory=list,
        description="Names and order of the columns. Left out: the header's, or all that there are.",
    )
    numbers: bool = Field(False, description="Operation parse: text that spells a number becomes one.")
    skip_empty: bool = Field(
        True, description="Operation parse: leave empty lines out.", json_schema_extra=ui(group="More")
    )
    guard: bool = Field(
        False,
        description="Operation write: put ' in front of cells that a spreadsheet would take for a formula.",
        json_schema_extra=ui(group="More"),
    )


class Csv(Base):
    type: ClassVar[str] = "csv"
    aliases: ClassVar[tuple[str, ...]] = ("convert_csv",)
    name: ClassVar[str] = "CSV"
    description: ClassVar[str] = "Read CSV text, or write rows as CSV."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = CsvParams
    help = """
    A row that is longer than the header has its further cells under `_2`, `_3` and so on; a shorter one has null. Two
    columns of one name become `name` and `name_2`. Written lines end in CR LF (RFC 4180); cells that are objects or
    lists are written as JSON, null as nothing.
    """
    faults = (
        *FAULTS,
        Fault("bad_csv", "The text cannot be read as CSV."),
        Fault("not_a_text", "There is no text."),
    )
    examples = (
        Example(
            name="Read",
            config={"value": "{{ input.file }}", "numbers": True},
            input={"file": 'id,name\n1,Ada\n2,"Bob, Jr."\n'},
            output=[{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob, Jr."}],
        ),
        Example(
            name="Write",
            config={"operation": "write", "columns": ["id", "user.name"]},
            input=[{"id": 1, "user": {"name": "Ada"}}],
            output="id,user.name\r\n1,Ada\r\n",
        ),
    )
    refuses = (Refusal({"delimiter": "--"}, "/delimiter", "invalid_value"),)

    def run(self, params: CsvParams, context: Context) -> Outcome:
        value = params.value if "value" in params.model_fields_set else context.input
        try:
            return Completed(
                output=_parsed(text_of(value), params) if params.operation == "parse" else _written(value, params)
            )
        except (csv.Error, ValueError, TypeError) as error:
            raise NodeFailure("bad_csv", f"The CSV is not right: {error}.", retryable=False) from None


def _parsed(text: str, params: CsvParams) -> list[Any]:
    reader = csv.reader(
        io.StringIO(text.removeprefix("\ufeff"), newline=""),
        delimiter=params.delimiter,
        quotechar=params.quote,
        strict=True,
    )
    rows: list[list[Any]] = []
    for row in reader:
        if row or not params.skip_empty:
            rows.append(
                [_number(cell) for cell in row] if params.numbers and (rows or not params.header) else list(row)
            )
        if len(rows) > MAX_ITEMS:
            raise too_many(len(rows))
    if not params.header and not params.columns:
        return rows
    names = rows.pop(0) if params.header and rows else []
    names = _unlike(params.columns or [str(name) for name in names])
    if len(names) * len(rows) > MAX_CELLS:
        raise too_large()
    return [_named(row, names) for row in rows]


_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d{1,15})?")
"""What is read as a number: 007 and 1e5 are codes more often."""


def _number(cell: str) -> Any:
    if not _NUMBER.fullmatch(cell):
        return cell
    return float(cell) if "." in cell else int(cell)


def _unlike(names: Iterable[str]) -> list[str]:
    """Names that are all different: those that come again get a number."""
    counts: dict[str, int] = {}
    found: dict[str, None] = {}
    for place, name in enumerate(names, 1):
        base = name.strip() or f"column_{place}"
        other, count = base, counts.get(base, 1)
        while other in found:
            count += 1
            other = f"{base}_{count}"
        counts[base] = count
        found[other] = None
    return list(found)


def _named(row: list[Any], names: list[str]) -> dict[str, Any]:
    found = {name: row[at] if at < len(row) else None for at, name in enumerate(names)}
    return {**found, **{f"_{at + 1}": row[at] for at in range(len(names), len(row))}}


def _written(value: Any, params: CsvParams) -> str:
    rows = as_list(value, "the value")
    columns = list(params.columns)
    if not columns:
        columns = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=params.delimiter, quotechar=params.quote, lineterminator="\r\n")
    if params.header and columns:
        writer.writerow([_cell(name, params) for name in columns])
    for row in rows:
        cells = row if isinstance(row, list) else [get(row, name) for name in columns]
        writer.writerow([_cell(cell, params) for cell in cells])
        if out.tell() > MAX_BYTES:
            raise too_large()
    return out.getvalue()


def _cell(value: Any, params: CsvParams) -> str:
    text = "" if value is MISSING else str(to_text(value))
    return (
        f"'{text}" if params.guard and isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
    )


node = Csv()
