"""The console, as somebody uses it: by what a screen reader would say of it, and a part of it by the keyboard alone."""

from __future__ import annotations

import base64
import json
import secrets
import time

import httpx
import pytest
from playwright.async_api import Page, expect

from linkflow.services.second_factor import STEP, code_at
from tests.browser.conftest import PATIENCE, chromium
from tests.e2e.documents import edge, http, node, workflow
from tests.e2e.person import Person
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import Topology

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.skipif(not chromium(), reason="No Chromium here. Run: make .tools/browser/.ready")
PASSWORD = "Correct1horse"


async def register(page: Page, url: str) -> str:
    """By the form; the e-mail address."""
    email = f"{secrets.token_hex(6)}@example.com"
    await page.goto(f"{url}/")
    await page.get_by_role("button", name="Make an account").click()
    for label, value in {
        "First name": "Ada", "Last name": "Lovelace", "E-mail": email, "Password": PASSWORD, "Password once more": PASSWORD,
    }.items():  # fmt: skip
        await page.get_by_label(label, exact=True).fill(value)
    await page.get_by_role("button", name="Make an account").first.click()
    await expect(page.get_by_role("heading", name="Nothing has run yet")).to_be_visible()
    return email


async def stands(page: Page, status: str) -> None:
    await expect(page.get_by_role("main").get_by_role("status").get_by_text(status)).to_be_visible()


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def test_from_an_account_to_a_fork(stack: Topology, page: Page) -> None:
    await register(page, stack.url)
    await page.get_by_role("link", name="To the workflows").click()
    await page.get_by_role("button", name="New workflow").click()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="My first workflow")).to_be_visible()

    await page.get_by_role("button", name="Start", exact=True).click()
    await page.get_by_label("Input, as JSON").fill('{"name": ')
    await page.get_by_role("dialog").get_by_role("button", name="Start").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("not JSON")
    await page.get_by_label("Input, as JSON").fill('{"name": "Ada"}')
    await page.get_by_role("dialog").get_by_role("button", name="Start").click()

    await expect(page.get_by_role("button", name="Take a breath delay waiting")).to_be_visible()
    await expect(
        page.get_by_role("button", name="Greet transform completed")
    ).to_be_visible()  # nobody loads the page anew
    await stands(page, "completed")
    await expect(page.get_by_role("region", name="result")).to_contain_text("Hello, Ada!")
    await expect(page.get_by_role("region", name="Events")).to_contain_text("Timer fired")

    await page.get_by_role("button", name="Greet transform").press("Enter")
    await expect(page.get_by_role("region", name="output")).to_contain_text("Hello, Ada!")
    first = page.url
    assert first.endswith("?node=greet")
    await page.get_by_role("button", name="Fork from here").click()
    await page.get_by_label("Give it another input").check()
    await page.get_by_label("Input, as JSON").fill('{"edited": true}')
    await page.get_by_role("dialog").get_by_role("button", name="Fork").click()
    await expect(page.get_by_text("made from")).to_be_visible()
    await stands(page, "completed")
    assert page.url != first
    await page.get_by_role("button", name="Greet transform").click()
    await expect(page.get_by_role("region", name="input")).to_contain_text("edited")
    await page.get_by_role("button", name="Take a breath").click()
    await expect(page.get_by_text("Kept from the run that this one was made from.")).to_be_visible()
    await texts_stand_out(page)

    await page.get_by_role("navigation").get_by_role("link", name="Runs").click()
    await expect(page.get_by_role("row")).to_have_count(3)
    await page.get_by_label("Status").select_option("failed")
    await expect(page.get_by_role("heading", name="No run fits")).to_be_visible()


