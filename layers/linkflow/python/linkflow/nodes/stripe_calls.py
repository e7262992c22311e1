"""What Stripe is asked (https://docs.stripe.com/api): nested forms, with an idempotency key wherever one counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import to_text
from linkflow.nodes.json_api import Api, Trouble, gather, relative, set_up
from linkflow.nodes.operations import Route, picked
from linkflow.nodes.stripe import FAMILY, VERSION, StripeParams

_CUSTOMER = ("email", "name", "phone", "description", "metadata")
_REASON = ("reason:cancellation_reason",)
_ROUTES: Mapping[str, Route] = {
    "create_customer": Route("POST", "/v1/customers", _CUSTOMER),
    "get_customer": Route("GET", "/v1/customers/{id}"),
    "update_customer": Route("POST", "/v1/customers/{id}", _CUSTOMER),
    "delete_customer": Route("DELETE", "/v1/customers/{id}"),
    "create_payment": Route(
        "POST", "/v1/payment_intents",
        ("amount", "currency", "customer", "description", "payment_method", "receipt_email", "metadata"),
    ),
    "get_payment": Route("GET", "/v1/payment_intents/{id}"),
    "confirm_payment": Route("POST", "/v1/payment_intents/{id}/confirm", ("payment_method",)),
    "capture_payment": Route("POST", "/v1/payment_intents/{id}/capture", ("amount:amount_to_capture",)),
    "cancel_payment": Route("POST", "/v1/payment_intents/{id}/cancel", _REASON),
    "list_payments": Route("GET", "/v1/payment_intents", query=("customer",)),
    "get_invoice": Route("GET", "/v1/invoices/{id}"),
    "finalize_invoice": Route("POST", "/v1/invoices/{id}/finalize"),
    "send_invoice": Route("POST", "/v1/invoices/{id}/send"),
    "pay_invoice": Route("POST", "/v1/invoices/{id}/pay", ("payment_method",)),
    "void_invoice": Route("POST", "/v1/invoices/{id}/void"),
    "list_invoices": Route("GET", "/v1/invoices", query=("customer",)),
    "create_refund": Route(
        "POST", "/v1/refunds", ("payment:payment_intent", "charge", "amount", "reason", "metadata")
    ),
}  # fmt: skip


class StripeApi(Api):
    name, code, base_url = "Stripe", "stripe", "https://api.stripe.com"

    def trouble(self, response: EgressResponse) -> Trouble | None:
        if response.status_code < 300:
            return None
        found = self.told(response, "error")
        names = ("type", "code", "decline_code", "param", "request_log_url")
        details = {("error" if name == "code" else name): found[name] for name in names if found.get(name)}
        # Stripe knows best; a conflict is another attempt of the same key that is still at work.
        said = {"true": True, "false": False}.get(response.headers.get("stripe-should-retry", ""))
        again = said if said is not None else True if response.status_code == 409 else None
        why = str(found.get("message") or found.get("code") or "")
        return Trouble(why, is_limit=response.status_code == 429, retryable=again, details=details)

    async def form(self, method: str, path: str, fields: Mapping[str, Any], nth: str = "") -> dict[str, Any]:
        """One call; what is read goes in the query, what is written as a form."""
        pairs = dict(flat(fields))
        if method == "GET":
            return await self.ask_object(method, path, query=pairs)
        return await self.ask_object(method, path, body=pairs or None, body_type="form", nth=nth)


def flat(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Nested fields as Stripe's forms spell them: ``items[0][price]``. Null is left out."""
    for name, value in fields.items():
        yield from _flat(str(name), value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{name}[{key}]", item)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _flat(f"{name}[{place}]", item)
    elif value is not None:
        yield name, to_text(value)


def api_of(secrets: Mapping[str, Any], context: Context, version: str = "") -> StripeApi:
    """The API with its key. Raises `NodeFailure` ``no_credential``."""
    key = str(secrets.get("api_key") or "")
    if not key:
        raise set_up("Stripe", "give the node a credential with an `api_key`")
    return StripeApi(context, secrets, {"Authorization": f"Bearer {key}", "Stripe-Version": version or VERSION})


async def do(params: StripeParams, context: Context) -> dict[str, Any]:
    """The node's output."""
    secrets = {"api_key": params.api_key} if params.api_key else connection(context, FAMILY)
    api = api_of(secrets, context, params.version)
    api.headers |= {"Stripe-Account": params.account} if params.account else {}
    operation = params.operation
    if operation == "call":
        return await api.form(params.method, relative(params.path), params.fields)
    if operation == "create_invoice":
        return await _invoice(api, params)
    if operation == "find_customers":
        return await _find(api, params)
    route = _ROUTES[operation]
    if operation.startswith("list_"):
        return await _list(api, route.path, picked(params, route.query), params)
    if operation == "create_refund" and not (params.payment or params.charge):
        raise NodeFailure("invalid_params", "A refund needs `payment` or `charge`.", retryable=False)
    fields = picked(params, route.body) | params.fields
    if operation == "create_payment":
        fields |= {"confirm": True} if params.confirm else {}
        fields |= {"capture_method": "manual"} if params.capture == "manual" else {}
    return await api.form(route.method, route.url(params), fields)


async def _invoice(api: StripeApi, params: StripeParams) -> dict[str, Any]:
    """The invoice, then its lines, each with a key of its own, so that a retry goes on where it was."""
    fields = picked(params, ("customer", "description", "currency", "metadata", "days_until_due"))
    if params.days_until_due is not None:
        fields |= {"collection_method": "send_invoice", "days_until_due": params.days_until_due}
    made = await api.form("POST", "/v1/invoices", fields | params.fields, "invoice")
    id = str(made.get("id") or "")
    for place, line in enumerate(params.lines):
        item = picked(line, ("description", "amount", "currency", "quantity")) | {
            "customer": params.customer,
            "invoice": id,
        }
        if line.price:
            item |= {"pricing": {"price": line.price}}
        elif params.currency:
            item.setdefault("currency", params.currency)
        await api.form("POST", "/v1/invoiceitems", item, f"line{place}")
    if params.finalize:
        return await api.form("POST", f"/v1/invoices/{id}/finalize", {}, "finalize")
    return await api.form("GET", f"/v1/invoices/{id}", {}) if params.lines else made


async def _find(api: StripeApi, params: StripeParams) -> dict[str, Any]:
    if not params.query:
        return await _list(api, "/v1/customers", picked(params, ("email",)), params)

    async def page(following: Any) -> tuple[list[Any], Any]:
        asked = {"query": params.query, "limit": min(params.limit, 100), "page": following}
        answer = await api.form("GET", "/v1/customers/search", asked)
        return answer.get("data") or [], answer.get("next_page")

    return await gather(page, params.limit, api.name)


async def _list(api: StripeApi, path: str, wanted: dict[str, Any], params: StripeParams) -> dict[str, Any]:
    async def page(after: Any) -> tuple[list[Any], Any]:
        asked = {**wanted, **params.fields, "limit": min(params.limit, 100), "starting_after": after}
        answer = await api.form("GET", path, asked)
        items = answer.get("data") or []
        return items, items[-1].get("id") if items and answer.get("has_more") else None

    return await gather(page, params.limit, api.name)
