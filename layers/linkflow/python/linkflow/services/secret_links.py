"""What a workflow refers to, held against what there is: when it is saved, and when somebody runs it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import msgspec

from linkflow.domain.definition import Definition, Node
from linkflow.domain.errors import Forbidden, Problem
from linkflow.domain.expressions.names import APPROVAL
from linkflow.domain.ids import is_uuid
from linkflow.domain.secrets import Refs, refs_in, refs_of, slug_of
from linkflow.nodes.base import NodeType
from linkflow.nodes.connections import ANY
from linkflow.nodes.given import takes_secrets

from .credentials import may_use
from .hook_keys import KINDS
from .hook_secrets import HookSecrets, hook_credential
from .secret_ports import Brief, CredentialStore, VariableStore
from .triggers import without_keys
from .workspaces import Membership

MANY = 1_024
"""Versions whose references are remembered."""


class Types(Protocol):
    def resolve(self, name: str, version: int = 0) -> NodeType | None: ...


class SecretLinks:
    """`types` knows what credentials a node can be given."""

    def __init__(
        self, credentials: CredentialStore, variables: VariableStore, types: Types, hooks: HookSecrets | None = None
    ) -> None:
        """`hooks` keeps the secrets that stand in the settings of webhooks."""
        self._hooks = hooks
        self._credentials = credentials
        self._variables = variables
        self._types = types
        self._refs: OrderedDict[tuple[str, int], Refs] = OrderedDict()

    async def settle(
        self, who: Membership, definition: Definition, keep: bool = True
    ) -> tuple[Definition, list[Problem]]:
        """The definition with ids in place of names, and what its author should know. Errors among the problems forbid
        to save it. A credential that is not there is a warning: it may be made later, and the node says so. Without
        `keep` nothing is made of secrets that stand in it."""
        definition, problems = await self.adopt(who, definition) if keep else (definition, [])
        problems += self._misplaced_links(definition)
        refs = refs_of(msgspec.structs.replace(definition, nodes=_enabled(definition)))
        signed = tuple(name for node in _enabled(definition) if (name := hook_credential(node)[1]))
        refs = msgspec.structs.replace(refs, credentials=(*refs.credentials, *signed))
        if not refs.wants_credentials and not refs.variables:
            return definition, problems
        found = await self._find(who.workspace_id, refs)
        secret = {one.key for one in await self._variables.sealed(who.workspace_id, "", refs.variables)}
        nodes = []
        for place, node in enumerate(definition.nodes):
            made, more = self._node(who, node, f"/nodes/{place}", found, secret)
            if hook_credential(made)[1]:
                made, of_hook = _signed(who, made, f"/nodes/{place}", found)
                more += of_hook
            nodes.append(made)
            problems += more
        return msgspec.structs.replace(definition, nodes=tuple(nodes)), problems

    def _misplaced_links(self, definition: Definition) -> list[Problem]:
        """Links to approvals are for messages: whoever has one may decide, so no result may have them."""
        found = []
        for place, node in enumerate(definition.nodes):
            if not node.disabled and APPROVAL.encode() in msgspec.json.encode(node.config):
                type = self._types.resolve(node.type, node.version)
                if type is not None and not takes_secrets(type):
                    found.append(_misplaced(APPROVAL, f"/nodes/{place}"))
        return found

    async def adopt(self, who: Membership, definition: Definition) -> tuple[Definition, list[Problem]]:
        """The definition with credentials in place of secrets that stand in it; see `hook_secrets`."""
        return await self._hooks.adopt(who, definition) if self._hooks is not None else (definition, [])

    async def by_name(self, workspace_id: str, definition: Definition) -> Definition:
        """The definition with names in place of credentials' ids, as files have it. What is not there stays an id."""
        signed = tuple(name for node in definition.nodes if (name := hook_credential(node)[1]))
        refs = refs_in(iter(definition.nodes))
        refs = msgspec.structs.replace(refs, credentials=(*refs.credentials, *signed))
        if not refs.ids:
            return definition
        found = await self._find(workspace_id, refs)
        nodes = []
        for node in definition.nodes:
            given = {slot: found[id][1] if id in found else id for slot, id in node.credentials.items()}
            brief = found.get(hook_credential(node)[1])
            config = without_keys(node.config, brief[1]) if brief else node.config
            nodes.append(msgspec.structs.replace(node, credentials=given, config=config))
        return msgspec.structs.replace(definition, nodes=tuple(nodes))

    async def check_use(self, who: Membership, workflow_id: str, version: int, definition: Definition) -> None:
        """Raises `Forbidden` where a credential of the workflow is not for this role."""
        refs = self._refs.get((workflow_id, version))
        if refs is None:
            refs = self._refs[workflow_id, version] = refs_of(definition)
            if len(self._refs) > MANY:
                self._refs.popitem(last=False)
        if refs.wants_credentials:
            for _, name, _, _, roles, _ in (await self._find(who.workspace_id, refs)).values():
                if not may_use(who.workspace, roles):
                    raise Forbidden(f"The workflow uses the credential {name!r}, which is for other roles.")

    async def _find(self, workspace_id: str, refs: Refs) -> dict[str, Brief]:
        """By id and by slug."""
        names = {*refs.slugs, *(slug_of(name) for name in refs.credentials if not is_uuid(name))}
        if not refs.ids and not names:
            return {}
        rows = await self._credentials.briefs(workspace_id, refs.ids, sorted(names))
        return {key: row for row in rows for key in (row[0], row[2])}

    def _node(
        self, who: Membership, node: Node, path: str, found: dict[str, Brief], secret: set[str]
    ) -> tuple[Node, list[Problem]]:
        if node.disabled:
            return node, []
        problems: list[Problem] = []
        given: dict[str, str] = {}
        type = self._types.resolve(node.type, node.version)
        for slot, id in node.credentials.items():
            at = f"{path}/credentials/{_escape(slot)}"
            brief = found.get(id) or found.get(slug_of(id))
            given[slot] = brief[0] if brief else id
            if brief is None:
                text = f"There is no credential {id[:80]!r} in this workspace. The node fails until it has one."
                problems.append(Problem(at, "unknown_credential", text, "warning"))
                continue
            problems += [Problem(at, *fault) for fault in _misfit(type, slot, brief)]
            problems += _not_yours(who, brief, at)
        refs = refs_in(iter((node,)))
        takes = type is None or takes_secrets(type)
        for slug in refs.slugs:
            brief = found.get(slug)
            if not takes:
                problems.append(_misplaced(f"credential.{slug}", path))
            elif brief is None:
                text = f"There is no credential that expressions call {slug!r}. The node fails until there is one."
                problems.append(Problem(f"{path}/config", "unknown_credential", text, "warning"))
            else:
                problems += _not_yours(who, brief, f"{path}/config")
        if not takes:
            problems += [_misplaced(key, path) for key in refs.variables if key in secret]
        return (msgspec.structs.replace(node, credentials=given) if given != node.credentials else node), problems


