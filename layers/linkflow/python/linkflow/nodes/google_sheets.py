"""Google Sheets: rows as objects by the header row: read, look up, append, update, clear."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text, TextList
from linkflow.nodes.json_api import faults
from linkflow.nodes.operations import Operated, part
from linkflow.nodes.slots import Slot

FAMILY = "google_sheets"
_WRITES = "append update upsert"
_ROWS = "read lookup append update upsert clear delete_rows"
_OPTIONS = "Options"


def _rows(value: Any) -> Any:
    """One row or many, as many."""
    if isinstance(value, dict) or (isinstance(value, list) and value and not isinstance(value[0], list | dict)):
        return [value]
    return [] if value is None else value


class SheetsParams(Operated):
    operation: Literal[
        "read", "lookup", "append", "update", "upsert", "clear", "delete_rows", "sheets", "add_sheet", "delete_sheet",
        "create",
    ] = Field("read", description="upsert changes rows that are there, by `key`, and appends the others.")  # fmt: skip
    spreadsheet: Text = part(
        description="Its id, or its address in the browser.", needed=f"{_ROWS} sheets add_sheet delete_sheet",
        also="spreadsheet spreadsheet_id document_id",
    )  # fmt: skip
    sheet: Text = part(
        description="A tab's name. Left out: the first one.", of=_ROWS, needed="add_sheet delete_sheet",
        also="sheet sheet_name",
    )  # fmt: skip
    range: Text = part(description="Such as A1:D20 or A:D, without the tab. Left out: all of it.", of=_ROWS)
    rows: Annotated[list[dict[str, Any] | list[Any]], BeforeValidator(_rows)] = part(
        [], "Objects by the names in the header row, or lists of cells; one or many.", needed=_WRITES,
        also="rows values data",
    )  # fmt: skip
    key: Text = part(
        description="The column that tells rows apart. update without it writes `rows` at `range`.",
        of="update",
        needed="upsert",
    )
    where: dict[str, Any] = part({}, "Columns with the values to look for.", needed="lookup", also="where filters")
    first: bool = part(False, "Hand on the first row that fits, as `row`, or null.", of="lookup")
    header: bool = part(True, "The first row has the columns' names.", of=f"read {_WRITES} clear")
    header_row: int = part(1, "Its number, where there is no `range`.", of=_ROWS, ge=1)
    row_number: int | None = part(None, "The first row that goes.", needed="delete_rows", ge=1)
    count: int = part(1, of="delete_rows", ge=1)
    title: Text = part(needed="create")
    tabs: TextList = part([], "Names of its tabs.", of="create")
    formatted: bool = part(False, "Cells as they are shown (text), not as they are.", of="read lookup", group=_OPTIONS)
    input: Literal["raw", "user"] = part(
        "raw", "user: as if typed, so `=A1*2` is a formula and 1/2 a date. Not for what strangers wrote.", of=_WRITES,
        group=_OPTIONS,
    )  # fmt: skip
    unknown_columns: Literal["fail", "add", "ignore"] = part(
        "fail", "What becomes of fields that the header row lacks.", of=_WRITES, group=_OPTIONS
    )
    max_rows: int = part(
        10_000, "More fail the node.", of="read lookup update upsert", ge=1, le=200_000, group=_OPTIONS
    )


class GoogleSheets(Base):
    type: ClassVar[str] = "action_google_sheets"
    aliases: ClassVar[tuple[str, ...]] = ("google_sheets", "integration_google_sheets")
    name: ClassVar[str] = "Google Sheets"
    description: ClassVar[str] = "Read, look up, append, update and clear rows."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = SheetsParams
    slots = (
        Slot(
            FAMILY,
            ("google_service_account", "oauth2", "oauth2_refresh"),
            "A service account that the spreadsheet is shared with, or somebody's consent.",
        ),
    )
    help = """
    `read` hands on `{rows, columns, count, range}`: objects by the header row, each with `row_number`; with
    `header: false` lists of cells. Empty cells are null, blank rows are left out. Names that the header has twice get a
    number (`name_2`), nameless columns their letter.

    `append` needs a header row to place objects; in an empty sheet it writes one. If an answer was lost, a retry
    appends or deletes rows a second time; `upsert` does not. `update` and `upsert` with a `key` change the cells
    that a row has and leave the others; a key that stands in several rows changes all of them. They hand on `{updated,
    appended, unmatched}`.

    What is written goes in as it is (`input: raw`): text that begins with `=` stays text.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "rows": {"type": "array", "description": "read, lookup."},
                "row": {"type": ["object", "null"], "description": "lookup with `first`."},
                "columns": {"type": "array", "items": {"type": "string"}},
                "count": {"type": "integer"},
                "range": {"type": "string"},
                "updated": {"type": "integer", "description": "Rows that were changed."},
                "appended": {"type": "integer", "description": "Rows that were added."},
                "unmatched": {"type": "array", "description": "update: rows whose key is not there."},
                "sheets": {"type": "array", "description": "`{id, title, rows, columns}`"},
                "ok": {"type": "boolean"},
                "spreadsheet": {"type": "string"},
                "url": {"type": "string"},
            },
        }
    }
    faults = (
        Fault("sheets_no_column", "The header row lacks a column that is needed."),
        Fault("sheets_no_sheet", "There is no tab of this name."),
        Fault("sheets_too_many_rows", "There are more rows than `max_rows`."),
        Fault("oauth_refused", "Google gave no token."),
        Fault("bad_credential", "The credential lacks a field, or its key is none."),
        *faults("Google", "sheets"),
    )
    examples = (
        Example(
            name="Orders of one customer",
            config={
                "operation": "lookup", "spreadsheet": "1AbC", "sheet": "Orders", "where": {"customer": "{{ input }}"},
            },
            input="Ada",
            connections={"google_sheets": {"token": "ya29.example", "base_url": "http://sheets.example"}},
            calls=(
                Call(
                    method="GET",
                    url="http://sheets.example/v4/spreadsheets/1AbC/values/%27Orders%27?valueRenderOption="
                    "UNFORMATTED_VALUE&dateTimeRenderOption=FORMATTED_STRING",
                    sends={"Authorization": "Bearer ya29.example"},
                    answer={
                        "range": "Orders!A1:Z1000",
                        "majorDimension": "ROWS",
                        "values": [["id", "customer"], [7, "Ada"], [8, "Bob"]],
                    },
                ),
            ),
            output={
                "rows": [{"row_number": 2, "id": 7, "customer": "Ada"}],
                "columns": ["id", "customer"],
                "count": 1,
                "range": "Orders!A1:Z1000",
            },
        ),
    )  # fmt: skip
    refuses = (
        Refusal({"operation": "append", "spreadsheet": "1AbC"}, "/rows", "missing_field"),
        Refusal({"operation": "read"}, "/spreadsheet", "missing_field"),
    )

    async def run(self, params: SheetsParams, context: Context) -> Outcome:
        from linkflow.nodes.google_sheets_calls import do

        return Completed(output=await do(params, context))


node = GoogleSheets()
