"""A real browser on a whole LinkFlow: Chromium, steered by Playwright."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from playwright.async_api import Browser, Page, async_playwright

from tests.conftest import TEST_REDIS_DATABASE, fresh_database
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import Topology, in_process
from tests.integration.control.provider import CLIENT, SECRET, StandIn, stand_in

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
FETCHED = ROOT / ".tools" / "browser"
PATIENCE = 20_000
"""Milliseconds that the page may take for a step, on a machine that does other things as well."""


def chromium() -> str:
    """The browser of this machine, or the one that `make .tools/browser/.ready` has fetched."""
    given = os.environ.get("LINKFLOW_CHROMIUM", "")
    found = (given, *map(shutil.which, NAMES), *filter(os.path.exists, PLACES))
    return next(filter(None, found), "") or (str(FETCHED / "chromium") if (FETCHED / "chromium").exists() else "")


@pytest.fixture(scope="session")
def console() -> None:
    """Built as `make test` does it, unless it is."""
    subprocess.run(["make", "--no-print-directory", "console"], cwd=ROOT, check=True, timeout=300)


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[StandIn]:
    async with stand_in() as made:
        yield made


@pytest.fixture(scope="module")
def stack(
    console: None, postgres, valkey, migrated_template: str, tmp_path_factory: pytest.TempPathFactory, provider: StandIn
) -> Iterator[Topology]:
    oidc = {"corp": {"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET}}
    cache = f"{valkey.url.rsplit('/', 1)[0]}/{TEST_REDIS_DATABASE}"
    with redis.Redis.from_url(cache) as client:
        client.flushdb()
    with (
        fresh_database(postgres.url, migrated_template) as url,
        in_process(url, cache, tmp_path_factory.mktemp("browser"), LINKFLOW_OIDC=json.dumps(oidc)) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as steering:
        # A sandbox of its own is more than a container lets it have; it visits nothing but us.
        path, env = chromium(), dict(os.environ)
        if path.startswith(str(FETCHED)):  # with libraries and fonts of its own
            env |= {"LD_LIBRARY_PATH": str(FETCHED / "lib"), "FONTCONFIG_FILE": str(FETCHED / "fonts.conf")}
        started = await steering.chromium.launch(executable_path=path, args=["--no-sandbox"], env=env)
        yield started
        await started.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A tab. Whatever the page says is wrong fails the test: errors, and what its policy had to refuse."""
    context = await browser.new_context(locale="en-US", timezone_id="UTC", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    made = await context.new_page()
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    yield made
    await context.close()
    assert wrong == []
