"""The keys that calls of webhooks are checked with: credentials, opened when a call comes (`webhooks.Keys`)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from linkflow.contracts.secrets import SealedCredential, credential_about
from linkflow.contracts.worker import ProbeReply, ProbeRequest
from linkflow.domain.errors import Conflict, Internal, LinkFlowError, NotFound, Unavailable
from linkflow.domain.ids import is_uuid
from linkflow.ports import Clock

from .sealing import Sealer
from .secret_ports import CredentialStore
from .together import Together

KINDS: Mapping[str, frozenset[str]] = {
    "hmac": frozenset(("webhook", "signing_key")),
    "jwt": frozenset(("webhook_jwt", "webhook", "signing_key")),
}
"""Which kinds of credential have such a key, by the webhook's authentication."""

SET_MS, STALE_MS = 5 * 60_000, 24 * 3_600_000
"""How old a key set from elsewhere is at most, and how old it may get while its server is away."""
AGAIN_MS = 30_000
"""How soon it is asked for again for the sake of a key that it has not: whoever likes can name such keys."""
KEPT_MS = 5_000
"""How long a change takes at most to hold here. Only the sealed text is kept."""
MANY = 1_000

_log = logging.getLogger(__name__)


class HookKeys:
    def __init__(
        self, store: CredentialStore, sealer: Sealer, clock: Clock, worker: Callable[..., Awaitable[ProbeReply]]
    ) -> None:
        """`worker` asks one for a credential's JWK Set (`Credentials.probe`): nothing goes out from here."""
        self._worker = worker
        self._sets: OrderedDict[str, tuple[str, int, int]] = OrderedDict()
        self._fetched = Together(self._fetch)
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[SealedCredential | None, int]] = OrderedDict()
        self._asked: dict[str, Together[SealedCredential]] = {}

    async def fields(
        self, workspace_id: str, credential: str, fresh: bool = False, renew: bool = False
    ) -> Mapping[str, str]:
        """See `webhooks.Keys`. One that has expired, or is of another kind, is none. `fresh`: as it is this moment."""
        if fresh:
            self._kept.pop((workspace_id, credential), None)
        found = await self._sealed(workspace_id, credential) if is_uuid(credential) else None
        if found is None or found.kind not in KINDS["hmac"] | KINDS["jwt"]:
            raise NotFound("There is no such key.")
        if found.expires_at and found.expires_at <= self._clock.now_ms():
            raise NotFound("The key has expired.")
        about = credential_about(found.workspace_id, found.id, found.version)
        try:
            opened: dict[str, Any] = msgspec.json.decode(await self._sealer.open(found.sealed, about))
        except (Internal, Conflict) as error:
            if not fresh:  # it may be sealed under a master key that has been dropped since
                return await self.fields(workspace_id, credential, fresh=True, renew=renew)
            # How the keys are set up is not for callers to know.
            _log.error("The key of a webhook does not open: %s", error.message, extra={"credential_id": found.id})
            raise Unavailable("What this call is checked with cannot be had now.") from None
        if opened.get("jwks_url"):
            opened["jwks"] = await self._key_set(f"{found.workspace_id}/{found.id}/{found.version}", renew)
        return {name: value for name, value in opened.items() if isinstance(value, str)}

    async def _key_set(self, name: str, renew: bool) -> str:
        """The JWK Set of a credential, as old as `SET_MS` at most; while it cannot be had, the one before. `renew`: as
        it is now, unless it was asked for a moment ago."""
        text, at, tried = self._sets.get(name, ("", 0, 0))
        now = self._clock.now_ms()
        due = now - tried >= AGAIN_MS if renew else now - at >= SET_MS and now - tried >= SET_MS // 2
        if text and not due:
            return text
        found = await self._fetched.find(name)
        if found is None and (not text or now - at > STALE_MS):
            raise Unavailable("What this call is checked with cannot be had now.")
        self._sets[name] = (found or text, now if found else at, now)
        while len(self._sets) > MANY:
            self._sets.popitem(last=False)
        return found or text

    async def _fetch(self, names: Sequence[str]) -> Mapping[str, str]:
        found = {}
        for name in names:
            workspace_id, id, _ = name.split("/")
            try:
                reply = await self._worker(workspace_id, ProbeRequest(workspace_id, id, "jwks"))
            except LinkFlowError as error:
                reply = ProbeReply(False, error.message, error.code)
            if reply.ok:
                found[name] = reply.message
            else:
                _log.warning("A webhook's key set cannot be had: %s", reply.message, extra={"credential_id": id})
        return found

    async def _sealed(self, workspace_id: str, id: str) -> SealedCredential | None:
        at, now = (workspace_id, id), self._clock.now_ms()
        found, until = self._kept.get(at, (None, 0))
        if until > now:
            return found
        found = await self._together(workspace_id).find(id)
        self._kept[at] = (found, now + KEPT_MS)
        while len(self._kept) > MANY:
            self._kept.popitem(last=False)
        return found

    def _together(self, workspace_id: str) -> Together[SealedCredential]:
        """Calls that come at once ask once."""

        async def look(ids: Sequence[str]) -> Mapping[str, SealedCredential]:
            return {one.id: one for one in await self._store.sealed(workspace_id, tuple(ids))}

        if workspace_id not in self._asked:
            if len(self._asked) > MANY:
                self._asked.clear()
            self._asked[workspace_id] = Together(look)
        return self._asked[workspace_id]
