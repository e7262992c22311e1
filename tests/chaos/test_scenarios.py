"""Every fault of the engine's design, with a seed of the moment; `python -m tests.chaos` repeats them a hundred times.

`LINKFLOW_CHAOS_SEED=… pytest …` plays a failed one again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.chaos.scenarios import LAMBDA, SCENARIOS
from tests.chaos.world import Stage
from tests.chaos.world import lambda_stage as staged_lambda
from tests.lambda_pool import NoEmulator, emulator


@pytest.fixture(scope="module")
def lambda_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The same over functions under AWS's runtime emulator."""
    try:
        emulator()
    except NoEmulator as missing:
        pytest.fail(str(missing))
    with staged_lambda(tmp_path_factory.mktemp("functions")) as made:
        yield made


@pytest.mark.parametrize("name", SCENARIOS)
def test_fault(stage: Stage, name: str) -> None:
    stage.play(SCENARIOS[name], _seed())


@pytest.mark.parametrize("name", LAMBDA)
def test_lambda_fault(lambda_stage: Stage, name: str) -> None:
    lambda_stage.play(LAMBDA[name], _seed())


def _seed() -> int:
    seed = int(os.environ.get("LINKFLOW_CHAOS_SEED") or secrets.randbits(31))
    print(f"LINKFLOW_CHAOS_SEED={seed}")
    return seed
