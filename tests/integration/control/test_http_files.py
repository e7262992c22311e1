"""Files of the workspace over HTTP."""

from __future__ import annotations

import pytest

from tests.integration.control.plane import Plane, check_problem


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


async def test_a_file_is_kept_listed_read_and_deleted(plane: Plane):
    ada = await plane.somebody()
    url = f"{ada.base}/files"
    for path, form, kind in (
        ("a/b.txt", {"content": "hü"}, "text/plain; charset=utf-8"),
        ("a/c d.json", {"content": {"n": 1}}, "application/json"),
        ("ü.bin", {"base64": "AP8=", "content_type": "image/x"}, "image/x"),
    ):
        put = await plane.client.put(f"{url}/{path}", json=form, headers=ada.auth)
        assert put.status_code == 200, put.text
        assert (put.json()["file"]["path"], put.json()["file"]["content_type"]) == (path, kind)
    first = (await plane.client.get(url, params={"prefix": "a/", "per_page": 1}, headers=ada.auth)).json()
    assert ([one["path"] for one in first["data"]], first["meta"]["next_cursor"]) == (["a/b.txt"], "a/b.txt")
    rest = (await plane.client.get(url, params={"prefix": "a/", "cursor": "a/b.txt"}, headers=ada.auth)).json()
    assert ([one["path"] for one in rest["data"]], rest["meta"]["next_cursor"]) == (["a/c d.json"], None)
    got = await plane.client.get(f"{url}/ü.bin", headers=ada.auth)
    assert (got.content, got.headers["content-type"]) == (b"\x00\xff", "image/x")
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BC.bin"
    assert "sandbox" in got.headers["content-security-policy"]
    assert (await plane.client.delete(f"{url}/ü.bin", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(f"{url}/ü.bin", headers=ada.auth), 404, "not_found")
    check_problem(await plane.client.delete(f"{url}/ü.bin", headers=ada.auth), 404, "not_found")


async def test_what_is_refused(plane: Plane):
    ada = await plane.somebody()
    url = f"{ada.base}/files"
    assert (await plane.client.put(f"{url}/a", json={"content": "1"}, headers=ada.auth)).status_code == 200
    same = {"content": "1", "overwrite": False}
    assert (await plane.client.put(f"{url}/a", json=same, headers=ada.auth)).status_code == 200
    other = {"content": "2", "overwrite": False}
    check_problem(await plane.client.put(f"{url}/a", json=other, headers=ada.auth), 409)
    for form in ({}, {"base64": "!"}, {"content": "x", "content_type": "a\nb"}):
        check_problem(await plane.client.put(f"{url}/b", json=form, headers=ada.auth), 422)
    for path in ("a//b", "a%2F..%2Fb", "%01", "x" * 600, "a%5Cb"):  # what has NUL comes no further than the door
        check_problem(await plane.client.put(f"{url}/{path}", json={"content": ""}, headers=ada.auth), 422)
        check_problem(await plane.client.get(f"{url}/{path}", headers=ada.auth), 422)


async def test_a_workspace_sees_its_own(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    await plane.client.put(f"{ada.base}/files/a", json={"content": "1"}, headers=ada.auth)
    assert (await plane.client.get(f"{bob.base}/files", headers=bob.auth)).json()["data"] == []
    check_problem(await plane.client.get(f"{bob.base}/files/a", headers=bob.auth), 404)
    for call in (plane.client.get, plane.client.delete):
        check_problem(await call(f"{ada.base}/files/a", headers=bob.auth), 404)
