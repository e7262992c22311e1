"""HTML: values by CSS selectors, its text, its tables, or all of it as Markdown."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes import aside
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text
from linkflow.nodes.texts import text_of

Selector = Annotated[Text, Field(max_length=500)]


class Extracted(Params):
    """One value to take."""

    selector: Selector = Field("", description="A CSS selector; left out: the element itself.")
    take: Annotated[Text, Field(min_length=1, max_length=100)] = Field(
        "text", description="text, html, inner_html, or the name of an attribute."
    )
    all: bool = Field(False, description="A list of all that are found, in place of the first.")


def _fields(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: {"selector": one} if isinstance(one, str) else one for name, one in value.items()}


class HtmlParams(Params):
    operation: Literal["extract", "text", "table", "markdown"] = "extract"
    value: Any = Field(
        None, validation_alias=AliasChoices("value", "html", "text", "data"), description="Left out: the input."
    )
    fields: Annotated[dict[str, Extracted], BeforeValidator(_fields), Field(max_length=100)] = Field(
        default_factory=dict,
        description="Operation extract: name → selector, or {selector, take, all}.",
        json_schema_extra={"widget": "fields"},
    )
    each: Selector = Field("", description="Operation extract: an object for each element that this selector finds.")
    selector: Selector = Field("", description="Operation table: which one; left out: the first.")

    @model_validator(mode="after")
    def _has_fields(self) -> HtmlParams:
        if self.operation == "extract" and not self.fields:
            raise ValueError("operation extract needs `fields`")
        return self


class Html(Base):
    type: ClassVar[str] = "html"
    aliases: ClassVar[tuple[str, ...]] = ("convert_html", "html_extract")
    name: ClassVar[str] = "HTML"
    description: ClassVar[str] = "Take values, text or tables out of HTML, or turn it into Markdown."
    category: ClassVar[str] = "data"
    acts: ClassVar[bool | None] = False
    params: ClassVar[builtins.type[Params]] = HtmlParams
    help = """
    HTML is read as browsers do, whatever is wrong with it; nothing is fetched and no script runs. Text has its blanks
    folded. A value that is not found is null, or an empty list. `table` gives objects where the first row has the names
    (`th`), lists otherwise. In Markdown, links that would run code are left out.
    """
    faults = (
        Fault("bad_html", "A selector cannot be used, there is no such table, or the page nests too deeply."),
        Fault("not_a_text", "There is no text."),
        *aside.FAULTS,
    )
    examples = (
        Example(
            name="Products of a page",
            config={"each": "li", "fields": {"name": "b", "link": {"selector": "a", "take": "href"}}},
            input='<ul><li><a href="/1"><b>One</b></a></li><li><b>Two</b></li></ul>',
            output=[{"name": "One", "link": "/1"}, {"name": "Two", "link": None}],
        ),
        Example(
            name="As Markdown",
            config={"operation": "markdown"},
            input='<h1>Hi</h1><p>See <a href="https://example.com">this</a>, <b>now</b>.</p><ul><li>a<li>b</ul>',
            output="# Hi\n\nSee [this](https://example.com), **now**.\n\n- a\n- b",
        ),
    )
    refuses = (Refusal({"operation": "extract"}, "", "invalid_value"),)

    async def run(self, params: HtmlParams, context: Context) -> Outcome:
        html = text_of(params.value if "value" in params.model_fields_set else context.input)
        if params.operation == "extract":
            fields = [{"name": name, **one.model_dump()} for name, one in params.fields.items()]
            given: tuple[Any, ...] = ("html:extract", html, params.each, fields)
        elif params.operation == "table":
            given = ("html:table", html, params.selector)
        else:
            given = (f"html:{params.operation}", html)
        return Completed(output=await aside.aside(*given, code="bad_html"))


node = Html()
