"""What runs are found by, and the search for them.

Every look is bounded: one that has looked at many runs and found few says where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from linkflow.contracts.history import Execution, ListRequest
from linkflow.contracts.searching import EQUAL, RunFilter
from linkflow.domain import searching as s
from linkflow.domain.ids import floor_of
from linkflow.ports import Found, RunFacts, Transition

from .arrays import arrays
from .database import Connection, Database
from .queries import queries
from .statuses import CODE, execution_of

SCAN = 1000
"""Runs that one statement looks at."""
LOOKS = 5
"""Statements that one search makes before it hands out what it has."""
RARE = 100
LOWEST, HIGHEST = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"

_sql = queries("facts")


class PostgresFacts:
    """The part of `linkflow.ports.EventStore` that searches."""

    _db: Database

    async def facts(self, execution_ids: Sequence[str]) -> dict[str, RunFacts]:
        async with self._db.connection() as connection:
            return await _read(connection, execution_ids)

    async def search(self, request: ListRequest) -> Found:
        """See `EventStore.search`."""
        given = request.filter or RunFilter()
        args = _args(request, given)
        wanted = _terms(given)
        async with self._db.connection() as connection:
            if wanted:
                wanted = await _rarest_first(connection, request.workspace_id, wanted)
            found: list[Execution] = []
            for _ in range(LOOKS):
                rows, past = await (_by_terms if wanted else _scan)(connection, args, wanted)
                fitting = await _fitting(connection, rows, given)
                found += fitting
                if len(found) >= request.limit:
                    return Found(found[: request.limit], found[request.limit - 1].id)
                if not past:
                    return Found(found, "")
                args["before"] = past
            return Found(found, args["before"])


async def write_facts(connection: Connection, items: Sequence[Transition]) -> None:
    """In the transitions' transaction: what they say of their runs."""
    told = [(t, t.facts) for t in items if t.facts is not None]
    if not told:
        return
    ids = [t.execution_id for t, _ in told]
    known = await _read(connection, ids)
    await connection.execute(_sql["drop_terms"], {"ids": ids})
    facts: list[tuple[str, str, RunFacts]] = []
    for t, new in told:
        old = known.get(t.execution_id, RunFacts())
        merged = dict(list({**old.attributes, **new.attributes}.items())[: s.MOST_ATTRIBUTES])
        error = new.error if new.settled else old.error
        facts.append((t.execution_id, t.workspace_id, RunFacts(merged, error, new.environment or old.environment)))
    columns: dict[str, list[Any]] = {
        "id": [id for id, _, _ in facts],
        "workspace": [workspace for _, workspace, _ in facts],
        "environment": [one.environment for _, _, one in facts],
        "attributes": [msgspec.json.encode(one.attributes) for _, _, one in facts],
        "error": [msgspec.json.encode(one.error) if one.error else None for _, _, one in facts],
    }
    await connection.execute(_sql["put"], arrays(columns))
    terms = [
        (id, term, workspace)
        for id, workspace, one in facts
        for term in s.terms(one.attributes, one.error, one.environment)
    ]
    names = ("id", "term", "workspace")
    await connection.execute(
        _sql["put_terms"], arrays({name: [term[at] for term in terms] for at, name in enumerate(names)})
    )


async def _read(connection: Connection, ids: Sequence[str]) -> dict[str, RunFacts]:
    rows = await (await connection.execute(_sql["read"], {"ids": list(ids)})).fetchall()
    return {
        id: RunFacts(msgspec.json.decode(attributes), msgspec.json.decode(error) if error else None, environment)
        for id, environment, attributes, error in rows
    }


def _args(request: ListRequest, given: RunFilter) -> dict[str, Any]:
    before = request.before or HIGHEST
    if given.started_before:
        before = min(before, floor_of(given.started_before))
    return {
        "workspace": request.workspace_id, "workflow": request.workflow_id or None,
        "before": before, "floor": floor_of(given.started_after) if given.started_after else LOWEST,
        "status": CODE.get(request.status, -1), "mode": request.mode, "version": given.version,
        "min": given.min_ms, "max": given.max_ms, "scan": SCAN, "limit": SCAN,
    }  # fmt: skip


def _terms(given: RunFilter) -> list[str]:
    found = [s.value_term(one.name, one.value) for one in given.attributes if one.operator == EQUAL]
    found += [s.name_term(one.name) for one in given.attributes if one.operator != EQUAL]
    if given.environment:
        found.append(s.environment_term(given.environment))
    if given.error_code:
        found.append(s.error_term(given.error_code))
    return [*found, *(s.word_term(word) for word in s.words(given.text))]


async def _rarest_first(connection: Connection, workspace_id: str, terms: list[str]) -> list[str]:
    args = {"workspace": workspace_id, "terms": terms, "most": RARE}
    counts: dict[str, int] = dict(await (await connection.execute(_sql["spread"], args)).fetchall())
    return sorted(dict.fromkeys(terms), key=lambda term: counts.get(term, 0))


async def _by_terms(
    connection: Connection, args: Mapping[str, Any], terms: Sequence[str]
) -> tuple[list[Execution], str]:
    asked = {
        "workspace": args["workspace"], "term": terms[0], "others": list(terms[1:]), "before": args["before"],
        "floor": args["floor"], "limit": SCAN,
    }  # fmt: skip
    looked = await (await connection.execute(_sql["by_terms"], asked)).fetchall()
    ids = [id for id, others in looked if others == len(terms) - 1]
    rows = await (await connection.execute(_sql["runs"], {**args, "ids": ids})).fetchall() if ids else []
    return [execution_of(row) for row in rows], looked[-1][0] if len(looked) == SCAN else ""


async def _scan(connection: Connection, args: Mapping[str, Any], _: Sequence[str]) -> tuple[list[Execution], str]:
    name = "scan_workflow" if args["workflow"] else "scan_workspace"
    if args["status"] >= 0 and args["status"] != CODE["completed"]:
        name += "_status"
    rows = await (await connection.execute(_sql[name], args)).fetchall()
    count, last = rows[0][:2]
    return [execution_of(row[2:]) for row in rows if row[2] is not None], last if count == SCAN else ""


async def _fitting(connection: Connection, rows: list[Execution], given: RunFilter) -> list[Execution]:
    """Those whose attributes compare as they should, where that is more than being equal."""
    compared = [one for one in given.attributes if one.operator != EQUAL]
    if not compared or not rows:
        return rows
    facts = await _read(connection, [run.id for run in rows])
    return [
        run
        for run in rows
        if run.id in facts
        and all(
            one.name in facts[run.id].attributes
            and s.compares(facts[run.id].attributes[one.name], one.operator, one.value)
            for one in compared
        )
    ]