async def test_what_happens_elsewhere_comes_up_by_itself(stack: Topology, page: Page) -> None:
    """A run that others start, and what it asks: decided here, it goes on."""
    email = await register(page, stack.url)
    with Signed(stack.url, email) as person:
        saved = person.save(workflow(node("ask", "action_approval", {"title": "Ship it?"}), node("out", "noop")))
        execution = person.start(saved["id"])
        await expect(page.get_by_role("row").nth(1)).to_contain_text("running")
        await page.get_by_role("link", name="Approvals").click()
        card = page.get_by_role("article", name="Ship it?")
        await card.get_by_label("Comment").fill("By all means")
        await card.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("heading", name="Nothing waits for a decision")).to_be_visible()
        run = person.end(execution).check()
        assert "By all means" in json.dumps(run.events)


async def test_a_run_that_failed_goes_on_and_one_that_waits_is_cancelled(stack: Topology, page: Page, web: Web) -> None:
    email = await register(page, stack.url)
    web.place("/stock", statuses=[500, 500])
    with Signed(stack.url, email) as person:
        each = node("each", "loop", {"items": "{{ [1, 2, 3] }}", "concurrency": 1})
        body = node("work", "transform", {"fields": {"twice": "{{ loop.item * 2 }}"}})
        call = http("call", web.url("/stock"), retry={"max_attempts": 2, "initial_interval": 0.1})
        edges = [edge("begin", "each"), edge("each", "work", "each"), edge("each", "call", "done")]
        begin = node("begin", "trigger_manual")
        document = workflow(begin, each, body, call, edges=edges)
        execution = person.start(person.save(document)["id"])
        person.end(execution).check("failed")
        await page.goto(f"{stack.url}/console/#/w/{person.workspace}/runs/{execution}")
        await expect(page.get_by_role("button", name="Work transform completed · 3 of 3")).to_be_visible()
        await page.get_by_role("button", name="To the node that failed").click()
        await expect(page.get_by_role("button", name="Call action_http_request failed · attempt 2")).to_be_visible()
        await expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
        await texts_stand_out(page)
        await page.get_by_role("button", name="Retry").click()
        await stands(page, "completed")

        waiting = person.start(person.save(workflow(node("rest", "delay", {"seconds": 600})))["id"])
        await page.get_by_role("navigation").get_by_role("link", name="Runs").click()
        await page.get_by_role("row").filter(has_text="running").get_by_role("link").click()
        await page.get_by_role("button", name="Cancel").click()
        await stands(page, "cancelled")
        person.end(waiting).check("cancelled")


async def test_a_refusal_is_said_and_a_broken_workflow_with_all_that_is_wrong(stack: Topology, page: Page) -> None:
    await register(page, stack.url)
    await page.goto(f"{page.url.rpartition('/')[0]}/workflows")
    await page.get_by_role("button", name="New workflow").click()
    broken = {"name": "Broken", "nodes": [{"id": "a", "type": "no_such"}], "edges": [{"source": "a", "target": "b"}]}
    await page.get_by_label("Definition").fill(json.dumps(broken))
    await page.get_by_role("button", name="Save").click()
    said = page.get_by_role("dialog").get_by_role("alert")
    await expect(said).to_contain_text("/nodes/0/type")
    await expect(said).to_contain_text("/edges/0")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.goto(f"{stack.url}/console/#/w/01a2093f-ef3f-7abf-b1db-00c9ddfc5e69/runs")
    await expect(page.get_by_role("heading", name="This workspace is not yours")).to_be_visible()


