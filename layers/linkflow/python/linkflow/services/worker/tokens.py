"""Tokens of OAuth 2 that are stored with their credential: renewed by one worker at a time, and kept before they are
used, so that a rotated refresh token is not lost with a process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from linkflow.contracts.secrets import SealedCredential, TokensReply, TokensRequest, tokens_about
from linkflow.domain.errors import Internal, LinkFlowError
from linkflow.domain.redaction import Redactor
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.given import Ask

if TYPE_CHECKING:
    from .vault import Vault

STORED_KINDS = frozenset(("oauth2", "oauth2_refresh"))
EARLY_MS = 30_000
"""So long before its end a token is renewed."""
UNSAID_MS = 300_000
"""How long a token is used that does not say how long it lives."""
WAIT, TRIES = 0.25, 140
"""While another worker renews it: seconds between two looks, and how many there are. Its right ends before."""
OVER = frozenset(("invalid_grant", "unauthorized_client", "invalid_client"))
"""What a server says of a refresh token, or a client, that it takes no more."""

_LOST = "Connect the credential again: the other side takes its refresh token no more."


class StoredTokens:
    """`nodes.given.Tokens` of one credential."""

    def __init__(self, vault: Vault, sealed: SealedCredential, redactor: Redactor | None = None) -> None:
        self._vault = vault
        self._sealed = sealed
        self._redactor = redactor or Redactor()
        self._given_out = ""
        self._refused = ""

    async def secrets(self) -> Iterable[str]:
        """What must not be seen of them. Raises `LinkFlowError`."""
        found = await self._read()
        return [str(found[name]) for name in ("access_token", "refresh_token") if found.get(name)]

    def forget(self) -> bool:
        self._refused, self._given_out = self._given_out, ""
        return bool(self._refused)

    async def token(self, ask: Ask) -> str:
        """See `nodes.given.Tokens`."""
        try:
            for _ in range(TRIES):
                if found := await self._valid():
                    return found
                if self._sealed.status == "revoked":
                    raise NodeFailure("oauth_refused", f"{_LOST} ({self._sealed.name})", retryable=False)
                if found := await self._renew(ask):
                    return found
        except LinkFlowError:
            raise NodeFailure("credentials_unavailable", "The credential's tokens cannot be had now.") from None
        raise NodeFailure("credentials_unavailable", "Another worker is taking too long to renew the token.")

    async def _read(self) -> dict[str, Any]:
        try:
            return await self._opened()
        except Internal:  # it may be sealed under a master key that has been dropped since
            fresh = await self._vault.ask(self._sealed.workspace_id, self._sealed.id)
            if fresh is None or fresh.sealed.key_id == self._sealed.sealed.key_id:
                raise
            self._sealed = fresh
            return await self._opened()

    async def _opened(self) -> dict[str, Any]:
        sealed = self._sealed
        if sealed.tokens is None:
            return {}
        about = tokens_about(sealed.workspace_id, sealed.id, sealed.tokens_version)
        found: dict[str, Any] = msgspec.json.decode(await self._vault.sealer.open(sealed.tokens, about))
        return found

    async def _valid(self) -> str:
        found = await self._read()
        token = str(found.get("access_token") or "")
        if not token or token == self._refused or found["until"] <= self._vault.clock.now_ms():
            return ""
        return self._give(token)

    def _give(self, token: str) -> str:
        self._redactor.add((token,))
        self._given_out = token
        return token

    async def _renew(self, ask: Ask) -> str:
        """A new token, or nothing where another worker has the right to fetch it, or has done so."""
        holder = f"{self._vault.holder}/{secrets.token_hex(4)}"
        sealed = self._sealed
        reply = await self._vault.history.tokens(TokensRequest(sealed.workspace_id, sealed.id, "claim", holder))
        if reply.credential is None:
            raise NodeFailure("credential_missing", f"The credential {sealed.name!r} was deleted.", retryable=False)
        known, self._sealed = sealed.tokens_version, reply.credential
        self._vault.keep(self._sealed)
        if not reply.done:
            await asyncio.sleep(WAIT)
            return ""
        if self._sealed.tokens_version != known:  # somebody did it just now
            await self._end(holder)
            return ""
        return await self._fetch(ask, holder)

    async def _fetch(self, ask: Ask, holder: str) -> str:
        before = await self._read()
        own = await self._vault.fields(self._sealed)
        refresh = str(before.get("refresh_token") or own.get("refresh_token") or "")
        if not refresh:
            await self._end(holder, "not_connected")
            text = f"The credential {self._sealed.name!r} is not connected: somebody has to give consent first."
            raise NodeFailure("oauth_refused", text, retryable=False)
        self._redactor.add((refresh,))
        try:
            answer = await ask(refresh)
        except NodeFailure as error:
            said = str(error.error.details.get("error") or "")
            await self._end(holder, "revoked" if said in OVER else "", said)
            if said in OVER:
                raise NodeFailure("oauth_refused", f"{_LOST} ({self._sealed.name}: {said})", retryable=False) from None
            raise
        except BaseException:
            await self._end(holder)
            raise
        await self.store(answer, refresh, holder)
        return self._give(str(answer["access_token"]))

    async def store(self, answer: Mapping[str, Any], refresh: str, holder: str) -> bool:
        """Keep what the server gave. A refresh token that it gives is the only one from now on."""
        lives = answer.get("expires_in")
        life = round(float(lives) * 1000) - EARLY_MS if isinstance(lives, int | float) else UNSAID_MS
        kept = {
            "access_token": answer["access_token"],
            "until": self._vault.clock.now_ms() + max(0, life),
            "refresh_token": answer.get("refresh_token") or refresh,
        }
        self._redactor.add((str(kept["access_token"]), str(kept["refresh_token"])))
        sealed = self._sealed
        about = tokens_about(sealed.workspace_id, sealed.id, sealed.tokens_version + 1)
        tokens = await self._vault.sealer.seal(msgspec.json.encode(kept), about)
        request = TokensRequest(
            sealed.workspace_id, sealed.id, "keep", holder, sealed.tokens_version, tokens, "connected"
        )
        reply = await self._surely(request)
        if reply.credential is not None:
            self._sealed = reply.credential
            self._vault.keep(reply.credential)
        return reply.done

    async def _surely(self, request: TokensRequest) -> TokensReply:
        """A refresh token that was used is lost with this answer, so it is worth some tries."""
        for wait in (0.1, 0.3, 1.0, 3.0):
            try:
                return await self._vault.history.tokens(request)
            except LinkFlowError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(wait)
        return await self._vault.history.tokens(request)

    async def _end(self, holder: str, status: str = "", detail: str = "") -> None:
        """Give the right back, and say how the credential stands."""
        sealed = self._sealed
        await self._vault.history.tokens(
            TokensRequest(sealed.workspace_id, sealed.id, "keep", holder, sealed.tokens_version, None, status, detail)
        )
