"""XML to values and back. The output is the value, or the text."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes import aside
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text, TextList, ui
from linkflow.nodes.texts import text_of


class XmlParams(Params):
    operation: Literal["parse", "write"] = Field("parse", description="parse: text to a value. write: a value to text.")
    value: Any = Field(None, validation_alias=AliasChoices("value", "text", "data"), description="Left out: the input.")
    lists: TextList = Field(
        default_factory=list, description="Operation parse: elements that are a list, also where there is one of them."
    )
    namespaces: bool = Field(
        False, description="Operation parse: names with their namespace.", json_schema_extra=ui(group="More")
    )
    root: Annotated[Text, Field(max_length=200)] = Field("", description="Operation write: the outermost element.")
    pretty: bool = Field(False, description="Operation write: an element a line.")
    declaration: bool = Field(True, description="Operation write: begin with <?xml …?>.")


class Xml(Base):
    type: ClassVar[str] = "xml"
    aliases: ClassVar[tuple[str, ...]] = ("convert_xml",)
    name: ClassVar[str] = "XML"
    description: ClassVar[str] = "Read XML, or write a value as XML."
    category: ClassVar[str] = "data"
    acts: ClassVar[bool | None] = False
    params: ClassVar[builtins.type[Params]] = XmlParams
    help = """
    An element is an object of what is in it, or its text; attributes are `@name`, text beside them is `#text`; an
    element that comes several times is a list. Numbers stay text. Documents that declare entities are refused, nothing
    is ever fetched, and nesting is bounded (100 levels).
    """
    faults = (
        Fault("bad_xml", "The text is no XML, or may not be read; the value cannot be written as XML."),
        Fault("not_a_text", "There is no text."),
        *aside.FAULTS,
    )
    examples = (
        Example(
            name="Read an order",
            config={"value": "{{ input.body }}", "lists": ["line"]},
            input={"body": '<order id="7"><line>a</line></order>'},
            output={"order": {"@id": "7", "line": ["a"]}},
        ),
        Example(
            name="Write one",
            config={"operation": "write", "root": "order", "declaration": False},
            input={"@id": 7, "line": ["a", "b & c"]},
            output='<order id="7"><line>a</line><line>b &amp; c</line></order>',
        ),
    )
    refuses = (Refusal({"operation": "read"}, "/operation", "invalid_value"),)

    async def run(self, params: XmlParams, context: Context) -> Outcome:
        value = params.value if "value" in params.model_fields_set else context.input
        if params.operation == "parse":
            given: tuple[Any, ...] = ("xml:parse", text_of(value), params.lists, params.namespaces)
        else:
            given = ("xml:write", value, params.root, params.pretty, params.declaration)
        return Completed(output=await aside.aside(*given, code="bad_xml"))


node = Xml()
