"""Nodes that read and write texts and dates: json, csv, datetime, hash, crypto; and stop, note."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain.importing import read
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.registry import Registry
from tests.unit.nodes.peers import NOW, codes, run
from tests.unit.nodes.test_lists import JSON, failure, output


class TestJson:
    @given(JSON)
    def test_there_and_back(self, value: Any):
        text = output("json", {"operation": "write", "value": value})
        assert output("json", {"value": text}) == json.loads(text)
        assert output(
            "json", {"value": output("json", {"operation": "write", "value": [value], "lines": True}), "lines": True}
        ) == [json.loads(text)]

    def test_forms(self):
        assert output("json", {"operation": "write", "indent": 2, "sort_names": True}, {"b": 1, "a": "ä"}) == (
            '{\n  "a": "ä",\n  "b": 1\n}'
        )
        assert output("json", {}, {"base64": "eyJhIjoxfQ=="}) == {"a": 1}

    @pytest.mark.parametrize("text", ["{", "", "[1,]", "[" * 100_000, "[" * 300 + "]" * 300])
    def test_what_is_no_json(self, text: str):
        assert failure("json", {}, text) == "bad_json"

    def test_what_is_no_text(self):
        assert failure("json", {}, 5) == failure("json", {}, {"base64": "//8="}) == "not_a_text"
        assert failure("json", {}, "1" * 2_000_000) == "not_a_text"


class TestCsv:
    def test_headers(self):
        assert output("csv", {}, "\ufeffa,a,\r\n1,2,3,4\n\n5\n") == [
            {"a": "1", "a_2": "2", "column_3": "3", "_4": "4"},
            {"a": "5", "a_2": None, "column_3": None},
        ]
        assert output("csv", {"header": False}, "1,2\n3\n") == [["1", "2"], ["3"]]
        assert output("csv", {"columns": "x,y"}, "a,b\n1,2\n") == [{"x": "1", "y": "2"}]
        assert output("csv", {"columns": "x", "header": False}, "a\n") == [{"x": "a"}]
        assert output("csv", {}, "") == output("csv", {}, "a,b\n") == []

    def test_numbers(self):
        text = "n\n1\n-2.5\n007\n1e5\n0\n0.5\n12345678901234567890\n"
        found = [row["n"] for row in output("csv", {"numbers": True}, text)]
        assert found == [1, -2.5, "007", "1e5", 0, 0.5, "12345678901234567890"]

    def test_other_marks(self):
        assert output("csv", {"delimiter": "\t", "quote": "'"}, "a\tb\n'x\ty'\t2\n") == [{"a": "x\ty", "b": "2"}]
        assert failure("csv", {}, 'a\n"x" y\n') == "bad_csv"
        assert failure("csv", {"operation": "write"}, {"a": 1}) == "not_a_list"

    def test_writing(self):
        rows = [{"a": 1, "b": None}, {"c": [1], "a": "x,y"}]
        assert output("csv", {"operation": "write"}, rows) == 'a,b,c\r\n1,,\r\n"x,y",,[1]\r\n'
        assert output("csv", {"operation": "write", "header": False}, [[1, 2]]) == "1,2\r\n"
        guarded = output("csv", {"operation": "write", "guard": True}, [{"a": "=1+1", "b": -5}])
        assert guarded == "a,b\r\n'=1+1,-5\r\n"

    def test_small_texts_cannot_be_huge_tables(self):
        assert failure("csv", {}, ",".join(f"c{i}" for i in range(2_000)) + "\n" + "1\n" * 90_000) == "too_many_items"
        assert failure("csv", {"header": False}, "1\n" * 100_001) == "too_many_items"
        same = output("csv", {}, ",".join("a" * 1 for _ in range(50_000)) + "\n1\n")  # names that repeat cost no square
        assert len(same[0]) == 50_000

    @given(
        st.lists(
            st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), min_size=2, max_size=2)
        )
    )
    def test_there_and_back(self, rows: list[list[str]]):
        text = output("csv", {"operation": "write", "header": False}, rows)
        assert output("csv", {"header": False}, text) == list(csv.reader(io.StringIO(text, newline="")))


class TestDateTime:
    def moment(self, **config: Any) -> dict[str, Any]:
        return output("datetime", config)

    def test_now_is_the_runs(self):
        assert self.moment()["ms"] == NOW
        assert self.moment()["utc"] == "2027-01-15T08:00:00.000Z"

    @pytest.mark.parametrize(
        ("config", "iso"),
        [
            ({"date": "2027-03-27T12:00", "amount": 1, "unit": "day"}, "2027-03-28T12:00:00.000+02:00"),
            ({"date": "2027-03-27T12:00", "amount": 24, "unit": "hour"}, "2027-03-28T13:00:00.000+02:00"),
            ({"date": "2027-03-27T02:30", "amount": 1, "unit": "d"}, "2027-03-28T03:30:00.000+02:00"),
            ({"date": "2028-02-29", "amount": 1, "unit": "years"}, "2029-02-28T00:00:00.000+01:00"),
            ({"date": "2027-01-31", "amount": -2, "unit": "months"}, "2026-11-30T00:00:00.000+01:00"),
            ({"date": 0, "amount": 1, "unit": "quarter"}, "1970-04-01T01:00:00.000+01:00"),
        ],
    )
    def test_adding(self, config: dict[str, Any], iso: str):
        assert self.moment(operation="add", timezone="Europe/Berlin", **config)["iso"] == iso

    @pytest.mark.parametrize(
        ("unit", "start", "end"),
        [
            ("minute", "2027-05-19T13:45:00.000", "2027-05-19T13:45:59.999"),
            ("hour", "2027-05-19T13:00:00.000", "2027-05-19T13:59:59.999"),
            ("day", "2027-05-19T00:00:00.000", "2027-05-19T23:59:59.999"),
            ("week", "2027-05-17T00:00:00.000", "2027-05-23T23:59:59.999"),
            ("month", "2027-05-01T00:00:00.000", "2027-05-31T23:59:59.999"),
            ("quarter", "2027-04-01T00:00:00.000", "2027-06-30T23:59:59.999"),
            ("year", "2027-01-01T00:00:00.000", "2027-12-31T23:59:59.999"),
        ],
    )
    def test_rounding(self, unit: str, start: str, end: str):
        given = {"date": "2027-05-19T13:45:30.123456", "unit": unit}
        assert self.moment(operation="start_of", **given)["iso"] == start + "+00:00"
        assert self.moment(operation="end_of", **given)["iso"] == end + "+00:00"

    def test_differences(self):
        def between(first: str, second: str, unit: str, zone: str = "UTC") -> tuple[int, float]:
            found = self.moment(operation="difference", date=first, to=second, unit=unit, timezone=zone)
            return found["difference"], found["exact"]

        assert between("2027-01-31", "2027-03-01", "month") == (1, pytest.approx(1 + 1 / 31))
        assert between("2027-03-01", "2027-01-31", "month")[0] == -1
        assert between("2024-02-29", "2028-02-28", "year")[0] == 3
        assert between("2027-03-27T12:00", "2027-03-28T12:00", "day", "Europe/Berlin") == (1, 1.0)
        assert between("2027-03-27T12:00", "2027-03-28T12:00", "hour", "Europe/Berlin") == (23, 23.0)
        assert between("2027-01-01", "2027-01-01T00:00:01.5", "second") == (1, 1.5)

    def test_reading_and_showing(self):
        assert self.moment(date="31.12.2026 23:59", parse="dd.MM.yyyy HH:mm")["iso"] == "2026-12-31T23:59:00.000+00:00"
        assert self.moment(date="2026-12-31T23:30Z", timezone="Asia/Tokyo")["date"] == "2027-01-01"
        assert (
            self.moment(date="2026-12-31", format="EEEE, d MMM yyyy 'at' HH:mm")["text"]
            == "Thursday, 31 Dec 2026 at 00:00"
        )

    @pytest.mark.parametrize(
        "config",
        [
            {"date": "soon"}, {"date": None}, {"date": True}, {"date": 1e300}, {"date": [1]}, {"date": "1" * 1000},
            {"operation": "add", "amount": 10_000, "unit": "year"}, {"date": "x", "parse": "yyyy yyyy"},
            {"date": "1", "parse": "Q"}, {"operation": "difference", "to": "?"},
        ],
    )  # fmt: skip
    def test_what_is_no_date(self, config: dict[str, Any]):
        assert failure("datetime", config) == "bad_date"

    def test_bad_configs(self):
        assert codes("datetime", {"unit": "fortnight"}) == [("/unit", "invalid_value")]
        assert codes("datetime", {"timezone": "../etc/passwd"}) == [("/timezone", "invalid_value")]

    @given(
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
        st.integers(-500, 500),
        st.sampled_from(("day", "month", "hour")),
    )
    def test_differences_undo_additions(self, at: datetime, amount: int, unit: str):
        first = at.replace(day=min(at.day, 28), microsecond=0, tzinfo=UTC).isoformat()
        later = self.moment(operation="add", date=first, amount=amount, unit=unit)["iso"]
        assert self.moment(operation="difference", date=first, to=later, unit=unit)["difference"] == amount


def test_hash():
    assert output("hash", {"value": "abc", "algorithm": "md5"})["hash"] == "900150983cd24fb0d6963f7d28e17f72"
    assert output("hash", {"encoding": "base64"}, "abc")["hash"] == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    assert (
        output("hash", {}, {"a": 1, "b": 2})
        == output("hash", {}, {"b": 2, "a": 1})
        == output("hash", {}, '{"a":1,"b":2}')
    )


def pem(key: Any) -> tuple[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class TestCrypto:
    async def test_hashes_and_hmacs_by_their_names(self):
        assert await self.crypto({"operation": "hash", "value": "abc"}) == run("hash", {"value": "abc"}).output
        assert (await self.crypto({"operation": "hash", "value": "abc", "algorithm": "md5"}))["hash"].startswith("9001")
        signed = await self.crypto({"operation": "sign", "value": "abc"}, "key")
        for algorithm in ("sha256", "hmac-sha256"):
            given = {"operation": "hmac", "value": "abc", "algorithm": algorithm}
            assert await self.crypto(given, "key") == signed
        assert codes("crypto", {"operation": "uuid", "algorithm": "md5"}) == [("", "invalid_value")]

    async def crypto(self, config: dict[str, Any], secret: str = "") -> Any:
        credentials = {"signing_key": {"secret": secret}} if secret else {}
        return (await run("crypto", config, credentials=credentials)).output

    async def failing(self, config: dict[str, Any], secret: str = "") -> str:
        with pytest.raises(NodeFailure) as caught:
            await self.crypto(config, secret)
        return caught.value.error.code

    async def test_hmac(self):
        signed = await self.crypto({"operation": "sign", "value": {"b": 1, "a": 2}, "encoding": "base64url"}, "key")
        given = {
            "operation": "verify",
            "value": '{"a":2,"b":1}',
            "signature": signed["signature"],
            "encoding": "base64url",
        }
        assert (await self.crypto(given, "key"))["valid"] is True
        assert (await self.crypto(given, "other"))["valid"] is False
        assert (await self.crypto({**given, "signature": "!"}, "key"))["valid"] is False
        assert await self.failing({"operation": "sign", "value": "x"}) == "no_credential"
        assert (await self.crypto({"operation": "sign", "value": "x", "secret": "inline"}))["signature"]

    @pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-sha256", "rsa-sha256", "rsa-pss-sha256"])
    async def test_key_pairs(self, algorithm: str):
        keys = {
            "ed25519": ed25519.Ed25519PrivateKey.generate,
            "ecdsa-sha256": lambda: ec.generate_private_key(ec.SECP256R1()),
        }
        private, public = pem(keys.get(algorithm, lambda: rsa.generate_private_key(65537, 2048))())
        signed = await self.crypto({"operation": "sign", "value": "x", "algorithm": algorithm}, private)
        given = {"operation": "verify", "algorithm": algorithm, "signature": signed["signature"], "public_key": public}
        assert (await self.crypto({**given, "value": "x"}))["valid"] is True
        assert (await self.crypto({**given, "value": "y"}))["valid"] is False
        assert await self.failing({"operation": "sign", "algorithm": algorithm}, "not a key") == "bad_credential"
        assert await self.failing({**given, "public_key": private}) == "bad_credential"
        other = pem(
            ec.generate_private_key(ec.SECP256R1()) if algorithm[:3] == "rsa" else rsa.generate_private_key(65537, 2048)
        )
        assert await self.failing({**given, "public_key": other[1]}) == "bad_credential"
        assert await self.failing({"operation": "sign", "algorithm": algorithm}, other[0]) == "bad_credential"

    async def test_chance(self):
        four = {(await self.crypto({"operation": "uuid"}))["uuid"] for _ in range(20)}
        assert len(four) == 20
        assert {one[14] for one in four} == {"4"}
        seven = (await self.crypto({"operation": "uuid", "uuid_version": 7}))["uuid"]
        assert int(seven.replace("-", "")[:12], 16) == NOW
        assert (seven[14], seven[19] in "89ab") == ("7", True)
        assert len((await self.crypto({"operation": "random", "bytes": 8}))["random"]) == 16

    def test_bad_configs(self):
        assert codes("crypto", {"operation": "verify", "signature": "x", "algorithm": "ed25519"}) == [
            ("", "invalid_value")
        ]
        [warning] = Registry.load().check("crypto", {"operation": "sign", "secret": "x"})
        assert warning.code == "secret_in_config"


def test_stop():
    with pytest.raises(NodeFailure) as caught:
        run("stop", {"message": "No", "code": "no_good", "details": {"a": 1}, "retryable": True})
    error = caught.value.error
    assert (error.code, error.message, error.retryable, error.details) == ("no_good", "No", True, {"a": 1})
    assert failure("stop", {"error": "x"}) == "stopped"


def test_a_note_stands_for_itself():
    document = {
        "name": "W",
        "nodes": [
            {"id": "t", "type": "trigger_manual"},
            {"id": "n", "type": "sticky_note", "config": {"content": "{{ this is no expression"}},
        ],
        "edges": [],
    }
    definition, warnings = read(document, Registry.load())
    assert warnings == []
    assert definition.nodes[1].type == "note"
