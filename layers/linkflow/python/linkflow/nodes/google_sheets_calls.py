"""What Google Sheets is asked (https://developers.google.com/sheets/api/reference/rest)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.google_sheets import FAMILY, SheetsParams
from linkflow.nodes.json_api import Api, Trouble, set_up
from linkflow.nodes.operations import segment
from linkflow.nodes.sheet_tables import (
    Table,
    end_of,
    letters,
    listed,
    place,
    same,
    start_of,
    table,
    unknown,
)

_LIMITS = frozenset({"RESOURCE_EXHAUSTED", "rateLimitExceeded", "userRateLimitExceeded"})
_ADDRESS = re.compile(r"https?://[^/]+/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]+)")


class SheetsApi(Api):
    name, code, base_url = "Google", "sheets", "https://sheets.googleapis.com"

    def trouble(self, response: EgressResponse) -> Trouble | None:
        if response.status_code < 300:
            return None
        found = self.told(response, "error")
        said = str(found.get("status") or "")
        is_limit = response.status_code == 429 or said in _LIMITS
        return Trouble(str(found.get("message") or ""), is_limit=is_limit, details={"error": said} if said else {})


async def do(params: SheetsParams, context: Context) -> dict[str, Any]:
    """The node's output."""
    secrets = connection(context, FAMILY)
    if not secrets:
        raise set_up("Google Sheets", "give the node a service account's credential, or one of OAuth 2")
    api = SheetsApi(context, secrets, credential=secrets)
    if params.operation == "create":
        return await _create(api, params)
    found = _ADDRESS.match(params.spreadsheet)
    book = _Book(api, f"/v4/spreadsheets/{segment(found[1] if found else params.spreadsheet, 'spreadsheet')}", params)
    if params.operation in ("read", "lookup"):
        return await book.read()
    if params.operation == "append":
        return await book.append()
    if params.operation in ("update", "upsert"):
        return await (book.update() if params.key else book.write())
    if params.operation == "clear":
        return await book.clear()
    return await book.tabs()


async def _create(api: SheetsApi, params: SheetsParams) -> dict[str, Any]:
    sheets = [{"properties": {"title": name}} for name in params.tabs]
    body = {"properties": {"title": params.title}, **({"sheets": sheets} if sheets else {})}
    made = await api.ask_object("POST", "/v4/spreadsheets", body=body)
    return {"spreadsheet": made.get("spreadsheetId"), "url": made.get("spreadsheetUrl"), "sheets": _sheets(made)}