async def test_who_opens_an_address_signs_in_first_and_tabs_share_it(stack: Topology, page: Page) -> None:
    email = await register(page, stack.url)
    with Signed(stack.url, email) as person:
        execution = person.start(person.save(workflow(node("out", "noop")))["id"])
        person.end(execution).check()
        address = f"{stack.url}/console/#/w/{person.workspace}/runs/{execution}"
        another = await page.context.new_page()
        await another.goto(address)
        await expect(another.get_by_role("heading", name=f"Run {execution[-12:]}")).to_be_visible()
        await another.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await another.close()

        secret = person.second_factor()
        await page.goto(address)
        await page.reload()
        await sign_in(page, email, "Wrong1horse")
        await expect(page.get_by_role("alert")).to_contain_text("password is wrong")
        await texts_stand_out(page)
        await sign_in(page, email, PASSWORD)
        await page.get_by_label("Code of the second factor").fill(code_at(secret, int(time.time()) // STEP + 1))
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("heading", name=f"Run {execution[-12:]}")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("heading", name=f"Run {execution[-12:]}")).to_be_visible()


async def texts_stand_out(page: Page) -> None:
    """From their ground, in light and dark, as WCAG AA wants it: 4.5 to 1."""
    for scheme in ("dark", "light"):
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate(CONTRASTS) == []


async def test_by_a_provider_one_comes_back_to_where_one_was(stack: Topology, page: Page) -> None:
    await page.goto(f"{stack.url}/console/")
    await page.get_by_role("button", name="Sign in by Corp").click()
    await expect(page.get_by_role("heading", name="Nothing has run yet")).to_be_visible()
    assert "code=" not in page.url
    approvals = page.url.replace("/runs", "/approvals")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto(approvals)
    await page.get_by_role("button", name="Sign in by Corp").click()
    await expect(page.get_by_role("heading", name="Nothing waits for a decision")).to_be_visible()
    assert page.url == approvals
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.goto(f"{stack.url}/console/#code=of-somebody-else")
    await page.reload()
    await expect(page.get_by_role("alert")).to_be_visible()


async def test_tabs_trade_a_refresh_token_once_and_a_lost_part_is_no_empty_page(stack: Topology, page: Page) -> None:
    await page.context.clock.install()
    await register(page, stack.url)
    another = await page.context.new_page()
    await another.goto(page.url)
    await expect(another.get_by_role("heading", name="Nothing has run yet")).to_be_visible()
    traded: list[str] = []
    page.context.on("request", lambda asked: traded.append(asked.url) if asked.url.endswith("/refresh") else None)
    await page.context.clock.fast_forward("20:00")
    for tab in (page, another):
        await tab.get_by_role("navigation").get_by_role("link", name="Approvals").click()
    for tab in (page, another):
        await expect(tab.get_by_role("heading", name="Nothing waits for a decision")).to_be_visible()
    assert len(traded) == 1
    await another.route("**/assets/Workflows-*", lambda route: route.fulfill(status=404))
    await another.get_by_role("navigation").get_by_role("link", name="Workflows").click()
    await expect(another.get_by_role("heading", name="This page cannot be shown")).to_be_visible()
    await another.get_by_role("navigation").get_by_role("link", name="Approvals").click()
    await expect(another.get_by_role("heading", name="Nothing waits for a decision")).to_be_visible()


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = channels(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return channels(matchMedia("(prefers-color-scheme: dark)").matches ? "black" : "white");
  };
  const faults = [];
  for (const element of document.querySelectorAll("#root *")) {
    const own = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(channels(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faults.push(`${element.textContent.trim()}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
  }
  return faults;
}"""


class Signed(Person):
    """Somebody who has an account already, over the API."""

    def __init__(self, url: str, email: str) -> None:
        self.url, self.patience, self.email = url, 0.0, email
        self.http = httpx.Client(base_url=url, timeout=40.0, trust_env=False)
        session = self.post("/api/v1/auth/login", {"email": email, "password": PASSWORD})
        self.http.headers["Authorization"] = f"Bearer {session['access_token']}"
        self.workspace = self.get("/api/v1/workspaces")["data"][0]["id"]
        self.base = f"/api/v1/workspaces/{self.workspace}"

    def second_factor(self) -> bytes:
        """Set up; its secret."""
        made = self.post("/api/v1/user/second-factor", {"password": PASSWORD})
        secret = base64.b32decode(made["secret"])
        self.post("/api/v1/user/second-factor/confirm", {"code": code_at(secret, int(time.time()) // STEP)})
        return secret

    def __enter__(self) -> Signed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