def _signed(who: Membership, node: Node, path: str, found: dict[str, Brief]) -> tuple[Node, list[Problem]]:
    """A webhook with the id of what its calls are signed with."""
    if node.disabled:
        return node, []
    kind, name = hook_credential(node)
    brief, at = found.get(name) or found.get(slug_of(name)), f"{path}/config/auth/credential"
    if brief is None:
        text = f"There is no credential {name[:80]!r} in this workspace. Calls are turned away until there is one."
        return node, [Problem(at, "unknown_credential", text, "warning")]
    problems = _not_yours(who, brief, at)
    if brief[3] not in KINDS[kind]:
        text = f"The credential {brief[1]!r} is of the type {brief[3]}; here {', '.join(sorted(KINDS[kind]))} fit."
        problems.append(Problem(at, "credential_type", text))
    return msgspec.structs.replace(node, config=without_keys(node.config, brief[0])), problems


def _enabled(definition: Definition) -> tuple[Node, ...]:
    return tuple(node for node in definition.nodes if not node.disabled)


def _misfit(type: NodeType | None, slot: str, brief: Brief) -> Sequence[tuple[str, str]]:
    """Why this credential is nothing for that slot."""
    if type is None:
        return ()
    slots = {one.name: one for one in type.slots}
    if slot != ANY and slot not in slots:
        known = f"it has {', '.join(sorted(slots))}" if slots else "it takes none"
        return (("unknown_slot", f"{type.name} has no slot {slot[:40]!r} for a credential; {known}."),)
    fitting = {kind for one in (slots.values() if slot == ANY else (slots[slot],)) for kind in one.kinds}
    if fitting and brief[3] not in fitting:
        text = f"The credential {brief[1]!r} is of the type {brief[3]}; here {', '.join(sorted(fitting))} fit."
        return (("credential_type", text),)
    return ()


def _not_yours(who: Membership, brief: Brief, path: str) -> list[Problem]:
    if may_use(who.workspace, brief[4]):
        return []
    text = f"The credential {brief[1]!r} is for {', '.join(brief[5])}; you are a {who.workspace.role}."
    return [Problem(path, "credential_not_allowed", text)]


def _misplaced(what: str, path: str) -> Problem:
    text = f"{what} is secret, and this node would hand it on: use it in the node that calls the other side."
    return Problem(f"{path}/config", "secret_not_allowed", text)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
