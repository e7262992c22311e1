"""What runs need of credentials and variables. It passes through sealed; only plain variables are read here."""

from __future__ import annotations

from linkflow.contracts.secrets import SecretsReply, SecretsRequest, TokensReply, TokensRequest
from linkflow.domain.errors import InvalidInput
from linkflow.domain.ids import is_uuid
from linkflow.domain.secrets import Refs
from linkflow.ports import Clock
from linkflow.services.secret_ports import CredentialStore, VariableStore

LEASE_MS = 30_000
"""How long one worker may take to renew a token."""
MOST = 1_000
"""Names in one request."""


class Secrets:
    """Everything is looked for in the workspace that the request names, and nowhere else."""

    def __init__(self, credentials: CredentialStore, variables: VariableStore, clock: Clock) -> None:
        self._credentials = credentials
        self._variables = variables
        self._clock = clock

    async def find(self, request: SecretsRequest) -> SecretsReply:
        if len(request.ids) + len(request.slugs) + len(request.variables) > MOST:
            raise InvalidInput(f"At most {MOST:,} names in one request.")
        workspace, ids = request.workspace_id, [id for id in request.ids if is_uuid(id)]
        credentials = await self._credentials.sealed(workspace, ids, request.slugs) if ids or request.slugs else []
        keys = request.variables
        variables = await self._variables.sealed(workspace, request.environment, keys) if keys else []
        return SecretsReply(tuple(credentials), tuple(variables))

    async def tokens(self, request: TokensRequest) -> TokensReply:
        workspace, id, now = request.workspace_id, request.id, self._clock.now_ms()
        if not is_uuid(id):
            return TokensReply(False)
        if request.verb == "claim":
            done = await self._credentials.claim(workspace, id, request.holder, now, now + LEASE_MS)
        elif request.verb == "keep":
            done = await self._credentials.keep_tokens(
                workspace, id, request.holder, request.expected, request.tokens, request.status, request.detail, now
            )
        else:
            raise InvalidInput("verb is claim or keep.")
        found = await self._credentials.sealed(workspace, (id,))
        return TokensReply(done, found[0] if found else None)

    async def variables(self, workspace_id: str, environment: str, refs: Refs) -> dict[str, str]:
        """The plain ones that a run begins with."""
        return await self._variables.plain(workspace_id, environment, None if refs.every else refs.variables)
