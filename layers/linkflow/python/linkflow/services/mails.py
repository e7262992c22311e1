"""Mails about accounts. What cannot be delivered now is tried again for a while, behind the caller's back."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Clock, Mail, Mailer

PAUSES = (1.0, 10.0, 60.0)
"""Seconds between tries."""

_log = logging.getLogger("linkflow.mail")


class Mails:
    """Sends without letting anybody wait, so that an answer's time tells nothing about who has an account.

    `at_once`: the process may stop when its answer is out (Lambda), so a mail is sent before that, once.
    """

    def __init__(self, mailer: Mailer, clock: Clock, public_url: str, *, at_once: bool = False) -> None:
        self._mailer = mailer
        self._clock = clock
        self._url = public_url
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def delivers(self) -> bool:
        """Do mails get to people, or only to a file of the operator's?"""
        return self._mailer.delivers

    def link(self, what: str, token: str) -> str:
        """An address on our page for this. The token is behind the #: no server and no log on the way sees it."""
        return f"{self._url}/account/{what}#{token}"

    async def verify(self, to: str, token: str) -> None:
        link = self.link("verify", token)
        await self._send(to, "Confirm your e-mail address", f"Follow this link to confirm your address:\n\n{link}\n\n"
                         "It is good for a day. If you have not registered with LinkFlow, do nothing.")  # fmt: skip

    async def reset(self, to: str, token: str) -> None:
        link = self.link("reset", token)
        await self._send(to, "Reset your password", f"Follow this link to choose another password:\n\n{link}\n\n"
                         "It is good for an hour, once. If you have not asked for it, do nothing.")  # fmt: skip

    async def taken(self, to: str) -> None:
        await self._send(to, "You have an account already", "Somebody, perhaps you, wanted to register with this "
                         f"address, which has an account. Sign in at {self._url}, or have the password reset.\n\n"
                         "If that was not you, do nothing: nobody got in.")  # fmt: skip

    async def told(self, to: str, what: str) -> None:
        """Something about the account was changed: whoever did not do it should know."""
        await self._send(to, f"Your {what} was changed", f"The {what} of your LinkFlow account was changed.\n\n"
                         "If that was not you, reset your password now and end all sessions.")  # fmt: skip

    async def invite(self, to: str, inviter: str, workspace: str, role: str, token: str) -> None:
        link = self.link("invitation", token)
        await self._send(to, f"Join {_line(workspace)}", f"{_line(inviter)} invites you to the workspace "
                         f"{_line(workspace)} as {_line(role)}:\n\n{link}\n\nThe link is good for a week.")  # fmt: skip

    async def _send(self, to: str, subject: str, text: str) -> None:
        mail = Mail(to, subject, f"{text}\n\n{self._url}\n")
        if self._at_once:
            await self._try(mail, ())
            return
        task = asyncio.create_task(self._try(mail, PAUSES), context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _try(self, mail: Mail, pauses: tuple[float, ...]) -> None:
        for pause in (*pauses, None):
            try:
                await self._mailer.send(mail)
                return
            except LinkFlowError as error:
                if pause is None or not error.retryable:
                    _log.error("A mail could not be sent: %s: %s", mail.subject, error.message)
                    return
                await self._clock.sleep(pause)

    async def settle(self) -> None:
        """Wait for what is on its way."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def close(self) -> None:
        """Give a mail that is on its way two seconds more."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=2.0)
            for task in self._under_way:
                task.cancel()


def _line(text: str) -> str:
    """One line, whatever is in it: a name must not add a header or a paragraph of its own."""
    return " ".join(text.split())[:200]
