"""How much is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IN_FLIGHT = 50


@dataclass(frozen=True)
class Size:
    """How much is done. Seconds are of one run of a workload, without its warm-up."""

    seconds: float = 8.0
    runs: int = 3
    warm_up: float = 3.0
    items: int = 1000
    timers: int = 10_000
    steady: float = 10.0
    in_flight: int = IN_FLIGHT
    stored: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    leak: tuple[int, ...] = (2_000, 20_000, 108_000)
    chains: tuple[str, ...] = ("chain-pure", "chain-step-bare")
    """What is run by more processes and databases."""
    lambda_runs: int = 200
    flush: float = 10.5
    """Seconds after which Postgres has told of everything: a backend keeps its figures to itself for ten."""
    lambdas: bool = True
    """Build the layer and measure cold starts, where the tools for it are."""

    @property
    def turns(self) -> int:
        """Runs of each side where two are measured by turns."""
        return 2 * self.runs

    @property
    def lead(self) -> float:
        """Seconds of load before a window opens."""
        return min(2.0, self.seconds / 3)


QUICK = Size(
    seconds=1.0,
    runs=1,
    warm_up=0.5,
    items=100,
    timers=300,
    steady=1.0,
    stored=(1_000, 10_000),
    leak=(200, 600),
    lambda_runs=20,
    flush=0.0,
)
TINY = Size(
    seconds=0.3,
    runs=1,
    warm_up=0.2,
    items=20,
    timers=40,
    steady=0.1,
    in_flight=4,
    stored=(200,),
    leak=(20, 60),
    chains=("chain-step-bare",),
    lambda_runs=2,
    flush=0.0,
    lambdas=False,
)

Figures = dict[str, Any]
