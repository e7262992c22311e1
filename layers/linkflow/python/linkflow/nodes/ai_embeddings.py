"""Vectors for texts. The output is ``{embeddings, model, dimensions, usage, cost_usd}``; `embedding` for one."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import AliasChoices, Field, field_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.domain.steps import Usage
from linkflow.nodes.about import Call, Example, Fault, Refusal
from linkflow.nodes.ai import COST, SLOT, USAGE
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import to_text, ui
from linkflow.nodes.models import embedding
from linkflow.nodes.models.asking import MODEL, Session
from linkflow.nodes.models.faults import FAULTS, STEPS
from linkflow.nodes.models.params import ModelParams
from linkflow.nodes.models.peers import peer_of
from linkflow.nodes.models.pricing import usage_of
from linkflow.nodes.steps import Done

MOST_TEXTS = 2_048


class EmbeddingsParams(ModelParams):
    provider: Literal["", "openai", "bedrock", "compatible"] = Field(
        "", description="Left out: the connection's, else openai.", json_schema_extra=ui(group="Provider")
    )
    input: Any = Field(
        validation_alias=AliasChoices("input", "text", "texts"), description="One text, or a list of them."
    )
    dimensions: int | None = Field(None, ge=1, le=8192, description="Shorter vectors, where the model can.")
    batch_size: int = Field(100, ge=1, le=MOST_TEXTS, description="Texts in one call.")

    @field_validator("input")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value]
        if not texts or len(texts) > MOST_TEXTS:
            raise ValueError(f"give 1 to {MOST_TEXTS:,} texts")
        if any(not str(to_text(text)).strip() for text in texts):
            raise ValueError("a text is empty: models have no vector for nothing")
        return value


class Embeddings(Base):
    type: ClassVar[str] = "action_ai_embeddings"
    aliases: ClassVar[tuple[str, ...]] = ("ai_embeddings",)
    name: ClassVar[str] = "Embeddings"
    description: ClassVar[str] = "Turn texts into vectors that are near where the texts mean alike."
    category: ClassVar[str] = "ai"
    params: ClassVar[builtins.type[Params]] = EmbeddingsParams
    slots = (SLOT,)
    help = """
    By OpenAI, Amazon Bedrock (Titan, Cohere), or a server that speaks like OpenAI. Each batch is a step of its own:
    what was paid for is not asked again. Vectors are large, and a payload has a limit of 1 MB: that is about 50 vectors
    of 1,536 numbers. Loop over batches, or ask for fewer `dimensions`.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "embeddings": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                "embedding": {"type": "array", "items": {"type": "number"}},
                "model": {"type": "string"},
                "dimensions": {"type": "integer"},
                "usage": USAGE,
                "cost_usd": COST,
            },
            "required": ["embeddings", "model", "dimensions", "usage", "cost_usd"],
        }
    }
    faults = (*FAULTS, *STEPS, Fault("ai_no_embeddings", "The provider has none."))
    examples = (
        Example(
            name="Two texts",
            config={"input": "{{ input.texts }}", "model": "text-embedding-3-small", "dimensions": 2},
            input={"texts": ["red", "blue"]},
            connections={"ai": {"api_key": "sk-example", "base_url": "http://models.example/v1"}},
            calls=(
                Call(
                    method="POST",
                    url="http://models.example/v1/embeddings",
                    body={
                        "model": "text-embedding-3-small",
                        "input": ["red", "blue"],
                        "encoding_format": "float",
                        "dimensions": 2,
                    },
                    answer={
                        "data": [{"index": 1, "embedding": [0.5, -0.25]}, {"index": 0, "embedding": [1, 0]}],
                        "model": "text-embedding-3-small",
                        "usage": {"prompt_tokens": 2, "total_tokens": 2},
                    },
                ),
            ),
            output={
                "embeddings": [[1.0, 0.0], [0.5, -0.25]],
                "model": "text-embedding-3-small",
                "dimensions": 2,
                "usage": {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2, "cached_tokens": 0},
                "cost_usd": 4e-08,
            },
        ),
    )
    refuses = (Refusal({}, "/input", "missing_field"), Refusal({"input": []}, "/input", "invalid_value"))

    async def run(self, params: EmbeddingsParams, context: Context) -> Outcome:
        texts = [str(to_text(text)) for text in (params.input if isinstance(params.input, list) else [params.input])]
        peer = peer_of(params, context)
        if peer.provider.name not in embedding.DEFAULTS:
            text = f"{peer.provider.name} has no embeddings: give the node another credential."
            raise NodeFailure("ai_no_embeddings", text, retryable=False)
        if peer.model == peer.provider.default_model:  # that one talks
            peer = msgspec.structs.replace(peer, model=embedding.DEFAULTS[peer.provider.name])
        session = Session(peer, params, context)
        size = embedding.at_once(peer, params.batch_size)
        vectors: embedding.Vectors = []
        for first in range(0, len(texts), size):
            vectors += await self._batch(session, params, texts[first : first + size], f"{MODEL}/{first // size + 1}")
        one = {} if isinstance(params.input, list) else {"embedding": vectors[0]}
        output = {
            "embeddings": vectors, **one, "model": peer.model, "dimensions": len(vectors[0]), "usage": session.shown,
            "cost_usd": session.cost,
        }  # fmt: skip
        return Completed(output=output)

    async def _batch(self, session: Session, params: EmbeddingsParams, texts: list[str], id: str) -> embedding.Vectors:
        from linkflow.nodes.models.calling import post  # asyncio brings TLS with it

        peer, context = session.peer, session.context

        async def work() -> Done:
            data = await post(peer, embedding.request(peer, texts, params.dimensions), params, context, id)
            try:
                vectors, tokens = embedding.answer(peer, data, len(texts))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                raise NodeFailure("ai_bad_answer", "The provider's answer has no vectors for these texts.") from None
            used = usage_of(peer.provider.name, peer.model, tokens, params.prices)
            context.spent += used.cost or 0
            return Done({"vectors": vectors, "usage": msgspec.to_builtins(used)}, usage=used)

        name = f"{peer.provider.name} {peer.model}"[:200]
        done = await context.step(id, work, kind=MODEL, name=name, input={"texts": len(texts)})
        session.spent = session.spent.and_(msgspec.convert(done.output["usage"], Usage))
        found: embedding.Vectors = done.output["vectors"]
        return found


node = Embeddings()
