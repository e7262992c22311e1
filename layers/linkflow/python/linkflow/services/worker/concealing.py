"""What leaves a node before its result does, without the secrets of its run: heartbeats, steps, words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from linkflow.domain.outcomes import NodeError
from linkflow.domain.redaction import Redactor
from linkflow.nodes.base import Context
from linkflow.nodes.steps import Done, Steps, Work

TEXT = "text"


def conceal(context: Context, secrets: Redactor) -> Callable[[], None]:
    """Put the redactor around all that the node may tell. Returns what is to be called at its end."""
    beat, voice = context.heartbeat, Voice(context.say, secrets)

    async def heartbeat(details: Any = None) -> None:
        await beat(secrets.value(details) if details is not None else None)

    context.heartbeat = heartbeat
    context.conceal = lambda value: secrets.add((value,))
    context.redact = secrets.value
    context.say = voice.say
    if context.steps is not None:
        context.steps = ConcealedSteps(context.steps, secrets)
    return voice.end


class ConcealedSteps:
    """`nodes.steps.Steps` that records nothing secret."""

    def __init__(self, steps: Steps, secrets: Redactor) -> None:
        self._steps = steps
        self._secrets = secrets

    async def find(self, id: str) -> Done | None:
        return await self._steps.find(id)

    async def run(self, id: str, work: Work, *, kind: str = "", name: str = "", input: object = None) -> Done:
        async def concealed() -> Done:
            return self._clean(await work())

        told = self._secrets.value(input)
        return await self._steps.run(id, concealed, kind=kind, name=self._secrets.text(name), input=told)

    def _clean(self, done: Done) -> Done:
        if not self._secrets:
            return done
        error = done.error
        if error is not None:
            error = msgspec.convert(self._secrets.value(msgspec.to_builtins(error)), NodeError)
        return msgspec.structs.replace(done, output=self._secrets.value(done.output), error=error)


class Voice:
    """`Context.say`. Text comes in pieces, and a secret may be cut by one: what may be the beginning of one is held
    back until more has come."""

    def __init__(self, say: Callable[[str, str], None], secrets: Redactor) -> None:
        self._say = say
        self._secrets = secrets
        self._held = ""

    def say(self, kind: str, text: str) -> None:
        if kind != TEXT:
            self.end()
            self._say(kind, self._secrets.text(text))
            return
        whole = self._secrets.text(self._held + text)
        cut = len(whole) - self._secrets.begun(whole)
        self._held = whole[cut:]
        if cut:
            self._say(TEXT, whole[:cut])

    def end(self) -> None:
        held, self._held = self._held, ""
        if held:
            self._say(TEXT, held)
