"""A note beside the workflow. Nothing leads to it, and it does nothing."""

from __future__ import annotations

import builtins
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field

from linkflow.domain.definition import NOTE
from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import INPUT, Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text, ui


class NoteParams(Params):
    text: Annotated[Text, Field(max_length=20_000)] = Field(
        "",
        validation_alias=AliasChoices("text", "content", "note"),
        description="Markdown.",
        json_schema_extra=ui("textarea"),
    )
    color: Text = ""
    width: float = Field(0, ge=0, le=10_000)
    height: float = Field(0, ge=0, le=10_000)


class Note(Base):
    type: ClassVar[str] = NOTE
    aliases: ClassVar[tuple[str, ...]] = ("sticky_note", "comment")
    name: ClassVar[str] = "Note"
    description: ClassVar[str] = "Say something to whoever reads the workflow."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = NoteParams
    literal_fields: ClassVar[tuple[str, ...]] = ("text", "content", "note")
    help = "Its text is kept as it is written, also `{{ … }}`. Where an edge leads to a note it hands its input on."
    produces = {"main": INPUT}
    examples = (
        Example(name="A word on the side", config={"text": "Prices are **net**; see {{ x."}, input=1, output=1),
    )
    refuses = (Refusal({"width": -1}, "/width", "invalid_value"),)

    def run(self, params: NoteParams, context: Context) -> Outcome:
        return Completed(output=context.input)


node = Note()
