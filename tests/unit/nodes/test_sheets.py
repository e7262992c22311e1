"""Google Sheets against a small server that keeps cells, with the addresses and shapes of the real one; and the tokens
of service accounts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from linkflow.nodes.egress import EgressClient
from linkflow.nodes.http_auth import Tokens
from linkflow.nodes.sheet_tables import letters, number, place, same, start_of, table
from tests.unit.nodes.peers import NOW, HttpPeer, Request, codes, context, failing, http_peer, reply, run


@dataclass
class Book:
    """One spreadsheet with the tab `Orders`."""

    cells: list[list[Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, request: Request) -> bytes:
        parts = urlsplit(request.path)
        path, body = unquote(parts.path), request.json() if request.body else None
        self.asked.append((request.method, path, parse_qs(parts.query) if request.method != "POST" else body))
        if path == "/v4/spreadsheets/1AbC":
            size = {"rowCount": 1000, "columnCount": 26}
            return reply(200, {"sheets": [{"properties": {"sheetId": 7, "title": "Orders", "gridProperties": size}}]})
        if path.endswith("/values:batchUpdate"):
            for one in body["data"]:
                self.put(one["range"], one["values"])
            return reply(200, {"totalUpdatedRows": len(body["data"])})
        if path.endswith("1AbC:batchUpdate"):
            return reply(200, {"replies": [{"addSheet": {"properties": {"sheetId": 9, "title": "New"}}}]})
        found = re.fullmatch(r"/v4/spreadsheets/1AbC/values/(?:'((?:[^']|'')+)'!?)?([^:]*(?::[A-Z]*\d*)?)(:\w+)?", path)
        assert found, path
        cells, verb = found[2], found[3]
        if verb == ":append":
            self.cells += body["values"]
            return reply(200, {"updates": {"updatedRange": "Orders!A4", "updatedRows": len(body["values"])}})
        if verb == ":clear":
            return reply(200, {"clearedRange": f"Orders!{cells}"})
        if request.method == "PUT":
            self.put(cells, body["values"])
            return reply(200, {"updatedRange": f"Orders!{cells}", "updatedRows": len(body["values"])})
        row = re.fullmatch(r"(\d+):\1", cells)
        values = self.cells[int(row[1]) - 1 : int(row[1])] if row else self.cells
        return reply(
            200,
            {
                "range": f"Orders!{cells or 'A1:Z1000'}",
                "majorDimension": "ROWS",
                **({"values": values} if values else {}),
            },
        )

    def put(self, cells: str, rows: list[list[Any]]) -> None:
        column, row = start_of(cells)
        for offset, values in enumerate(rows):
            while len(self.cells) < row + offset:
                self.cells.append([])
            kept = self.cells[row - 1 + offset]
            for at, value in enumerate(values):
                kept += [""] * (column + at + 1 - len(kept))
                kept[column + at] = kept[column + at] if value is None else value


@asynccontextmanager
async def opened(*cells: list[Any]) -> AsyncIterator[tuple[Book, HttpPeer]]:
    book = Book([list(row) for row in cells])
    async with http_peer(book.answer) as peer:
        yield book, peer


ORDERS = (["id", "who", "total"], [1, "Ada", 10], [2, "Bob", ""], [], [4, "Ada", 0])


async def did(egress: EgressClient, peer: HttpPeer, **config: Any) -> Any:
    secrets = {"google_sheets": {"token": "ya29.secret-token", "base_url": peer.url}}
    config = {"spreadsheet": "1AbC", "sheet": "Orders", **config}
    return (await run("google_sheets", config, egress=egress, credentials=secrets)).output


async def test_reading(egress: EgressClient):
    async with opened(*ORDERS) as (book, peer):
        found = await did(egress, peer, spreadsheet="https://docs.google.com/spreadsheets/d/1AbC/edit#gid=0", sheet="")
        assert found == {
            "rows": [
                {"row_number": 2, "id": 1, "who": "Ada", "total": 10},
                {"row_number": 3, "id": 2, "who": "Bob", "total": None},
                {"row_number": 5, "id": 4, "who": "Ada", "total": 0},
            ],
            "columns": ["id", "who", "total"], "count": 3, "range": "Orders!A1:Z1000",
        }  # fmt: skip
        assert book.asked[-1][2]["valueRenderOption"] == ["UNFORMATTED_VALUE"]
        found = await did(egress, peer, operation="lookup", where={"who": "Ada", "total": 0})
        assert [row["id"] for row in found["rows"]] == [4]
        found = await did(egress, peer, operation="lookup", where={"id": "2"}, first=True)
        assert found["row"]["who"] == "Bob"
        assert (await did(egress, peer, operation="lookup", where={"total": ""}, first=True))["row"]["id"] == 2
        assert (await did(egress, peer, header=False))["rows"] == [list(row) for row in ORDERS]
        failure = await failing(did(egress, peer, operation="lookup", where={"nobody": 1}))
        assert (failure.error.code, "id, who, total" in failure.error.message) == ("sheets_no_column", True)
        assert (await failing(did(egress, peer, max_rows=2))).error.code == "sheets_too_many_rows"


async def test_a_header_further_down(egress: EgressClient):
    async with opened(["Report"], [], *ORDERS) as (_, peer):
        found = await did(egress, peer, header_row=3, operation="lookup", where={"id": 2})
        assert found["rows"] == [{"row_number": 5, "id": 2, "who": "Bob", "total": None}]


async def test_appending(egress: EgressClient):
    async with opened(*ORDERS[:2]) as (book, peer):
        rows = [{"total": 5, "id": 2, "who": None}, {"id": 3, "who": {"a": 1}}]
        found = await did(egress, peer, operation="append", rows=rows)
        assert found["appended"] == 2
        assert book.cells[2:] == [[2, "", 5], [3, '{"a":1}', None]]
        assert (
            await failing(did(egress, peer, operation="append", rows={"id": 1, "x": 2}))
        ).error.code == "sheets_no_column"
        await did(egress, peer, operation="append", rows={"id": 9, "x": 2}, unknown_columns="ignore")
        await did(egress, peer, operation="append", rows={"id": 9, "x": 2}, unknown_columns="add")
        assert (book.cells[0], book.cells[-1]) == (["id", "who", "total", "x"], [9, None, None, 2])
        await did(egress, peer, operation="append", rows=["a", "b"])
        assert book.cells[-1] == ["a", "b"]


async def test_appending_to_an_empty_sheet_writes_its_header(egress: EgressClient):
    async with opened() as (book, peer):
        await did(egress, peer, operation="append", rows=[{"a": 1, "b": 2}])
        assert book.cells == [["a", "b"], [1, 2]]


async def test_formulas_are_text_unless_asked_for(egress: EgressClient):
    ways = {}
    for way in ("raw", "user"):
        async with http_peer(lambda _: reply(200, {"updates": {"updatedRows": 1}})) as peer:
            await did(egress, peer, operation="append", rows=["=1+1"], input=way)
        ways[way] = parse_qs(urlsplit(peer.requests[0].path).query)["valueInputOption"]
    assert ways == {"raw": ["RAW"], "user": ["USER_ENTERED"]}


async def test_changing_rows_by_their_key(egress: EgressClient):
    async with opened(*ORDERS) as (book, peer):
        found = await did(
            egress, peer, operation="update", key="id", rows=[{"id": "2", "total": 7}, {"id": 8, "total": 1}]
        )
        assert (found["updated"], found["unmatched"]) == (1, [{"id": 8, "total": 1}])
        assert book.cells[2] == ["2", "Bob", 7]
        for _ in range(2):
            rows = [{"id": 8, "who": "Eve"}, {"id": 1, "who": "Ann"}, {"id": 8, "total": 3}]
            found = await did(egress, peer, operation="upsert", key="id", rows=rows)
        assert (found["updated"], found["appended"]) == (3, 0), "the second time it is there"
        assert [row for row in book.cells if row and row[0] in (1, 8)] == [[1, "Ann", 10], [8, "Eve", 3]]
        assert (
            await failing(did(egress, peer, operation="upsert", key="id", rows=[{"who": "x"}]))
        ).error.code == "invalid_params"
        assert (await failing(did(egress, peer, operation="update", rows=[[1]]))).error.code == "invalid_params"
        await did(egress, peer, operation="update", range="B2:C2", rows=["Zoe", 1])
        assert book.cells[1] == [1, "Zoe", 1]


async def test_tabs_and_whole_rows(egress: EgressClient):
    async with opened(*ORDERS) as (book, peer):
        assert (await did(egress, peer, operation="clear"))["range"] == "Orders!2:1000"
        assert (await did(egress, peer, operation="clear", range="B2:B5"))["range"] == "Orders!B2:B5"
        assert (await did(egress, peer, operation="sheets"))["sheets"] == [
            {"id": 7, "title": "Orders", "rows": 1000, "columns": 26}
        ]
        await did(egress, peer, operation="delete_rows", row_number=3, count=2)
        span = {"sheetId": 7, "dimension": "ROWS", "startIndex": 2, "endIndex": 4}
        assert book.asked[-1][2] == {"requests": [{"deleteDimension": {"range": span}}]}
        assert (await did(egress, peer, operation="add_sheet", sheet="New"))["sheets"][0]["id"] == 9
        failure = await failing(did(egress, peer, operation="delete_sheet", sheet="None"))
        assert failure.error.code == "sheets_no_sheet"
    made = {"spreadsheetId": "2", "spreadsheetUrl": "https://…", "sheets": []}
    async with http_peer(lambda _: reply(200, made)) as peer:
        found = await did(egress, peer, operation="create", title="Report", tabs="a,b")
    assert (found["spreadsheet"], peer.requests[0].json()["sheets"][1]) == ("2", {"properties": {"title": "b"}})


@pytest.mark.parametrize(
    ("status", "error", "code", "retryable"),
    [
        (429, {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}, "sheets_rate_limited", True),
        (403, {"code": 403, "message": "The caller does not have permission", "status": "PERMISSION_DENIED"}, "sheets_error", False),
        (503, {"code": 503, "status": "UNAVAILABLE"}, "sheets_error", True),
    ],
)  # fmt: skip
async def test_refusals(egress: EgressClient, status: int, error: Any, code: str, retryable: bool):
    async with http_peer(lambda _: reply(status, {"error": error})) as peer:
        failure = await failing(did(egress, peer))
    assert (failure.error.code, failure.error.retryable, failure.error.details["error"]) == (
        code,
        retryable,
        error["status"],
    )


async def test_what_is_missing(egress: EgressClient):
    assert codes("google_sheets", {"operation": "upsert", "spreadsheet": "1"}) == [
        ("/rows", "missing_field"), ("/key", "missing_field"),
    ]  # fmt: skip
    assert (await failing(run("google_sheets", {"spreadsheet": "1"}, egress=egress))).error.code == "no_credential"


KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


async def test_a_service_account_asks_for_a_token_and_keeps_it(egress: EgressClient):
    tokens = iter(("ya29.first-token", "ya29.second-token"))
    refuse: list[str] = []

    def answer(request: Request) -> bytes:
        if request.path == "/token":
            return reply(200, {"access_token": next(tokens), "expires_in": 3599, "token_type": "Bearer"})
        if request.headers["authorization"] in refuse:
            return reply(401, {"error": {"status": "UNAUTHENTICATED"}})
        return reply(200, {"range": "A1", "values": [["a"], [1]]})

    async with http_peer(answer) as peer:
        account = {
            "client_email": "flow@p.iam.gserviceaccount.com", "private_key": PEM.replace("\n", "\\n"),
            "token_url": f"{peer.url}/token", "base_url": peer.url, "subject": "ada@example.com",
        }  # fmt: skip
        for _ in range(2):
            await run(
                "google_sheets", {"spreadsheet": "1", "sheet": "s"}, egress=egress, credentials={"default": account}
            )
        refuse.append("Bearer ya29.first-token")  # called back: asked for anew, once
        await run("google_sheets", {"spreadsheet": "1", "sheet": "s"}, egress=egress, credentials={"default": account})
    asked = [request for request in peer.requests if request.path == "/token"]
    assert len(asked) == 2
    form = dict(asked[0].form())
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(form["assertion"], KEY.public_key(), ["RS256"], audience=f"{peer.url}/token", options={
        "verify_exp": False, "verify_iat": False})  # fmt: skip
    assert (claims["iss"], claims["sub"], claims["scope"]) == (
        "flow@p.iam.gserviceaccount.com", "ada@example.com", "https://www.googleapis.com/auth/spreadsheets",
    )  # fmt: skip
    assert (claims["iat"], claims["exp"]) == (NOW // 1000, NOW // 1000 + 3600)
    assert peer.requests[-1].headers["authorization"] == "Bearer ya29.second-token"


async def test_a_key_that_is_none(egress: EgressClient):
    account = {"client_email": "x", "private_key": "no key at all", "token_url": "http://127.0.0.1:1/"}
    failure = await failing(Tokens().token(account, "google_service_account", context(egress=egress)))
    assert (failure.error.code, "no key at all" in failure.error.message) == ("bad_credential", False)


@given(st.integers(0, 18_277))
def test_columns_have_letters(column: int):
    assert number(letters(column)) == column
    assert start_of(f"'x!y'!{letters(column)}7:Z") == (column, 7)


def test_headers_and_keys():
    found = table([["a", "a", "", "b "], [1, 2, 3, 4, 5]], (1, 1))
    assert found.columns == ["a", "a_2", "D", "b", "F"]
    assert [same(value) for value in (7, 7.0, " 7 ", 7.5, True, None)] == ["7", "7", "7", "7.5", "TRUE", ""]
    assert (place("It's", "A1"), place("", "A1"), place("x")) == ("'It''s'!A1", "A1", "'x'")
