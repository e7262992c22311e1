"""How asking a model goes wrong."""

from __future__ import annotations

from linkflow.nodes.about import GOING_OUT, Fault

FAULTS: tuple[Fault, ...] = (
    Fault("ai_bad_key", "The provider does not know the key, or the key may not do this."),
    Fault(
        "ai_rate_limited",
        "The provider wants fewer calls (429); it says when to come again, or the retry policy.",
        True,
    ),
    Fault("ai_quota", "The account's quota or credit is used up."),
    Fault("ai_unavailable", "The provider cannot answer now (5xx).", True),
    Fault("ai_context_too_long", "The question is longer than the model can read."),
    Fault("ai_unknown_model", "The provider has no such model, or not for this key."),
    Fault("ai_refused", "The model, or a filter, would not answer; `details.why`."),
    Fault("ai_error", "The provider answered with another error; `details.status` says which."),
    Fault("ai_bad_answer", "The answer is not what the provider's protocol says, or broke off.", True),
    Fault("ai_wrong_provider", "The credential is for another provider."),
    Fault("no_credential", "There is no key."),
    Fault("bad_credential", "The credential has not what it needs."),
    Fault("ai_bad_image", "A picture is no base64, or cannot be had from its address."),
    *GOING_OUT,
)

STEPS: tuple[Fault, ...] = (
    Fault("too_many_steps", "The node run takes more steps than one may."),
    Fault("step_too_large", "What a step came to is over the limit of a payload (docs/limits.md)."),
)
"""What nodes with steps may fail with besides."""

INVALID = Fault(
    "ai_invalid_output", "The answer does not fit the schema, also after repairs; `details.problems`, `details.answer`."
)
