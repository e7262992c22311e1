"""Many workflows, in order: tags, folders, locks, and finding them again."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType

from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

from . import audit
from .control_ports import TriggerRow, Workflow, WorkflowStore, WorkflowTag
from .shelf_ports import Folder, Search, ShelfStore, Tag
from .workflows import Shown, Workflows
from .workspaces import Membership

MOST_TAGS, MOST_FOLDERS, DEEPEST = 500, 1_000, 10
MOST_WORDS, LONGEST_WORD = 20, 100
NO_FOLDER = "none"

_WORD = re.compile(r"[^\W_]+")


class Found(Struct, frozen=True):
    """A workflow of a search. `key` is what it was sorted by."""

    key: str
    workflow: Workflow
    triggers: tuple[TriggerRow, ...]
    tags: tuple[WorkflowTag, ...]


class Wanted(Struct, frozen=True):
    """What somebody looks for, as he writes it: tags by name or id; a folder by id, or ``none``; with `below` also
    what is in the folders of that one."""

    text: str = ""
    tags: tuple[str, ...] = ()
    folder: str = ""
    below: bool = False
    types: tuple[str, ...] = ()
    active: bool | None = None
    locked: bool | None = None
    sort: str = "-created_at"
    after: tuple[str, str] | None = None
    limit: int = 20


class Shelf:
    """The rules of what keeps workflows in order."""

    def __init__(self, store: ShelfStore, workflows: Workflows, rows: WorkflowStore, clock: Clock) -> None:
        self._store = store
        self._workflows = workflows
        self._rows = rows
        self._clock = clock

    async def search(self, who: Membership, wanted: Wanted) -> list[Found]:
        """Nothing where a tag is not there. Raises `NotFound` for a folder that is not."""
        tags = None
        if wanted.tags:
            named = await self._named(who, wanted.tags)
            if any(name.lower() not in named for name in wanted.tags):
                return []
            tags = tuple({named[name.lower()] for name in wanted.tags})
        folders = None
        if wanted.folder and wanted.folder != NO_FOLDER:
            folders = _within(await self._store.folders(who.workspace_id), wanted.folder, wanted.below)
        asked = Search(
            active=wanted.active, locked=wanted.locked, words=_words(wanted.text), tags=tags, folders=folders,
            loose=wanted.folder == NO_FOLDER, types=wanted.types, sort=wanted.sort.removeprefix("-"),
            down=wanted.sort.startswith("-"), after=wanted.after, limit=wanted.limit,
        )  # fmt: skip
        rows = await self._store.search(who.workspace_id, asked)
        ids = [workflow.id for _, workflow in rows]
        triggers, hung = await self._rows.triggers(ids), await self._rows.tags(ids)
        return [Found(key, one, tuple(triggers.get(one.id, ())), hung.get(one.id, ())) for key, one in rows]

    # Tags

    async def tags(self, who: Membership) -> list[Tag]:
        return await self._store.tags(who.workspace_id)

    async def add_tag(self, who: Membership, name: str, color: str) -> Tag:
        """Raises `Conflict` where its name is taken, small letters or capitals."""
        now = self._clock.now_ms()
        made = Tag(self._new_id(), name, color, now, now)
        if not await self._store.add_tag(who.workspace_id, made, MOST_TAGS):
            raise Conflict(f"There is a tag {name!r} already, or there are {MOST_TAGS}, which is the most.")
        return made

    async def change_tag(self, who: Membership, tag_id: str, name: str | None, color: str | None) -> Tag:
        """Raises `NotFound`, `Conflict` where another has that name."""
        found = await self._tag(who, tag_id)
        changed = msgspec.structs.replace(
            found, name=name or found.name, color=found.color if color is None else color,
            updated_at=self._clock.now_ms(),
        )  # fmt: skip
        audit.changed(found, changed)
        if not await self._store.change_tag(who.workspace_id, changed):
            raise Conflict(f"There is a tag {changed.name!r} already.")
        return changed

    async def drop_tag(self, who: Membership, tag_id: str) -> None:
        """Raises `NotFound`."""
        found = await self._tag(who, tag_id)
        audit.changed({"name": found.name, "color": found.color}, None)
        await self._store.drop_tag(who.workspace_id, found.id)

    async def put_tags(self, who: Membership, workflow_id: str, names: Sequence[str]) -> Shown:
        """Let a workflow have these tags, by name or id, and no others. Names that are new become tags, if he may make
        some. Raises `NotFound`, and `InvalidInput` for those that are none."""
        workflow = await self._workflows.get(who, workflow_id)
        found = await self._named(who, names)
        missing = [at for at, name in enumerate(names) if name.lower() not in found]
        if missing and ("tag.create" not in who.permissions or any(is_uuid(names[at]) for at in missing)):
            problems = [Problem(f"/tags/{at}", "unknown_tag", f"There is no tag {names[at]!r}.") for at in missing]
            raise InvalidInput("These tags are not there.", problems=problems)
        for name in dict.fromkeys(names[at].lower() for at in missing):
            written = next(one for one in names if one.lower() == name)
            found[name] = (await self.add_tag(who, written, "")).id
        await self._store.put_tags(who.workspace_id, workflow.id, list({found[name.lower()] for name in names}))
        return await self._workflows.show(who, workflow.id)

    async def _named(self, who: Membership, names: Sequence[str]) -> dict[str, str]:
        """Ids by what `names` call them, in small letters."""
        rows = await self._store.named(who.workspace_id, [name.lower() for name in names])
        return {key: id for id, name in rows for key in (id, name)}

    async def _tag(self, who: Membership, tag_id: str) -> Tag:
        for found in await self._store.tags(who.workspace_id):
            if found.id == tag_id:
                return found
        raise NotFound("There is no such tag.")

    # Folders

    async def folders(self, who: Membership) -> list[Folder]:
        """All of the tree, each folder before those in it."""
        found = await self._store.folders(who.workspace_id)
        return _tree(found)

    async def add_folder(self, who: Membership, name: str, parent: str) -> Folder:
        """Raises `InvalidInput` for a parent that is not there, `Conflict` where a name is taken there, or the tree is
        as large as it may be."""
        now = self._clock.now_ms()
        made = Folder(self._new_id(), parent, name, now, now)

        def choose(there: list[Folder]) -> Folder:
            if len(there) >= MOST_FOLDERS:
                raise Conflict(f"A workspace has at most {MOST_FOLDERS:,} folders.")
            return _fitting(there, made)

        return await self._store.put_folder(who.workspace_id, choose)

    async def change_folder(
        self, who: Membership, folder_id: str, name: str | None, parent: str | UnsetType = UNSET
    ) -> Folder:
        """Rename it, or move it with all that is in it (an empty `parent`: to the top). Raises `NotFound`, and as
        `add_folder`; `Conflict` also for a place within itself."""
        now = self._clock.now_ms()

        def choose(there: list[Folder]) -> Folder:
            found = _folder(there, folder_id)
            changed = msgspec.structs.replace(found, name=name or found.name, updated_at=now)
            if parent is not UNSET:
                changed = msgspec.structs.replace(changed, parent=parent)
            audit.changed(
                {"name": found.name, "parent": found.parent}, {"name": changed.name, "parent": changed.parent}
            )
            return _fitting(there, changed)

        return await self._store.put_folder(who.workspace_id, choose)

    async def drop_folder(self, who: Membership, folder_id: str) -> None:
        """No workflow goes with it: what is in it comes into the folder above. Raises `NotFound`."""
        there = await self._store.folders(who.workspace_id)
        if found := next((one for one in there if one.id == folder_id), None):
            audit.changed({"name": found.name, "parent": found.parent}, None)
        if not is_uuid(folder_id) or not await self._store.drop_folder(who.workspace_id, folder_id):
            raise NotFound("There is no such folder.")

    async def check_place(self, who: Membership, folder_id: str) -> None:
        """Raises `InvalidInput` where there is no such folder."""
        if folder_id and all(one.id != folder_id for one in await self._store.folders(who.workspace_id)):
            raise _no_folder("/folder_id")

    async def move(self, who: Membership, workflow_id: str, folder_id: str) -> Shown:
        """Empty: out of all folders. Raises `NotFound`, and `InvalidInput` for a folder that is not there."""
        workflow = await self._workflows.get(who, workflow_id)
        known = not folder_id or is_uuid(folder_id)
        audit.changed({"folder_id": workflow.folder_id}, {"folder_id": folder_id})
        if not known or not await self._store.move(who.workspace_id, workflow.id, folder_id):
            raise _no_folder("/folder_id")
        return await self._workflows.show(who, workflow.id)

    # Locks

    async def lock(self, who: Membership, workflow_id: str, reason: str) -> Shown:
        """Nobody changes it then, nor what runs of it; it goes on running. Raises `Locked` where it is."""
        workflow = await self._workflows.get(who, workflow_id, change=True)
        now = self._clock.now_ms()
        audit.changed({"locked": False}, {"locked": True, "reason": reason})
        if not await self._store.lock(who.workspace_id, workflow.id, who.actor, who.user_id, now, reason):
            await self._workflows.get(who, workflow_id, change=True)
        return await self._workflows.show(who, workflow.id)

    async def unlock(self, who: Membership, workflow_id: str) -> Shown:
        """For him who locked it, and those who may delete workflows. Raises `Forbidden` for others, `Conflict` where it
        is not locked."""
        workflow = await self._workflows.get(who, workflow_id)
        if workflow.locked_at and workflow.locked_by != who.actor and "workflow.delete" not in who.permissions:
            name = workflow.locker or "somebody else"
            raise Forbidden(f"It was locked by {name}: he can unlock it, or somebody who may delete workflows.")
        audit.changed({"locked": True, "locked_by": workflow.locked_by}, {"locked": False, "locked_by": ""})
        if not await self._store.unlock(who.workspace_id, workflow.id):
            raise Conflict("The workflow is not locked.")
        return await self._workflows.show(who, workflow.id)

    def _new_id(self) -> str:
        return uuid7(self._clock.now_ms(), self._clock.rand_bits(12), self._clock.rand_bits(62))


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word[:LONGEST_WORD] for word in _WORD.findall(text)))[:MOST_WORDS]


def _folder(there: Sequence[Folder], id: str) -> Folder:
    for found in there:
        if found.id == id:
            return found
    raise NotFound("There is no such folder.")


def _fitting(there: Sequence[Folder], made: Folder) -> Folder:
    """The folder, if it can be where it is to be."""
    by_id = {one.id: one for one in there}
    if made.parent and made.parent not in by_id:
        raise _no_folder("/parent_id")
    above, at = 1, made.parent
    while at:
        if at == made.id:
            raise Conflict("A folder cannot be within itself.")
        above, at = above + 1, by_id[at].parent
    if above + _height(there, made.id) > DEEPEST:
        raise Conflict(f"Folders are at most {DEEPEST} deep.")
    if any(o.parent == made.parent and o.name.lower() == made.name.lower() and o.id != made.id for o in there):
        raise Conflict(f"There is a folder {made.name!r} already.")
    return made


def _height(there: Sequence[Folder], id: str) -> int:
    """How many levels are below it."""
    inner = [_height(there, one.id) + 1 for one in there if one.parent == id]
    return max(inner, default=0)


def _within(there: Sequence[Folder], id: str, below: bool) -> tuple[str, ...]:
    found = [_folder(there, id).id]
    for at in found:  # it grows while it is walked
        if below:
            found += [one.id for one in there if one.parent == at]
    return tuple(found)


def _tree(there: Sequence[Folder]) -> list[Folder]:
    """Each before those in it, those of one folder by name."""
    inner: dict[str, list[Folder]] = {}
    for one in there:
        inner.setdefault(one.parent, []).append(one)
    found: list[Folder] = []
    left = list(reversed(inner.get("", ())))
    while left:
        one = left.pop()
        found.append(one)
        left += reversed(inner.get(one.id, ()))
    return found


def _no_folder(path: str) -> InvalidInput:
    message = "There is no such folder in this workspace."
    return InvalidInput(message, problems=[Problem(path, "unknown_folder", message)])
