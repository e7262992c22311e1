"""Workflows from files and into files, and whether one would be taken.

What is taken in together may refer to each other by the ids of where it comes from: they become those of here.
Credentials go by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from linkflow.domain.bundles import MOST, exported, id_of, name_of, renamed, tags_of
from linkflow.domain.definition import Definition
from linkflow.domain.errors import (
    InvalidInput,
    LinkFlowError,
    NotFound,
    PayloadTooLarge,
    Problem,
)
from linkflow.domain.events import iso
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.ports import Clock

from . import audit
from .control_ports import WorkflowStore
from .shelf import Shelf, Wanted
from .workflows import Shown, Workflows
from .workspaces import Membership

if TYPE_CHECKING:
    from .secret_links import SecretLinks

NEW, SKIP, REPLACE = "new", "skip", "replace"
"""What becomes of a document whose name a workflow has already."""

CREATED, UPDATED, UNCHANGED, SKIPPED, FAILED = "created", "updated", "unchanged", "skipped", "failed"
_PAGE = 100


class Document(Struct, frozen=True):
    """`source` is where it stands: a JSON Pointer, or a file's name. `fault` is why it cannot be read at all."""

    source: str
    value: Any = None
    fault: Problem | None = None


class Result(Struct, frozen=True):
    """What became of one document; in a dry run, what would become of it. `problems` point into it."""

    source: str
    name: str
    status: str
    workflow_id: str = ""
    version: int = 0
    problems: tuple[Problem, ...] = ()


class _Work(Struct):
    """A document under way. `id` is the workflow that it is or is to be."""

    document: Document
    name: str
    status: str
    id: str
    definition: Definition | None = None
    problems: tuple[Problem, ...] = ()

    def fail(self, problems: Sequence[Problem]) -> None:
        self.status, self.definition, self.problems = FAILED, None, tuple(problems)


@contextmanager
def _line_of_its_own() -> Iterator[None]:
    """Each workflow that comes in is in the audit log."""
    entry = audit.current()
    if entry is None:
        yield
        return
    own = msgspec.structs.replace(entry, target_type="", target_id="", changes=(), written=False)
    with audit.recording(own):
        yield


