"""Markdown to HTML. The output is the HTML."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes import aside
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.texts import text_of

MAX_MARKDOWN = 256 * 1024


class MarkdownParams(Params):
    value: Any = Field(
        None, validation_alias=AliasChoices("value", "markdown", "text"), description="Left out: the input."
    )
    allow_html: bool = Field(False, description="HTML in the text goes through as it is. For text that you trust only.")
    breaks: bool = Field(False, description="A line's end is a line's end in the HTML as well.")


class Markdown(Base):
    type: ClassVar[str] = "markdown"
    aliases: ClassVar[tuple[str, ...]] = ("convert_markdown",)
    name: ClassVar[str] = "Markdown"
    description: ClassVar[str] = "Turn Markdown into HTML."
    category: ClassVar[str] = "data"
    acts: ClassVar[bool | None] = False
    params: ClassVar[builtins.type[Params]] = MarkdownParams
    help = """
    CommonMark with tables and strikethrough, up to 256 K characters. HTML in the text is shown as text, and links that
    would run code are no links, unless `allow_html`. The other way round is [HTML](html.md)'s operation `markdown`.
    """
    produces = {"main": {"type": "string", "description": "HTML, without a frame around it."}}
    faults = (
        Fault("bad_markdown", "The text cannot be read."),
        Fault("not_a_text", "There is no text, or too much of it."),
        *aside.FAULTS,
    )
    examples = (
        Example(
            name="For a mail",
            config={"value": "{{ input.note }}"},
            input={"note": "Order **7** is <b>done</b>"},
            output="<p>Order <strong>7</strong> is &lt;b&gt;done&lt;/b&gt;</p>\n",
        ),
    )
    refuses = (Refusal({"breaks": "often"}, "/breaks", "invalid_type"),)

    async def run(self, params: MarkdownParams, context: Context) -> Outcome:
        text = text_of(params.value if "value" in params.model_fields_set else context.input, MAX_MARKDOWN)
        call = aside.aside("markdown:to_html", text, params.allow_html, params.breaks, code="bad_markdown")
        return Completed(output=await call)


node = Markdown()
