"""Stripe: customers, payments, invoices, refunds. The output is Stripe's object."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar, Literal

from pydantic import Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Secret, Text
from linkflow.nodes.json_api import LISTED, faults
from linkflow.nodes.operations import Operated, part
from linkflow.nodes.slots import Slot

FAMILY = "stripe"
VERSION = "2025-03-31.basil"
"""Of Stripe's API: the one that this file was written for, whatever the account has."""
_CUSTOMER = "create_customer update_customer"
_BY_ID = (
    "get_customer update_customer delete_customer get_payment confirm_payment capture_payment cancel_payment "
    "get_invoice finalize_invoice send_invoice pay_invoice void_invoice"
)
_OF_CUSTOMER = "create_payment list_payments list_invoices"


class Line(Params):
    """A line of an invoice: an amount, or a price of the catalogue."""

    description: Text = ""
    amount: int | None = Field(None, description="In the currency's smallest unit; in all, not a piece.")
    currency: Text = Field("", description="Left out: the invoice's.")
    price: Text = Field("", description="A price's id, in place of an amount.")
    quantity: int | None = Field(None, ge=0)


class StripeParams(Operated):
    operation: Literal[
        "create_customer", "get_customer", "update_customer", "delete_customer", "find_customers",
        "create_payment", "get_payment", "confirm_payment", "capture_payment", "cancel_payment", "list_payments",
        "create_invoice", "get_invoice", "finalize_invoice", "send_invoice", "pay_invoice", "void_invoice",
        "list_invoices", "create_refund", "call",
    ] = Field(description="A payment is a PaymentIntent.")  # fmt: skip
    id: Text = part(needed=_BY_ID, also="id customer_id payment_intent_id invoice_id", description="The object's.")
    email: Text = part(of=f"{_CUSTOMER} find_customers")
    name: Text = part(of=_CUSTOMER)
    phone: Text = part(of=_CUSTOMER)
    description: Text = part(of=f"{_CUSTOMER} create_payment create_invoice")
    query: Text = part(description="Stripe's search language, such as `name~'Ada'`.", of="find_customers")
    customer: Text = part(description="A customer's id.", of=_OF_CUSTOMER, needed="create_invoice")
    amount: int | None = part(
        None, "In the currency's smallest unit: 1250 is 12.50 EUR. Left out of a refund: all of it.",
        needed="create_payment", of="create_refund capture_payment", ge=0,
    )  # fmt: skip
    currency: Text = part(description="Such as eur.", needed="create_payment", of="create_invoice")
    payment_method: Text = part(of="create_payment confirm_payment pay_invoice")
    confirm: bool = part(False, "Charge it at once.", of="create_payment")
    capture: Literal["automatic", "manual"] = part("automatic", of="create_payment")
    receipt_email: Text = part(of="create_payment")
    lines: list[Line] = part([], of="create_invoice")
    days_until_due: int | None = part(None, "For an invoice that is sent by mail.", of="create_invoice", ge=0)
    finalize: bool = part(False, "Finalize it when its lines are there.", of="create_invoice")
    payment: Text = part(description="A PaymentIntent's id.", of="create_refund", also="payment payment_intent")
    charge: Text = part(of="create_refund")
    reason: Literal["", "duplicate", "fraudulent", "requested_by_customer", "abandoned"] = part(
        "", of="create_refund cancel_payment"
    )
    metadata: dict[str, Text] = part({}, of=f"{_CUSTOMER} create_payment create_invoice create_refund")
    limit: int = part(20, of="find_customers list_payments list_invoices", ge=1, le=5000)
    method: Literal["GET", "POST", "DELETE"] = part("POST", of="call")
    path: Text = part(description="Such as /v1/checkout/sessions.", needed="call")
    fields: dict[str, Any] = part({}, "More of Stripe's fields, as they are called there; they may nest.")
    account: Text = part(description="Connect: on whose behalf (acct_…).", group="Options")
    version: Text = part(description=f"Of Stripe's API. Left out: {VERSION}.", group="Options")
    api_key: Secret = part(also="api_key secret_key")


class Stripe(Base):
    type: ClassVar[str] = "action_stripe"
    aliases: ClassVar[tuple[str, ...]] = ("stripe", "integration_stripe")
    name: ClassVar[str] = "Stripe"
    description: ClassVar[str] = "Customers, payments, invoices and refunds, and any other call."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = StripeParams
    slots = (Slot(FAMILY, ("stripe",), "A secret or restricted key."),)
    help = """
    Every call that changes something carries an `Idempotency-Key` of the node run: a retry charges, refunds and creates
    once. Each step of `create_invoice` (the invoice, its lines, finalizing it) has a key of its own. Stripe keeps keys
    for a day at least.

    A declined card (`error: card_declined` in `details`) is final; what Stripe says may be tried again is.

    `find_customers` and lists hand on `{items, count, more}`. `fields` adds what has no field here, for example
    `{"automatic_payment_methods": {"enabled": true}}`.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "object": {"type": "string", "description": "customer, payment_intent, invoice, refund …"},
                "status": {"type": ["string", "null"]},
                "deleted": {"type": "boolean"},
                **LISTED,
            },
        }
    }
    faults = faults("Stripe", "stripe", credential="There is no key.")
    examples = (
        Example(
            name="A payment",
            config={
                "operation": "create_payment", "amount": "{{ input.cents }}", "currency": "eur",
                "metadata": {"order": "{{ input.id }}"},
            },
            input={"id": 7, "cents": 1250},
            connections={"stripe": {"api_key": "sk_test_example", "base_url": "http://stripe.example"}},
            calls=(
                Call(
                    method="POST",
                    url="http://stripe.example/v1/payment_intents",
                    sends={"Authorization": "Bearer sk_test_example", "Idempotency-Key": "rehearsal/it"},
                    body="amount=1250&currency=eur&metadata%5Border%5D=7",
                    answer={"id": "pi_1", "object": "payment_intent", "status": "requires_payment_method"},
                ),
            ),
            output={"id": "pi_1", "object": "payment_intent", "status": "requires_payment_method"},
        ),
    )  # fmt: skip
    refuses = (
        Refusal({"operation": "create_payment", "currency": "eur"}, "/amount", "missing_field"),
        Refusal({"operation": "get_customer"}, "/id", "missing_field"),
    )

    async def run(self, params: StripeParams, context: Context) -> Outcome:
        from linkflow.nodes.stripe_calls import do

        return Completed(output=await do(params, context))


node = Stripe()
