"""Audit lines of calls that come together are written together, and none is lost for another's sake."""

from __future__ import annotations

import asyncio
import uuid
from itertools import count

import pytest

from linkflow.domain.errors import LinkFlowError
from linkflow.postgres.audit_log import PostgresAudit
from linkflow.services.audit import Asked, Change, Entry

from .plane import Plane

USER = str(uuid.uuid4())
CHANGED = (Change("/name", "was", "is"),)


def _entry(workspace_id: str, target: str) -> Entry:
    return Entry("workflow.execute", actor=f"user:{USER}", workspace_id=workspace_id, target_id=target, changes=CHANGED)


async def _told(audit: PostgresAudit, workspace_id: str) -> list[str]:
    lines = await audit.read(Asked(workspace_id=workspace_id, limit=200))
    return sorted(line.target_id for line in lines)


@pytest.mark.parametrize("how_many", [1, 2, 40])
async def test_each_is_there_when_its_writing_is_over(plane: Plane, how_many: int) -> None:
    audit, workspace = PostgresAudit(plane.database), str(uuid.uuid4())

    async def write(n: int) -> None:
        await audit.write(_entry(workspace, f"t{n:02}"), str(uuid.uuid4()))
        assert f"t{n:02}" in await _told(audit, workspace)

    await asyncio.gather(*(write(n) for n in range(how_many)))
    assert await _told(audit, workspace) == [f"t{n:02}" for n in range(how_many)]


async def test_one_that_cannot_be_written_is_told_alone(plane: Plane) -> None:
    audit, workspace, numbers = PostgresAudit(plane.database), str(uuid.uuid4()), count()
    targets = [f"t{next(numbers):02}" if n != 3 else "no\x00text" for n in range(9)]
    results = await asyncio.gather(
        *(audit.write(_entry(workspace, target), str(uuid.uuid4())) for target in targets), return_exceptions=True
    )
    assert [isinstance(result, LinkFlowError) for result in results] == [n == 3 for n in range(9)]
    assert await _told(audit, workspace) == [f"t{n:02}" for n in range(8)]
