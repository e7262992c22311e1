"""Secrets of signatures that somebody wrote into a webhook's settings: they become credentials when the workflow is
saved, and the definition has the credential's id. Saving the same text again finds the same credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from linkflow.domain.definition import Definition, Node
from linkflow.domain.errors import Conflict, InvalidInput, LinkFlowError, Problem
from linkflow.domain.secrets import slug_of
from linkflow.nodes.fields import to_text

from . import audit
from .credentials import Credentials, Draft, may_use
from .hook_keys import HookKeys
from .secret_ports import CredentialStore
from .signatures import PRESETS, BadSignature, check_secret
from .triggers import WEBHOOK, keys_in, without_keys
from .workspaces import Membership

TRIES = 50
"""Names that are tried until one is free."""


class HookSecrets:
    def __init__(self, credentials: Credentials, store: CredentialStore, keys: HookKeys) -> None:
        self._credentials = credentials
        self._store = store
        self._keys = keys

    async def adopt(self, who: Membership, definition: Definition) -> tuple[Definition, list[Problem]]:
        """The definition without such secrets, and what its author should know; an error forbids to save it."""
        nodes, problems = list(definition.nodes), list[Problem]()
        for place, node in enumerate(nodes):
            found = keys_in(node.config) if node.type == WEBHOOK else {}
            if not found or any("{{" in to_text(value) for value in found.values()):
                continue  # an expression is no secret, and triggers refuse it themselves
            made, problem = await self._kept(who, definition.name, node, found)
            nodes[place] = made
            path = f"/nodes/{place}/config/auth"
            problems.append(msgspec.structs.replace(problem, path=path + problem.path))
        return msgspec.structs.replace(definition, nodes=tuple(nodes)), problems

    async def _kept(self, who: Membership, workflow: str, node: Node, found: Mapping[str, Any]) -> tuple[Node, Problem]:
        auth = _auth(node.config)
        kind = "webhook_jwt" if auth.get("type") == "jwt" else "webhook"
        data = {name: to_text(value) for name, value in found.items()}
        try:
            if kind == "webhook" and (preset := PRESETS.get(str(auth.get("preset", "standard")))):
                check_secret(preset, data.get("secret", ""))
            title, id = await self._credential(who, f"{workflow[:180]}: {node.id[:40]} webhook", kind, data)
        except BadSignature:
            return node, Problem("/secret", "invalid_value", "Secrets of this preset are whsec_ and base64.")
        except InvalidInput as error:
            return node, error.problems[0] if error.problems else Problem("", "invalid_value", error.message)
        except LinkFlowError as error:
            return node, Problem("", error.code, f"The secret cannot be kept: {error.message}")
        text = f"The secret is kept as the credential {title!r}; the workflow has its id."
        kept = msgspec.structs.replace(node, config=without_keys(node.config, id))
        return kept, Problem("/credential", "secret_kept", text, "warning")

    async def _credential(self, who: Membership, name: str, kind: str, data: Mapping[str, str]) -> tuple[str, str]:
        """Name and id of the credential that has this, a new one where there is none."""
        who.require("credential.create")
        for count in range(1, TRIES + 1):
            title = f"{name} {count}" if count > 1 else name
            for brief in await self._store.briefs(who.workspace_id, (), (slug_of(title),)):
                if brief[3] == kind and may_use(who.workspace, brief[4]) and await self._has(who, brief[0], data):
                    return brief[1], brief[0]
            try:
                return title, await self._make(who, title, kind, data)
            except Conflict as error:
                if error.details.get("field") != "name":
                    raise
        raise Conflict("There are too many credentials of this name.")

    async def _has(self, who: Membership, id: str, data: Mapping[str, str]) -> bool:
        try:
            fields = await self._keys.fields(who.workspace_id, id, fresh=True)
        except LinkFlowError:
            return False
        return {name: value for name, value in fields.items() if value} == dict(data)

    async def _make(self, who: Membership, title: str, kind: str, data: Mapping[str, str]) -> str:
        about = "Made of what stood in a webhook's settings."
        entry = audit.current()
        with audit.recording(_of_its_own(entry)) if entry else audit.recording(audit.Entry("")):
            kept = await self._credentials.create(who, Draft(title, kind, data, about))
        return kept.credential.id


def hook_credential(node: Node) -> tuple[str, str]:
    """How a webhook's calls are signed, and the credential that it names for that; both empty where there is none."""
    auth = _auth(node.config) if node.type == WEBHOOK else {}
    kind, name = auth.get("type"), auth.get("credential")
    return (kind, name) if kind in ("hmac", "jwt") and isinstance(name, str) else ("", "")


def _auth(config: Mapping[str, Any]) -> dict[str, Any]:
    """How it is checked, whichever way it is spelt."""
    nested = next((part for name in ("auth", "auth_config") if isinstance(part := config.get(name), Mapping)), {})
    kind = config.get("auth_type")
    return {**config, **nested, **({"type": kind} if kind else {})}


def _of_its_own(entry: audit.Entry) -> audit.Entry:
    """A line of its own in the audit log, beside the workflow's."""
    return msgspec.structs.replace(
        entry, action="credentials.create", target_type="", target_id="", changes=(), written=False
    )
