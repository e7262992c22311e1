"""What AWS asks: US dollars, us-east-1, without free tiers, discounts and taxes, as its public price pages said.

Data only. Another region, or a price that has changed, is another mapping with the same keys: everything in `costing`
takes the prices as an argument.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

REGION = "us-east-1"
CHECKED = "2026-11-23"
"""The day of these figures. Hold them against their pages before you rely on them."""


class Price(Struct, frozen=True):
    """`dollars` for one `unit`; `source` is the page that says so. `held` is what the figure was held against on
    `CHECKED`, where that page shows its figures to browsers alone."""

    dollars: float
    unit: str
    source: str
    held: str = ""


_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_GATEWAY = "https://aws.amazon.com/api-gateway/pricing/"
_AURORA = "https://aws.amazon.com/rds/aurora/pricing/"
_ELASTICACHE = "https://aws.amazon.com/elasticache/pricing/"
_STEP_FUNCTIONS = "https://aws.amazon.com/step-functions/pricing/"

AWS: Mapping[str, Price] = {
    "lambda.duration.arm64": Price(0.0000133334, "GB-second", _LAMBDA),
    "lambda.duration.x86_64": Price(0.0000166667, "GB-second", _LAMBDA),
    "lambda.requests": Price(0.20, "million invocations", _LAMBDA),
    "http_api.requests": Price(1.00, "million requests of up to 512 KB", _GATEWAY),
    "aurora.capacity": Price(0.12, "ACU-hour, Serverless v2", _AURORA),
    "aurora.io": Price(0.20, "million I/O requests", _AURORA),
    "aurora.storage": Price(0.10, "GB-month", _AURORA),
    "valkey.units": Price(0.0023, "million ECPUs, ElastiCache Serverless", _ELASTICACHE),
    "valkey.storage": Price(0.084, "GB-hour, ElastiCache Serverless", _ELASTICACHE),
    "logs.ingestion": Price(0.50, "GB", "https://aws.amazon.com/cloudwatch/pricing/"),
    "scheduler.invocations": Price(1.00, "million invocations", "https://aws.amazon.com/eventbridge/pricing/"),
    "kms.key": Price(1.00, "key and month", "https://aws.amazon.com/kms/pricing/", "a copy of the page itself"),
    "secrets.secret": Price(
        0.40,
        "secret and month",
        "https://aws.amazon.com/secrets-manager/pricing/",
        "its examples, as api-evangelist/amazon-secrets-manager read them on 2026-09-20",
    ),
    "ec2.t4g.medium": Price(
        0.0336,
        "hour, on demand, 2 vCPU and 4 GB",
        "https://aws.amazon.com/ec2/pricing/on-demand/",
        "several projects' tables of list prices in us-east-1, all alike",
    ),
    "ebs.gp3": Price(
        0.08,
        "GB-month",
        "https://aws.amazon.com/ebs/pricing/",
        "aws/agent-toolkit-for-aws, ebs-optimization.md: us-east-1, early 2026",
    ),
    "step_functions.transitions": Price(25.00, "million state transitions, Standard", _STEP_FUNCTIONS),
    "step_functions.requests": Price(1.00, "million requests, Express", _STEP_FUNCTIONS),
    "step_functions.duration": Price(0.00001667, "GB-second, Express", _STEP_FUNCTIONS),
}

_TEMPORAL = "https://docs.temporal.io/cloud/pricing"

TEMPORAL_CLOUD: Mapping[str, Price] = {
    "actions": Price(50.00, "million actions, pay as you go, Developer plan", _TEMPORAL),
    "retained": Price(0.00105, "GB-hour of retained history", _TEMPORAL),
    "plan": Price(0.10, "dollar of usage, Developer plan", _TEMPORAL),
}
