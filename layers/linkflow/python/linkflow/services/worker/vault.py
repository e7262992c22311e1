"""What the nodes of a run refer to is opened here, at the moment of use, and nowhere else.

Only sealed texts are kept, for a few seconds. A run whose definition refers to no credential and no secret variable
never comes here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from linkflow.contracts.history import HistoryApi
from linkflow.contracts.secrets import (
    SealedCredential,
    SealedVariable,
    SecretsRequest,
    credential_about,
    variable_about,
)
from linkflow.domain.environments import shown
from linkflow.domain.errors import Conflict, Internal, LinkFlowError
from linkflow.domain.redaction import Redactor
from linkflow.domain.secrets import Refs
from linkflow.domain.state import State
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.given import Given, any_of, home_of, secrets_of, takes_secrets
from linkflow.observability import logger
from linkflow.ports import Clock
from linkflow.services.sealing import Sealer

from .plans import Plan, Step
from .tokens import STORED_KINDS, StoredTokens

KEPT_MS = 5_000
"""How long a change takes at most to hold everywhere."""
MANY = 10_000

Found = SealedCredential | SealedVariable | None


@dataclass(slots=True)
class Opened:
    """What one node run may use. `hosts`: the places of each credential that is bound to some."""

    redactor: Redactor
    credentials: dict[str, Given] = field(default_factory=dict)
    named: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    hosts: tuple[tuple[str, ...], ...] = ()


class Vault:
    """`holder` names this worker where tokens are renewed. `always` are secrets that are never to be seen, of whatever
    run: those of the worker's default connections."""

    def __init__(
        self, history: HistoryApi, sealer: Sealer, clock: Clock, holder: str,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self.history = history
        self.sealer = sealer
        self.clock = clock
        self.holder = holder
        self._always = tuple(_of_connections(connections or {}))
        self._kept: OrderedDict[tuple[str, str, str, str], tuple[Found, int]] = OrderedDict()

    def wanted(self, plan: Plan, state: State) -> Refs | None:
        """What a run refers to that is secret, or may be; None where that is nothing."""
        refs = plan.refs
        variables = tuple(key for key in refs.variables if key not in state.vars)
        return Refs(refs.ids, refs.slugs, variables) if variables or refs.wants_credentials else None

    async def fetch(self, plan: Plan, state: State) -> None:
        """Have what a run refers to at hand, as it was a few seconds ago. Raises `LinkFlowError`."""
        wanted = self.wanted(plan, state)
        if wanted is not None:
            await self._have(state.workspace_id, _environment(state), wanted)

    async def open(self, plan: Plan, step: Step, state: State) -> Opened | None:
        """What a node run may use, and what must not be seen of it.

        Raises `NodeFailure`: ``credential_missing``, ``credential_expired``, ``credential_unreadable``,
        ``credentials_unavailable``.
        """
        wanted = self.wanted(plan, state)
        if wanted is None and not plan.refs.credentials:
            return Opened(Redactor(self._always)) if self._always else None
        opened = Opened(Redactor(self._always))
        if wanted is not None:
            try:
                await self._have(state.workspace_id, _environment(state), wanted, any_age=True)
            except LinkFlowError:
                raise NodeFailure("credentials_unavailable", "The credentials cannot be asked for now.") from None
        await self._own(step, state, opened)
        await self._others(wanted, state, opened)
        return opened

    async def _own(self, step: Step, state: State, opened: Opened) -> None:
        """What this node is given."""
        bound: list[Iterable[str]] = []
        for slot, id in step.node.credentials.items():
            sealed = self._find(state, "id", id)
            opened.credentials[slot] = await self._use(sealed, f"The credential {id!r} of the slot {slot!r}", opened)
            bound.append(_places(sealed, opened.credentials[slot]))
        if takes_secrets(step.type):
            for name in sorted(step.facts.credentials):
                sealed = self._find(state, "slug", name)
                given = await self._use(sealed, f"The credential that expressions call {name!r}", opened)
                opened.named[name] = {key: value for key, value in given.items() if key != "kind"}
                bound.append(_places(sealed, given))
            for key in step.refs.variables:
                found = self._find(state, "variable", key)
                if isinstance(found, SealedVariable) and key not in state.vars:
                    opened.variables[key] = await self._variable(found, _environment(state))
                    opened.redactor.add((opened.variables[key],))
        opened.hosts = any_of(bound)

    async def _others(self, wanted: Refs | None, state: State, opened: Opened) -> None:
        """What other nodes of the run are given may come back to this one: it is to be recognised."""
        if wanted is None:
            return
        places = [*(("id", id) for id in wanted.ids), *(("slug", slug) for slug in wanted.slugs)]
        places += [("variable", key) for key in wanted.variables]
        for kind, name in places:
            sealed = self._find(state, kind, name)
            try:
                if isinstance(sealed, SealedCredential):
                    opened.redactor.add(secrets_of(sealed.kind, await self.fields(sealed)))
                    if sealed.tokens is not None:
                        opened.redactor.add(await StoredTokens(self, sealed).secrets())
                elif sealed is not None:
                    opened.redactor.add((await self._variable(sealed, _environment(state)),))
            except LinkFlowError as error:  # what does not open here, nobody here has used
                logger.warning("A secret of a run does not open", extra={"code": error.code, "reference": name})

    async def _use(self, sealed: Found, what: str, opened: Opened) -> Given:
        if not isinstance(sealed, SealedCredential):
            text = f"{what} does not exist in this workspace. Choose another one, or make it."
            raise NodeFailure("credential_missing", text, retryable=False)
        if sealed.expires_at and sealed.expires_at <= self.clock.now_ms():
            raise NodeFailure("credential_expired", f"The credential {sealed.name!r} has expired.", retryable=False)
        try:
            fields = await self.fields(sealed)
        except (Internal, Conflict) as error:
            text = f"The credential {sealed.name!r} cannot be opened by this worker: {error.message}"
            raise NodeFailure("credential_unreadable", text, retryable=False) from None
        except LinkFlowError:
            raise NodeFailure("credentials_unavailable", "The keys for credentials cannot be had now.") from None
        opened.redactor.add(secrets_of(sealed.kind, fields))
        tokens = StoredTokens(self, sealed, opened.redactor) if sealed.kind in STORED_KINDS else None
        return Given(sealed.kind, fields, tokens)

    async def fields(self, sealed: SealedCredential) -> dict[str, Any]:
        """The fields of a credential. What is at hand may be sealed under a master key that has been dropped since."""
        try:
            return await self._fields(sealed)
        except Internal:
            fresh = await self.ask(sealed.workspace_id, sealed.id)
            if fresh is None or fresh.sealed.key_id == sealed.sealed.key_id:
                raise
            self.keep(fresh)
            return await self._fields(fresh)

    async def _fields(self, sealed: SealedCredential) -> dict[str, Any]:
        about = credential_about(sealed.workspace_id, sealed.id, sealed.version)
        found: dict[str, Any] = msgspec.json.decode(await self.sealer.open(sealed.sealed, about))
        return found

    async def _variable(self, sealed: SealedVariable, environment: str) -> str:
        try:
            return await self._value(sealed)
        except Internal:  # as with credentials
            request = SecretsRequest(sealed.workspace_id, variables=(sealed.key,), environment=environment)
            fresh = next(iter((await self.history.secrets(request)).variables), sealed)
            if fresh.sealed.key_id == sealed.sealed.key_id:
                raise
            return await self._value(fresh)

    async def _value(self, sealed: SealedVariable) -> str:
        about = variable_about(sealed.workspace_id, sealed.id, sealed.version)
        return (await self.sealer.open(sealed.sealed, about)).decode()

    # What is kept: sealed, and that there is none.

    def keep(self, sealed: SealedCredential, environment: str = "") -> None:
        """This is how it is now."""
        until = self.clock.now_ms() + KEPT_MS
        for at in [at for at, (found, _) in self._kept.items() if found is not None and found.id == sealed.id]:
            self._kept[at] = (sealed, until)

    async def ask(self, workspace_id: str, id: str) -> SealedCredential | None:
        """One credential as it is now. Raises `LinkFlowError`."""
        reply = await self.history.secrets(SecretsRequest(workspace_id, (id,)))
        return reply.credentials[0] if reply.credentials else None

    def _find(self, state: State, kind: str, name: str) -> Found:
        return self._kept.get((state.workspace_id, _environment(state), kind, name), (None, 0))[0]

    async def _have(self, workspace_id: str, environment: str, wanted: Refs, any_age: bool = False) -> None:
        now = self.clock.now_ms()

        def lacking(kind: str, names: Iterable[str]) -> tuple[str, ...]:
            found = ((name, self._kept.get((workspace_id, environment, kind, name))) for name in names)
            return tuple(name for name, at in found if at is None or not (any_age or at[1] > now))

        ids, slugs = lacking("id", wanted.ids), lacking("slug", wanted.slugs)
        keys = lacking("variable", wanted.variables)
        if not ids and not slugs and not keys:
            return
        reply = await self.history.secrets(SecretsRequest(workspace_id, ids, slugs, keys, environment))
        until = now + KEPT_MS
        found: dict[tuple[str, str], Found] = {}
        for one in reply.credentials:
            found["id", one.id] = found["slug", one.slug] = one
        found |= {("variable", one.key): one for one in reply.variables}
        for kind, names in (("id", ids), ("slug", slugs), ("variable", keys)):
            for name in names:
                self._kept[workspace_id, environment, kind, name] = (found.get((kind, name)), until)
        while len(self._kept) > MANY:
            self._kept.popitem(last=False)


def _environment(state: State) -> str:
    return shown(state.environment)


def _places(sealed: Found, given: Given) -> tuple[str, ...]:
    """Where a credential may go; nothing where it may go anywhere. The addresses in it are its own."""
    hosts = sealed.hosts if isinstance(sealed, SealedCredential) else ()
    return (*hosts, *home_of(given)) if hosts else ()


def _of_connections(connections: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    families = {"ai": "ai", "smtp": "smtp", "slack": "slack", "database": "postgres"}
    for family, fields in connections.items():
        kind = families.get(family)
        if kind is not None:
            yield from secrets_of(kind, fields)
