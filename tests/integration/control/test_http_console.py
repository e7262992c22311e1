"""The console's page and parts over HTTP. What is built is here a folder of the test's own."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from linkflow.http.app import create_app
from linkflow.http.console_parts import Console
from tests.integration.control.plane import Plane

SCRIPT = b"console.log('linkflow');" * 20


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text('<!doctype html><script src="./assets/index-1.js"></script>')
    (tmp_path / "assets" / "index-1.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "index-1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "secret.txt").write_text("not a part of it")
    return tmp_path


@pytest.fixture
async def browser(plane: Plane, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(plane, Console(folder)) as found:
        yield found


def _client(plane: Plane, console: Console, public_url: str = "https://flows.example.com") -> httpx.AsyncClient:
    services = plane.client._transport.app.app.state.services  # type: ignore[attr-defined]
    app = create_app(replace(services, console=console, public_url=public_url))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linkflow.test")


async def test_the_page_needs_no_token_and_lets_nothing_else_run(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/console/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_who_has_the_page_is_not_sent_it_again(browser: httpx.AsyncClient, folder: Path) -> None:
    tag = (await browser.get("/console/")).headers["etag"]
    again = await browser.get("/console/", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    (folder / "index.html").write_text("<!doctype html>another build")


async def test_parts_are_kept_for_ever_and_come_as_small_as_the_client_takes_them(browser: httpx.AsyncClient) -> None:
    for accepted, encoding in (("gzip, br", "gzip"), ("br;q=0, *", "gzip"), ("gzip;q=0", None), ("", None)):
        answer = await browser.get("/console/assets/index-1.js", headers={"Accept-Encoding": accepted})
        assert answer.status_code == 200
        assert answer.headers.get("content-encoding") == encoding
        assert answer.content == SCRIPT
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        again = await browser.get(
            "/console/assets/index-1.js",
            headers={"Accept-Encoding": accepted, "If-None-Match": answer.headers["etag"]},
        )
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name",
    ["none-1.js", "..%2Fsecret.txt", "..%2findex.html", "secret.txt", "index-1.js.gz", "%2e%2e", ".js", "a..js"],
)
async def test_nothing_but_parts_is_given_out(browser: httpx.AsyncClient, name: str) -> None:
    answer = await browser.get(f"/console/assets/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_root_leads_to_the_console_also_below_a_path(plane: Plane, folder: Path) -> None:
    """And the page names its parts the same whether the slash behind its address was kept or not."""
    for public_url, target in (("https://a.example.com", "/console/"), ("https://a.example.com/lf", "/lf/console/")):
        async with _client(plane, Console(folder), public_url) as browser:
            answer = await browser.get("/")
            assert (answer.status_code, answer.headers["location"]) == (307, target)
            pages = {(await browser.get(path)).text for path in ("/console", "/console/")}
            assert pages == {f'<!doctype html><script src="{target}assets/index-1.js"></script>'}


@pytest.mark.parametrize("has_page", [False, True], ids=["nothing", "a page without its parts"])
async def test_where_it_was_not_built_the_page_says_how(plane: Plane, tmp_path: Path, has_page: bool) -> None:
    if has_page:
        (tmp_path / "index.html").write_text("<!doctype html>")
    async with _client(plane, Console(tmp_path)) as browser:
        for path in ("/", "/console/"):
            answer = await browser.get(path)
            assert answer.status_code == 404
            assert "make console" in answer.json()["detail"]


async def test_parts_from_elsewhere_are_fetched_once(plane: Plane, folder: Path) -> None:
    asked = []

    async def read(name: str) -> bytes | None:
        asked.append(name)
        return SCRIPT if name == "index-2.js" else None

    async with _client(plane, Console(folder, read)) as browser:
        headers = {"Accept-Encoding": "identity"}
        for _ in range(2):
            assert (await browser.get("/console/assets/index-2.js", headers=headers)).content == SCRIPT
        assert (await browser.get("/console/assets/gone.js", headers=headers)).status_code == 404
    assert asked == ["index-2.js", "gone.js"]


def test_what_is_built_asks_for_nothing_from_elsewhere() -> None:
    page = Path("web/index.html").read_text()
    assert not re.findall(r"https?://", page)
    assert not re.findall(r"<style|<script(?![^>]*src=)|\son\w+=|style=", page), "the policy lets nothing inline run"