class Exchange:
    """The rules of files with workflows."""

    def __init__(
        self, workflows: Workflows, rows: WorkflowStore, shelf: Shelf, links: SecretLinks | None, clock: Clock
    ) -> None:
        self._workflows = workflows
        self._rows = rows
        self._shelf = shelf
        self._links = links
        self._clock = clock

    async def export(self, who: Membership, workflow_id: str, version: int = 0) -> dict[str, Any]:
        """A workflow's file; `version` 0 is what runs in production. Raises `NotFound`."""
        found = await self._workflows.show(who, workflow_id, version)
        folders = {one.id: one for one in await self._shelf.folders(who)} if found.workflow.folder_id else {}
        path, at = "", found.workflow.folder_id
        while at in folders:
            path, at = f"{folders[at].name}/{path}" if path else folders[at].name, folders[at].parent
        definition = found.definition
        if self._links is not None:
            definition = await self._links.by_name(who.workspace_id, definition)
        tags = [tag.name for tag in found.tags]
        number = version or found.workflow.version
        return exported(definition, found.workflow.id, number, iso(self._clock.now_ms()), tags, path)

    async def export_all(
        self, who: Membership, ids: Sequence[str] | None, wanted: Wanted
    ) -> tuple[list[dict[str, Any]], list[Problem]]:
        """The files of these workflows, or of those that are looked for; and the ids that are none. Raises
        `PayloadTooLarge` for more than `MOST`."""
        if ids is None:
            ids = await self._wanted(who, wanted)
        if len(ids) > MOST:
            raise PayloadTooLarge(f"At most {MOST} workflows are exported at once. Choose fewer, by tag or folder.")
        found, problems = [], []
        for at, id in enumerate(dict.fromkeys(ids)):
            try:
                found.append(await self.export(who, id))
            except NotFound as error:
                problems.append(Problem(f"/ids/{at}", error.code, error.message))
        return found, problems

    async def _wanted(self, who: Membership, wanted: Wanted) -> list[str]:
        ids: list[str] = []
        after: tuple[str, str] | None = None
        while len(ids) <= MOST:
            asked = Wanted(wanted.text, wanted.tags, wanted.folder, wanted.below, after=after, limit=_PAGE)
            page = await self._shelf.search(who, asked)
            ids += [hit.workflow.id for hit in page]
            if len(page) < _PAGE:
                break
            after = (page[-1].key, page[-1].workflow.id)
        return ids

    async def validate(self, who: Membership, document: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Everything that would be said of a document that is saved: nothing, or warnings, means that it may be."""
        return await self._workflows.problems_of(who, document)

    async def take(
        self, who: Membership, documents: Sequence[Document], *, on_conflict: str = NEW, dry_run: bool = False,
        folder_id: str = "",
    ) -> list[Result]:  # fmt: skip
        """Take workflows in, each by itself: those that cannot be do not keep the others out. New ones are switched
        off. Raises `InvalidInput` for none at all, `PayloadTooLarge` for more than `MOST`."""
        if not documents:
            raise InvalidInput("There is no workflow in it.", problems=[Problem("", "empty", "Send a workflow.")])
        if len(documents) > MOST:
            raise PayloadTooLarge(f"At most {MOST} workflows are imported at once; these are {len(documents):,}.")
        await self._shelf.check_place(who, folder_id)
        works = await self._placed(who, documents, on_conflict)
        await self._read(who, works, not dry_run)
        results = []
        for work in works:
            version = 0
            if work.definition is not None and not dry_run:
                with _line_of_its_own():
                    version = await self._save(who, work, folder_id)
            id = "" if work.status == FAILED or (dry_run and work.status == CREATED) else work.id
            results.append(Result(work.document.source, work.name, work.status, id, version, work.problems))
        audit.changed(None, dict(Counter(one.status for one in results)))
        return results

    async def _placed(self, who: Membership, documents: Sequence[Document], on_conflict: str) -> list[_Work]:
        """What each is to become, and the id of that."""
        names = [name_of(document.value) for document in documents]
        there = {} if on_conflict == NEW else await self._rows.named(who.workspace_id, sorted({*names} - {""}))
        works, now = [], self._clock.now_ms()
        for document, name in zip(documents, names, strict=True):
            work = _Work(document, name, CREATED, uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62)))
            if document.fault is not None:
                work.fail([document.fault])
            elif name in there:
                work.id, work.status = there[name], SKIPPED if on_conflict == SKIP else UPDATED
            elif on_conflict != NEW and name:
                there[name] = work.id
            works.append(work)
        return works

    async def _read(self, who: Membership, works: Sequence[_Work], keep: bool) -> None:
        """Read what is to be saved. One whose error workflow cannot be taken in cannot either."""
        ids = {old: work.id for work in works if is_uuid(old := id_of(work.document.value))}
        left = [work for work in works if work.status not in (FAILED, SKIPPED)]
        gone: set[str] = {work.id for work in works if work.status == FAILED}
        while left:
            known = frozenset(ids.values()) - gone
            for work in left:
                value = renamed(work.document.value, ids)
                if not isinstance(value, dict):
                    work.fail([Problem("", "invalid_type", "A workflow must be a JSON object.")])
                    continue
                try:
                    work.definition, work.problems = await self._workflows.read(who, value, known, keep)
                except InvalidInput as error:
                    work.fail(error.problems or [Problem("", error.code, error.message)])
                    gone.add(work.id)
            left = [work for work in works if work.definition and work.definition.settings.error_workflow in gone]

    async def _save(self, who: Membership, work: _Work, folder_id: str) -> int:
        """Its version."""
        if work.definition is None:
            return 0
        try:
            if work.status == CREATED:
                made = await self._workflows.add(who, work.definition, work.problems, work.id)
                return (await self._shelved(who, work, made, folder_id)).workflow.version
            before = await self._workflows.get(who, work.id, change=True)
            summary = "Imported"
            found = await self._workflows.update(who, before, work.definition, work.problems, summary)
            if found.workflow.version == before.version:
                work.status = UNCHANGED
            return found.workflow.version
        except LinkFlowError as error:
            if error.retryable and not error.problems and error.code == "unavailable":
                raise
            work.fail(error.problems or [Problem("", error.code, error.message)])
            return 0

    async def _shelved(self, who: Membership, work: _Work, made: Shown, folder_id: str) -> Shown:
        if folder_id:
            made = await self._shelf.move(who, made.workflow.id, folder_id)
        names = tags_of(work.document.value)
        if names:
            try:
                made = await self._shelf.put_tags(who, made.workflow.id, names)
            except LinkFlowError as error:
                work.problems += (Problem("/metadata/tags", error.code, error.message, "warning"),)
        return made
