"""Fill in a text: expressions, repeated and chosen parts. The output is the text."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.filling import TooMuch, fill, parsed


def _checked(text: str) -> str:
    parsed(text)
    return text


class TemplateParams(Params):
    template: Annotated[str, Field(max_length=100_000), AfterValidator(_checked)] = Field(
        validation_alias=AliasChoices("template", "text"),
        description="{{ input.name }}, {{#each input.rows}} … {{/each}}, {{#if input.paid}} … {{else}} … {{/if}}",
        json_schema_extra={"widget": "code"},
    )
    value: Any = Field(
        None, validation_alias=AliasChoices("value", "data"), description="What `input` is. Left out: the input."
    )
    escape: Literal["none", "html"] = Field("none", description="html: what is filled in cannot be HTML.")


class Template(Base):
    type: ClassVar[str] = "template"
    aliases: ClassVar[tuple[str, ...]] = ("transform_template",)
    name: ClassVar[str] = "Template"
    description: ClassVar[str] = "Fill in a text, with parts that repeat and parts that are left out."
    category: ClassVar[str] = "data"
    acts: ClassVar[bool | None] = False
    params: ClassVar[builtins.type[Params]] = TemplateParams
    literal_fields: ClassVar[tuple[str, ...]] = ("template", "text")
    help = """
    `{{ … }}` holds an expression as everywhere, over `input` and `trigger`; to use other nodes' output put it into
    `value`. `{{#each list}} … {{/each}}` repeats what is in it: there `loop.item` and `loop.index` are the item and its
    number from 0. `{{#if x}} … {{else}} … {{/if}}` chooses by JavaScript's rule of what is true. Parts may stand in
    each other. A tag that is alone on its line takes the line with it. Up to 10,000 repetitions in all, and 1 MB of
    text.
    """
    produces = {"main": {"type": "string"}}
    faults = (
        Fault("template_error", "An expression of the template cannot be evaluated."),
        Fault("too_much_work", "Too many repetitions, too much text, or too much work."),
    )
    examples = (
        Example(
            name="An order's lines",
            config={
                "template": "Hello {{ input.name }}\n{{#each input.lines}}\n- {{ loop.item.sku }}"
                "{{#if loop.item.rush}}, today{{/if}}\n{{/each}}\n",
            },
            input={"name": "Ada", "lines": [{"sku": "a1"}, {"sku": "b2", "rush": True}]},
            output="Hello Ada\n- a1\n- b2, today\n",
        ),
    )
    refuses = (
        Refusal({}, "/template", "missing_field"),
        Refusal({"template": "{{#each input.rows}} never ends"}, "/template", "invalid_value"),
    )

    async def run(self, params: TemplateParams, context: Context) -> Outcome:
        import asyncio  # it brings TLS with it: not for whoever only looks at the catalogue

        value = params.value if "value" in params.model_fields_set else context.input
        try:
            text = await asyncio.to_thread(fill, params.template, value, context.trigger, params.escape == "html")
        except TooMuch as error:
            raise NodeFailure("too_much_work", str(error), retryable=False) from None
        except ValueError as error:
            raise NodeFailure("template_error", str(error), retryable=False) from None
        return Completed(output=text)


node = Template()
