"""The table that `make smoke` ends with."""

from __future__ import annotations

from tests.smoke.telling import GONE, READY, Telling, table


def test_a_step_that_fails_is_told_and_the_others_are_made() -> None:
    one, other = Telling("here"), Telling("there")
    one.step(READY, lambda: 1)
    assert one.step("adds", lambda: 40 + 2) == 42
    assert one.step("divides", lambda: 1 // 0) is None
    one.step(GONE, lambda: None)
    other.step(READY, lambda: 1)
    other.step("ends", lambda: 1)
    rows = {
        line.split(" | ")[0].removeprefix("| "): line.strip("| ").split(" | ")[1:] for line in table([one, other])[2:]
    }
    assert list(rows) == [READY, "adds", "divides", "ends", GONE, "together"], "the end comes last"
    assert rows["adds"] == ["ok, 0.0 s", "not reached"]
    assert rows["divides"] == ["FAILED", "not reached"]
    assert one.failed
    assert not other.failed
