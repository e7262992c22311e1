"""Records what the code as it is now leaves behind: ``python -m tests.upgrade.record RELEASE``.

Run it once, just before a release changes events, state or schema; what it wrote is never edited
(tests/data/histories/README.md).
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tempfile
import typing
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.definition import Definition
from linkflow.domain.state import encode
from tests.unit.engine.support import ID, Run
from tests.upgrade.flight import in_flight
from tests.upgrade.scenes import SCENES

HISTORIES = Path(__file__).parents[1] / "data" / "histories"
DRAWN = 60


class Recorded(msgspec.Struct):
    """One run: its definition, events and state as they are stored, and the version before each transition."""

    name: str
    execution_id: str
    definition: msgspec.Raw
    events: msgspec.Raw
    state: msgspec.Raw


def _recorded(name: str, run: Run) -> Recorded:
    raw = msgspec.Raw
    return Recorded(name, ID, raw(d.encode(run.definition)), raw(e.encode(run.events)), raw(encode(run.state)))


def _drawn() -> list[Recorded]:
    from tests.unit.engine.test_properties import play

    found: list[Recorded] = []

    @seed(1)
    @settings(max_examples=DRAWN, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        from tests.unit.engine.drawing import definitions

        definition: Definition = data.draw(definitions())
        found.append(_recorded(f"drawn_{len(found):02}", play(definition, data.draw(st.integers(0, 2**32 - 1)))))

    draw()
    return found


def record(release: str) -> None:
    """Write histories and a database of this release."""
    folder = HISTORIES / release
    folder.mkdir(parents=True)
    known = {kind.__name__ for kind in typing.get_args(e.Event)}
    for scene in SCENES:
        recorded = _recorded(scene.__name__, scene())
        (folder / f"{scene.__name__}.json").write_bytes(
            msgspec.json.format(msgspec.json.encode(recorded), indent=1) + b"\n"
        )
        known -= {event["type"] for event in msgspec.json.decode(recorded.events)}
    assert not known, f"no scene has {sorted(known)}"
    lines = b"\n".join(msgspec.json.encode(recorded) for recorded in _drawn())
    (folder / "drawn.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    with tempfile.TemporaryDirectory() as home:
        dump = asyncio.run(in_flight(Path(home)))
    (folder / "database.jsonl.gz").write_bytes(gzip.compress(dump, mtime=0))


if __name__ == "__main__":
    record(sys.argv[1])
