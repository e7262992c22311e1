"""Cells as tables: the header row's names, rows as objects, and where a cell is (A1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

Row = dict[str, Any] | list[Any]


def letters(column: int) -> str:
    """A column's letters; 0 is A."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def number(text: str) -> int:
    """The column of its letters; A is 0."""
    found = 0
    for letter in text.upper():
        found = found * 26 + ord(letter) - 64
    return found - 1


_START = re.compile(r"(?:.*!)?\$?([A-Za-z]{1,3})?\$?(\d+)?(?::.*)?")


def start_of(place: str) -> tuple[int, int]:
    """Column (0 is A) and row (from 1) at which a range begins: ``Orders!B2:D`` is (1, 2)."""
    found = _START.fullmatch(place)
    column, row = (found[1], found[2]) if found else (None, None)
    return number(column) if column else 0, int(row) if row else 1


def end_of(place: str) -> int | None:
    """The column behind the last of a range, if it says one: 3 of ``A1:C``."""
    found = re.search(r":\$?([A-Za-z]{1,3})", place)
    return number(found[1]) + 1 if found else None


def place(sheet: str, cells: str = "") -> str:
    """A range in a tab, as the API wants it; a tab's name is quoted."""
    name = "'" + sheet.replace("'", "''") + "'" if sheet else ""
    return f"{name}!{cells}" if name and cells else name or cells


class Table(Struct):
    """Cells of a range. `column` and `row` are where it begins; `columns` are the header's names, in order."""

    column: int
    row: int
    columns: list[str]
    cells: list[list[Any]]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows that are not blank, as objects with `row_number`."""
        for offset, cells in enumerate(self.cells):
            if any(cell not in ("", None) for cell in cells):
                yield {"row_number": self.row + 1 + offset, **self.object(cells)}

    def object(self, cells: Sequence[Any]) -> dict[str, Any]:
        """One row as an object; what is blank is null."""
        padded = [*cells, *[None] * (len(self.columns) - len(cells))]
        return {name: None if cell == "" else cell for name, cell in zip(self.columns, padded, strict=False)}

    def places(self, key: str) -> dict[str, list[int]]:
        """Numbers of the rows by what stands in column `key`."""
        at, found = self.columns.index(key), dict[str, list[int]]()
        for offset, cells in enumerate(self.cells):
            if at < len(cells) and cells[at] not in ("", None):
                found.setdefault(same(cells[at]), []).append(self.row + 1 + offset)
        return found


def table(values: Sequence[Sequence[Any]], at: tuple[int, int]) -> Table:
    """The table of a range that begins with its header. Doubled names get a number, nameless columns their letter."""
    width = max((len(row) for row in values), default=0)
    header = [*(values[0] if values else []), *[""] * (width - len(values[0]) if values else 0)]
    columns: list[str] = []
    for offset, cell in enumerate(header):
        name = own = str(cell).strip() or letters(at[0] + offset)
        count = 1
        while name in columns:
            count += 1
            name = f"{own}_{count}"
        columns.append(name)
    return Table(at[0], at[1], columns, [list(row) for row in values[1:]])


def same(value: Any) -> str:
    """What two cells have in common that mean the same: 7, 7.0 and "7"; a blank one and null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def cell(value: Any) -> Any:
    """A JSON value as a cell: null is blank, objects and lists are JSON."""
    if value is None:
        return ""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


def listed(row: Row, columns: Sequence[str]) -> list[Any]:
    """A row as cells; of an object null where it has no field: the API leaves such a cell as it is."""
    if isinstance(row, list):
        return [cell(value) for value in row]
    return [cell(row[name]) if name in row else None for name in columns]


def unknown(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Fields of rows that are no columns, in the order they come."""
    known = {*columns, "row_number"}
    names = (name for row in rows if isinstance(row, Mapping) for name in row)
    return list(dict.fromkeys(name for name in names if name not in known))