def _sheets(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for sheet in answer.get("sheets") or []:
        about, grid = sheet.get("properties") or {}, (sheet.get("properties") or {}).get("gridProperties") or {}
        size = {"rows": grid.get("rowCount"), "columns": grid.get("columnCount")}
        found.append({"id": about.get("sheetId"), "title": about.get("title"), **size})
    return found


class _Book:
    """One spreadsheet, as the node sees it."""

    def __init__(self, api: SheetsApi, path: str, params: SheetsParams) -> None:
        self.api, self.path, self.params = api, path, params
        self.sheet = params.sheet

    async def _values(self, cells: str, *, shown: bool = False) -> tuple[list[list[Any]], str]:
        how = "FORMATTED_VALUE" if shown else "UNFORMATTED_VALUE"
        query = {"valueRenderOption": how, "dateTimeRenderOption": "FORMATTED_STRING"}
        answer = await self.api.ask_object("GET", await self._at(cells), query=query)
        values = answer.get("values") or []
        if len(values) > self.params.max_rows + 1:
            text = f"There are more than {self.params.max_rows} rows; give a `range`, or raise `max_rows`."
            raise NodeFailure("sheets_too_many_rows", text, retryable=False)
        return values, str(answer.get("range") or "")

    async def _at(self, cells: str, verb: str = "") -> str:
        if not self.sheet and not cells:
            self.sheet = await self._first()
        return f"{self.path}/values/{quote(place(self.sheet, cells), safe='')}{verb}"

    async def _first(self) -> str:
        found = _sheets(await self._about())
        return str(found[0]["title"]) if found else "Sheet1"

    async def _about(self) -> dict[str, Any]:
        return await self.api.ask_object("GET", self.path, query={"fields": "sheets.properties"})

    async def _table(self) -> tuple[Table, str]:
        params = self.params
        values, where = await self._values(params.range, shown=params.formatted)
        column, row = start_of(where or params.range)
        skipped = 0 if params.range else params.header_row - 1
        return table(values[skipped:], (column, row + skipped)), where

    async def read(self) -> dict[str, Any]:
        params = self.params
        if params.operation == "read" and not params.header:
            values, where = await self._values(params.range, shown=params.formatted)
            return {"rows": values, "columns": [], "count": len(values), "range": where}
        found, where = await self._table()
        wanted = {name: same(value) for name, value in params.where.items()}
        self._known(list(wanted), found)
        rows = [row for row in found.rows() if all(same(row[name]) == wanted[name] for name in wanted)]
        if params.first:
            return {"row": rows[0] if rows else None, "columns": found.columns, "count": len(rows), "range": where}
        return {"rows": rows, "columns": found.columns, "count": len(rows), "range": where}

    def _known(self, names: list[str], found: Table) -> None:
        if lacking := [name for name in names if name not in found.columns]:
            text = f"The header row lacks {', '.join(lacking)}; it has {', '.join(found.columns) or 'nothing'}."
            raise NodeFailure("sheets_no_column", text, retryable=False)

    async def _columns(self) -> Table:
        """The header row alone."""
        column, row = start_of(self.params.range) if self.params.range else (0, self.params.header_row)
        values, _ = await self._values(f"{row}:{row}")
        end = end_of(self.params.range)
        return table([cells[column:end] for cells in values], (column, row))

    async def _fit(self, found: Table) -> list[str]:
        """The columns, with those that rows have besides if they shall be added."""
        more = unknown(self.params.rows, found.columns)
        if not more or self.params.unknown_columns == "ignore":
            return found.columns
        if found.columns and self.params.unknown_columns == "fail":
            self._known(more, found)
        start = found.column + len(found.columns)
        cells = f"{letters(start)}{found.row}:{letters(start + len(more) - 1)}{found.row}"
        await self._put(cells, [list(more)])
        return [*found.columns, *more]

    async def _put(self, cells: str, rows: list[list[Any]]) -> dict[str, Any]:
        body = {"majorDimension": "ROWS", "values": rows}
        return await self.api.ask_object("PUT", await self._at(cells), query=self._how(), body=body)

    def _how(self) -> dict[str, str]:
        return {"valueInputOption": "RAW" if self.params.input == "raw" else "USER_ENTERED"}

    async def append(self) -> dict[str, Any]:
        rows = self.params.rows
        columns = await self._fit(await self._columns()) if any(isinstance(row, dict) for row in rows) else []
        return await self._append(rows, columns)

    async def _append(self, rows: list[Any], columns: list[str]) -> dict[str, Any]:
        body = {"majorDimension": "ROWS", "values": [listed(row, columns) for row in rows]}
        query = {**self._how(), "insertDataOption": "INSERT_ROWS"}
        cells = self.params.range or (f"A{self.params.header_row}" if self.sheet else "A1")
        answer = await self.api.ask_object("POST", await self._at(cells, ":append"), query=query, body=body)
        about = answer.get("updates") or {}
        return {"appended": int(about.get("updatedRows") or len(rows)), "range": about.get("updatedRange", "")}

    async def write(self) -> dict[str, Any]:
        """Write the rows at the range, whatever is there."""
        if not self.params.range:
            text = "operation update needs a `key` to find rows by, or a `range` to write at."
            raise NodeFailure("invalid_params", text, retryable=False)
        if any(isinstance(row, dict) for row in self.params.rows):
            raise NodeFailure("invalid_params", "Rows that are objects need a `key`.", retryable=False)
        answer = await self._put(self.params.range, [listed(row, ()) for row in self.params.rows])
        return {"updated": int(answer.get("updatedRows") or 0), "appended": 0, "range": answer.get("updatedRange", "")}

    async def update(self) -> dict[str, Any]:
        """Change rows that are found by their key; append the others, or tell of them."""
        params, key = self.params, self.params.key
        found, where = await self._table()
        if any(not isinstance(row, dict) or row.get(key) in (None, "") for row in params.rows):
            raise NodeFailure(
                "invalid_params", f"Every row has to be an object with a value for {key!r}.", retryable=False
            )
        if found.columns:
            self._known([key], found)
        elif params.operation == "update":
            return {"updated": 0, "appended": 0, "unmatched": params.rows, "range": where}
        columns = await self._fit(found)
        places = found.places(key) if found.columns else {}
        data, others = [], list[Any]()
        for row in params.rows:
            numbers = places.get(same(row[key]), []) if isinstance(row, dict) else []
            data += [self._change(row, columns, found, number) for number in numbers]
            others += [] if numbers else [row]
        if data:
            self.sheet = self.sheet or await self._first()
            body = {**self._how(), "data": [{**one, "range": place(self.sheet, one["range"])} for one in data]}
            await self.api.ask_object("POST", f"{self.path}/values:batchUpdate", body=body)
        if params.operation == "update":
            return {"updated": len(data), "appended": 0, "unmatched": others, "range": where}
        added = await self._append(_once(others, key), columns) if others else {"appended": 0}
        return {"updated": len(data), "appended": added["appended"], "unmatched": [], "range": where}

    def _change(self, row: Any, columns: list[str], found: Table, number: int) -> dict[str, Any]:
        cells = listed(row, columns)
        end = letters(found.column + len(cells) - 1)
        return {"range": f"{letters(found.column)}{number}:{end}{number}", "values": [cells]}

    async def clear(self) -> dict[str, Any]:
        """Clear the range, or all rows below the header."""
        params, cells = self.params, self.params.range
        if not cells and params.header:
            sheet = await self._sheet()
            self.sheet = str(sheet["title"])
            if (last := int(sheet["rows"] or 0)) <= params.header_row:
                return {"range": ""}
            cells = f"{params.header_row + 1}:{last}"
        answer = await self.api.ask_object("POST", await self._at(cells, ":clear"), body={})
        return {"range": answer.get("clearedRange", "")}

    async def _sheet(self) -> dict[str, Any]:
        """The tab that is meant. Raises `NodeFailure` ``sheets_no_sheet``."""
        found = _sheets(await self._about())
        for one in found:
            if not self.sheet or one["title"] == self.sheet:
                return one
        names = ", ".join(str(one["title"]) for one in found)
        raise NodeFailure("sheets_no_sheet", f"There is no tab {self.sheet!r}; there are {names}.", retryable=False)

    async def tabs(self) -> dict[str, Any]:
        """Operations on tabs, and on whole rows."""
        params = self.params
        if params.operation == "add_sheet":
            return await self._add()
        if params.operation == "sheets":
            found = _sheets(await self._about())
            return {"sheets": found, "count": len(found)}
        try:
            id = (await self._sheet())["id"]
        except NodeFailure:
            if params.operation == "delete_sheet" and self.api.context.attempt > 1:
                return {"ok": True}  # an earlier attempt did it
            raise
        if params.operation == "delete_sheet":
            await self._batch({"deleteSheet": {"sheetId": id}})
            return {"ok": True}
        first = (params.row_number or 1) - 1
        span = {"sheetId": id, "dimension": "ROWS", "startIndex": first, "endIndex": first + params.count}
        await self._batch({"deleteDimension": {"range": span}})
        return {"ok": True, "count": params.count}

    async def _add(self) -> dict[str, Any]:
        try:
            answer = await self._batch({"addSheet": {"properties": {"title": self.sheet}}})
        except NodeFailure as failure:
            if self.api.context.attempt == 1 or "already exists" not in failure.error.message:
                raise
            return {"sheets": [one for one in _sheets(await self._about()) if one["title"] == self.sheet]}
        return {"sheets": _sheets({"sheets": [reply.get("addSheet") or {} for reply in answer.get("replies") or []]})}

    async def _batch(self, *requests: dict[str, Any]) -> dict[str, Any]:
        return await self.api.ask_object("POST", f"{self.path}:batchUpdate", body={"requests": [*requests]})


def _once(rows: list[Any], key: str) -> list[Any]:
    """Rows of one key become one, the later ones over the earlier."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found[same(row[key])] = {**found.get(same(row[key]), {}), **row}
    return list(found.values())
