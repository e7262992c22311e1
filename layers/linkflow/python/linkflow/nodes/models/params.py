"""What all nodes that ask a model are told: whom, how, for how long."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.nodes.base import Params
from linkflow.nodes.fields import Secret, Text, ui

ProviderName = Literal["", "openai", "anthropic", "bedrock", "compatible"]

_PEER, _LIMITS = ui(group="Provider"), ui(group="Limits")


class Prices(Params):
    """US dollars for a million tokens, in place of the built-in table."""

    input: float = Field(0, ge=0)
    output: float = Field(0, ge=0)
    cached: float | None = Field(None, ge=0, description="Left out: as `input`.")


class ModelParams(Params):
    """Whom to ask."""

    provider: ProviderName = Field("", description="Left out: the connection's, else openai.", json_schema_extra=_PEER)
    model: Text = Field(
        "", description="Left out: the connection's, else the provider's default.", json_schema_extra=_PEER
    )
    endpoint: Text = Field(
        "",
        validation_alias=AliasChoices("endpoint", "base_url"),
        description="Another address that speaks like OpenAI, or like `provider`. Its key must be in `api_key`, too.",
        json_schema_extra=_PEER,
    )
    api_key: Secret = Field("", json_schema_extra={**ui(group="Provider"), "format": "password", "writeOnly": True})
    region: Text = Field("", description="Bedrock: left out, the credential's.", json_schema_extra=_PEER)
    timeout: float = Field(120, gt=0, le=600, description="Seconds for one call.", json_schema_extra=_LIMITS)
    retries: int = Field(
        2, ge=0, le=5, description="How often a call is made again at once, before the node fails.",
        json_schema_extra=_LIMITS,
    )  # fmt: skip
    prices: Prices | None = Field(None, description="What the model costs, where the table does not know or is wrong.")


class SamplingParams(ModelParams):
    """How it is to answer."""

    max_tokens: int = Field(1024, ge=1, description="Tokens of one answer.")
    temperature: float | None = Field(None, ge=0, le=2, description="Left out: the model's own.")
    top_p: float | None = Field(None, gt=0, le=1, description="Left out: the model's own.")
    stop: list[Text] = Field(default_factory=list, description="Texts at which it stops.")
    seed: int | None = Field(None, description="For answers that repeat, where the provider knows that (OpenAI).")
    stream: bool = Field(False, description="Show the answer in the live view while it is written.")


class RepairParams(SamplingParams):
    """What becomes of an answer that does not fit."""

    repairs: int = Field(
        2, ge=0, le=5, description="How often it is asked again.", json_schema_extra=ui(group="Structured output")
    )
    structured: Literal["auto", "native", "prompt"] = Field(
        "auto",
        description="`native`: the provider sees to it. `prompt`: the model is told only; any server does for that.",
        json_schema_extra=ui(group="Structured output"),
    )


class SchemaParams(RepairParams):
    """What the answer has to look like."""

    output_schema: dict[str, Any] | None = Field(
        None,
        validation_alias=AliasChoices("output_schema", "json_schema"),
        description="JSON Schema of the answer. It is checked; a model that misses it is told why, and asked again.",
        json_schema_extra=ui("json", group="Structured output"),
    )

    @model_validator(mode="after")
    def _is_a_schema(self) -> SchemaParams:
        if self.output_schema is not None:
            from linkflow.nodes.models.schemas import fault

            if text := fault(self.output_schema):
                raise ValueError(f"output_schema is no JSON Schema: {text}")
        return self
