"""Stripe and GitHub: what they are asked, and what their refusals come to."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from linkflow.nodes.egress import EgressClient
from linkflow.nodes.stripe_calls import flat
from tests.unit.nodes.peers import NOW, codes, failing, reply, run
from tests.unit.nodes.test_chat import asked, refused


class TestStripe:
    KEY = {"api_key": "sk_test_secret1", "base_url": "PEER"}

    @pytest.mark.parametrize(
        ("config", "method", "path", "form"),
        [
            ({"operation": "create_customer", "email": "a@example.com", "metadata": {"n": 7}, "fields": {"tax": {"ip": "1"}}},
             "POST", "/v1/customers", [("email", "a@example.com"), ("metadata[n]", "7"), ("tax[ip]", "1")]),
            ({"operation": "update_customer", "id": "cus_1", "name": "Ada"}, "POST", "/v1/customers/cus_1",
             [("name", "Ada")]),
            ({"operation": "delete_customer", "id": "cus_1"}, "DELETE", "/v1/customers/cus_1", []),
            ({"operation": "create_payment", "amount": 1250, "currency": "eur", "customer": "cus_1", "confirm": True,
              "capture": "manual", "payment_method": "pm_1"}, "POST", "/v1/payment_intents",
             [("amount", "1250"), ("currency", "eur"), ("customer", "cus_1"), ("payment_method", "pm_1"),
              ("confirm", "true"), ("capture_method", "manual")]),
            ({"operation": "capture_payment", "id": "pi_1", "amount": 5}, "POST", "/v1/payment_intents/pi_1/capture",
             [("amount_to_capture", "5")]),
            ({"operation": "cancel_payment", "id": "pi_1", "reason": "abandoned"}, "POST",
             "/v1/payment_intents/pi_1/cancel", [("cancellation_reason", "abandoned")]),
            ({"operation": "create_refund", "payment_intent": "pi_1", "amount": 100}, "POST", "/v1/refunds",
             [("payment_intent", "pi_1"), ("amount", "100")]),
            ({"operation": "void_invoice", "id": "in_1"}, "POST", "/v1/invoices/in_1/void", []),
            ({"operation": "call", "path": "v1/checkout/sessions", "fields": {"line_items": [{"price": "p", "quantity": 1}]}},
             "POST", "/v1/checkout/sessions", [("line_items[0][price]", "p"), ("line_items[0][quantity]", "1")]),
        ],
    )  # fmt: skip
    async def test_operations(self, egress: EgressClient, config: dict[str, Any], method: str, path: str, form: Any):
        output, [request] = await asked("stripe", config, self.KEY, egress, {"id": "x_1"})
        assert (request.method, request.path, request.form()) == (method, path, form)
        assert (request.headers["authorization"], request.headers["idempotency-key"]) == (
            "Bearer sk_test_secret1", "exec/n1",
        )  # fmt: skip
        assert (output, request.headers["stripe-version"]) == ({"id": "x_1"}, "2025-03-31.basil")

    async def test_an_invoice_with_lines_can_be_tried_again(self, egress: EgressClient):
        lines = [{"description": "Work", "amount": 5000}, {"price": "price_1", "quantity": 2}]
        config = {
            "operation": "create_invoice",
            "customer": "cus_1",
            "currency": "eur",
            "lines": lines,
            "finalize": True,
        }
        answers = [{"id": "in_1"}, {"id": "ii_1"}, {"id": "ii_2"}, {"id": "in_1", "status": "open"}]
        output, requests = await asked("stripe", config, self.KEY, egress, *answers)
        assert output == {"id": "in_1", "status": "open"}
        assert [(one.path, one.headers["idempotency-key"]) for one in requests] == [
            ("/v1/invoices", "exec/n1/invoice"), ("/v1/invoiceitems", "exec/n1/line0"),
            ("/v1/invoiceitems", "exec/n1/line1"), ("/v1/invoices/in_1/finalize", "exec/n1/finalize"),
        ]  # fmt: skip
        assert dict(requests[1].form()) == {
            "description": "Work", "amount": "5000", "customer": "cus_1", "invoice": "in_1", "currency": "eur",
        }  # fmt: skip
        assert dict(requests[2].form())["pricing[price]"] == "price_1"

    async def test_lists(self, egress: EgressClient):
        pages = [{"data": [{"id": "cus_1"}], "has_more": True}, {"data": [{"id": "cus_2"}], "has_more": False}]
        config = {"operation": "find_customers", "email": "a+b@example.com"}
        output, requests = await asked("stripe", config, self.KEY, egress, *pages)
        assert output == {"items": [{"id": "cus_1"}, {"id": "cus_2"}], "count": 2, "more": False}
        assert [one.path for one in requests] == [
            "/v1/customers?email=a%2Bb%40example.com&limit=20",
            "/v1/customers?email=a%2Bb%40example.com&limit=20&starting_after=cus_1",
        ]
        assert "idempotency-key" not in requests[0].headers
        found = {"data": [{"id": "cus_1"}], "has_more": True, "next_page": "p2"}
        config = {"operation": "find_customers", "query": "name~'Ada'", "limit": 1}
        output, _ = await asked("stripe", config, self.KEY, egress, found)
        assert (output["count"], output["more"]) == (1, True)

    @pytest.mark.parametrize(
        ("status", "error", "headers", "code", "retryable", "details"),
        [
            (402, {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "message": "No."},
             {}, "stripe_error", False, {"error": "card_declined", "decline_code": "insufficient_funds"}),
            (429, {"type": "invalid_request_error", "code": "rate_limit", "message": "Slow"}, {"Retry-After": "2"},
             "stripe_rate_limited", True, {"error": "rate_limit"}),
            (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}, {}, "stripe_error", True, {}),
            (500, {"type": "api_error"}, {"Stripe-Should-Retry": "false"}, "stripe_error", False, {}),
            (400, {"type": "x"}, {"Stripe-Should-Retry": "true"}, "stripe_error", True, {}),
            (401, {"message": "Invalid API Key provided: sk_test_secret1"}, {}, "stripe_error", False, {}),
        ],
    )  # fmt: skip
    async def test_refusals(
        self, egress: EgressClient, status: int, error: Any, headers: Any, code: str, retryable: bool, details: Any
    ):
        config = {"operation": "get_payment", "id": "pi_1"}
        failure = await refused("stripe", config, self.KEY, egress, reply(status, {"error": error}, headers))
        assert (failure.error.code, failure.error.retryable) == (code, retryable)
        assert details.items() <= failure.error.details.items()
        assert "secret1" not in str(failure.error)

    async def test_what_is_missing(self, egress: EgressClient):
        assert codes("stripe", {"operation": "create_payment"}) == [
            ("/amount", "missing_field"), ("/currency", "missing_field"),
        ]  # fmt: skip
        config = {"operation": "get_payment", "id": "pi_1"}
        assert (await failing(run("stripe", config, egress=egress))).error.code == "no_credential"
        for config in ({"operation": "create_refund"}, {"operation": "get_invoice", "id": ".."}):
            failure = await failing(run("stripe", config, egress=egress, credentials={"stripe": {"api_key": "sk_1"}}))
            assert failure.error.code == "invalid_params"

    def test_nested_forms(self):
        fields = {"a": {"b": [1, {"c": True}], "d": None}, "e": "ü&="}
        assert list(flat(fields)) == [("a[b][0]", "1"), ("a[b][1][c]", "true"), ("e", "ü&=")]


class TestGitHub:
    TOKEN = {"token": "ghp_secret_token1", "base_url": "PEER"}
    SHOP = {"repository": "acme/shop"}

    @pytest.mark.parametrize(
        ("config", "method", "path", "body"),
        [
            ({"operation": "update_issue", "number": 7, "state": "closed", "state_reason": "completed"}, "PATCH",
             "/issues/7", {"state": "closed", "state_reason": "completed"}),
            ({"operation": "comment", "number": 7, "comment": "hi"}, "POST", "/issues/7/comments", {"body": "hi"}),
            ({"operation": "add_labels", "number": 7, "labels": "a,b"}, "POST", "/issues/7/labels", {"labels": ["a", "b"]}),
            ({"operation": "remove_label", "number": 7, "label": "a/b"}, "DELETE", "/issues/7/labels/a%2Fb", None),
            ({"operation": "create_pull", "title": "T", "head": "x", "base": "main", "draft": True}, "POST", "/pulls",
             {"title": "T", "head": "x", "base": "main", "draft": True}),
            ({"operation": "merge_pull", "number": 7, "merge_method": "squash"}, "PUT", "/pulls/7/merge",
             {"merge_method": "squash"}),
            ({"operation": "review", "number": 7, "event": "APPROVE"}, "POST", "/pulls/7/reviews", {"event": "APPROVE"}),
            ({"operation": "dispatch", "event_type": "deploy", "payload": {"a": 1}}, "POST", "/dispatches",
             {"event_type": "deploy", "client_payload": {"a": 1}}),
            ({"operation": "run_workflow", "workflow": "ci.yml", "target": "main", "inputs": {"a": 1}}, "POST",
             "/actions/workflows/ci.yml/dispatches", {"ref": "main", "inputs": {"a": "1"}}),
            ({"operation": "create_release", "tag": "v1", "generate_notes": True, "prerelease": True}, "POST", "/releases",
             {"tag_name": "v1", "prerelease": True, "generate_release_notes": True}),
            ({"operation": "get_release"}, "GET", "/releases/latest", None),
            ({"operation": "get_release", "tag": "v1"}, "GET", "/releases/tags/v1", None),
        ],
    )  # fmt: skip
    async def test_operations(self, egress: EgressClient, config: dict[str, Any], method: str, path: str, body: Any):
        _, [request] = await asked("github", {**self.SHOP, **config}, self.TOKEN, egress, {"id": 1})
        assert (request.method, request.path) == (method, f"/repos/acme/shop{path}")
        assert (request.json() if request.body else None) == body
        assert request.headers["authorization"] == "Bearer ghp_secret_token1"

    async def test_lists_follow_the_link_to_their_limit(self, egress: EgressClient):
        config = {**self.SHOP, "operation": "list_issues", "state": "all", "labels": "a,b", "limit": 3}
        link = {"Link": '</repositories/1/issues?page=2>; rel="next"'}
        first = reply(200, [{"number": 1}, {"number": 2}], link)
        output, requests = await asked("github", config, self.TOKEN, egress, first, [{"number": 3}])
        assert output == {"items": [{"number": 1}, {"number": 2}, {"number": 3}], "count": 3, "more": False}
        assert [one.path for one in requests] == [
            "/repos/acme/shop/issues?per_page=3&state=all&labels=a%2Cb", "/repositories/1/issues?page=2",
        ]  # fmt: skip
        config = {"operation": "search_issues", "query": "is:open", "limit": 1}
        answer = reply(200, {"total_count": 2, "items": [{"number": 1}]}, link)
        output, _ = await asked("github", config, self.TOKEN, egress, answer)
        assert (output["count"], output["more"]) == (1, True)

    async def test_files(self, egress: EgressClient):
        content = {"type": "file", "encoding": "base64", "content": "aGk=\n", "sha": "s1", "path": "docs/a b.md"}
        config = {**self.SHOP, "operation": "get_file", "path": "/docs/a b.md", "branch": "dev"}
        output, [request] = await asked("github", config, self.TOKEN, egress, content)
        assert request.path == "/repos/acme/shop/contents/docs/a%20b.md?ref=dev"
        assert (output["text"], output["base64"], output["size"], output["sha"]) == ("hi", "aGk=", 2, "s1")
        config = {**self.SHOP, "operation": "put_file", "path": "a.md", "content": "new"}
        missing = reply(404, {"message": "Not Found"})
        _, [_, request] = await asked("github", config, self.TOKEN, egress, missing, {"commit": {"sha": "c1"}})
        assert request.json() == {"message": "Add a.md", "content": base64.b64encode(b"new").decode()}
        output, [_, request] = await asked("github", config, self.TOKEN, egress, content, {"commit": {"sha": "c1"}})
        assert (request.json()["sha"], output["changed"]) == ("s1", True)
        output, [request] = await asked("github", {**config, "content": "hi"}, self.TOKEN, egress, content)
        assert (request.method, output["changed"]) == ("GET", False)
        config = {**self.SHOP, "operation": "delete_file", "path": "a.md"}
        _, [_, request] = await asked("github", config, self.TOKEN, egress, content, {"commit": {"sha": "c1"}})
        assert (request.method, request.json()) == ("DELETE", {"message": "Delete a.md", "sha": "s1"})
        assert (await refused("github", config, self.TOKEN, egress, missing)).error.code == "github_error"
        assert (await asked("github", config, self.TOKEN, egress, missing, attempt=2))[0]["changed"] is False

    async def test_a_large_file_is_asked_for_by_itself(self, egress: EgressClient):
        config = {**self.SHOP, "operation": "get_file", "path": "a.bin"}
        about = {"type": "file", "encoding": "none", "content": "", "sha": "s1", "path": "a.bin"}
        output, [_, request] = await asked("github", config, self.TOKEN, egress, about, reply(200, b"\xff\x00"))
        assert request.headers["accept"] == "application/vnd.github.raw+json"
        assert (output["text"], output["base64"]) == (None, "/wA=")

    async def test_any_call(self, egress: EgressClient):
        config = {"operation": "call", "path": "/user/repos", "parameters": {"sort": "pushed"}}
        output, [request] = await asked("github", config, self.TOKEN, egress, [{"id": 1}])
        assert (request.path, output["items"]) == ("/user/repos?per_page=30&sort=pushed", [{"id": 1}])
        config = {"operation": "call", "method": "POST", "path": "gists", "body": {"files": {}}}
        output, [request] = await asked("github", config, self.TOKEN, egress, {"id": "g"})
        assert (request.path, request.json(), output) == ("/gists", {"files": {}}, {"id": "g"})

    @pytest.mark.parametrize(
        ("status", "answer", "headers", "code", "wait"),
        [
            (403, {"message": "API rate limit exceeded for user"},
             {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW // 1000 + 90)}, "github_rate_limited", 90_000),
            (403, {"message": "You have exceeded a secondary rate limit."}, {}, "github_rate_limited", 60_000),
            (429, {"message": "secondary"}, {"Retry-After": "5"}, "github_rate_limited", 5000),
            (403, {"message": "Resource not accessible by integration"}, {"X-RateLimit-Remaining": "9"}, "github_error", 0),
            (422, {"message": "Validation Failed", "errors": [{"field": "title", "code": "missing_field"}]}, {},
             "github_error", 0),
        ],
    )  # fmt: skip
    async def test_refusals(
        self, egress: EgressClient, status: int, answer: Any, headers: dict[str, str], code: str, wait: int
    ):
        config = {**self.SHOP, "operation": "get_repository"}
        failure = await refused("github", config, self.TOKEN, egress, reply(status, answer, headers))
        assert (failure.error.code, failure.retry_after, failure.error.retryable) == (code, wait, wait > 0)
        assert ("title missing_field" in failure.error.message) == (status == 422)

    async def test_what_is_missing(self, egress: EgressClient):
        assert codes("github", {"operation": "comment"}) == [
            ("/repository", "missing_field"), ("/number", "missing_field"), ("/body", "missing_field"),
        ]  # fmt: skip
        assert codes("github", {"operation": "get_repository", "repository": "{{ input.repo }}"}) == []
        config = {**self.SHOP, "operation": "get_file", "path": "a/../../../user"}
        failure = await failing(run("github", config, egress=egress, credentials={"github": {"token": "t"}}))
        assert failure.error.code == "invalid_params"
        assert (await failing(run("github", config, egress=egress))).error.code == "no_credential"
