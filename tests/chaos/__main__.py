"""Every fault so many times, each time with another seed.

    python -m tests.chaos --times 100                     all of them
    python -m tests.chaos --scenario lost_push --seed 7   one of them once, as it was with that seed

A line a scenario, and the seed of whatever failed. Repetition number n of base seed s has seed s + n. The exit code is 1
if anything failed.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.chaos.scenarios import LAMBDA, SCENARIOS
from tests.chaos.world import Scenario, Stage, lambda_stage, stage


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=1, help="repetitions of each scenario")
    parser.add_argument(
        "--scenario", action="append", choices=[*SCENARIOS, *LAMBDA], help="only this one (may be repeated)"
    )
    parser.add_argument("--seed", type=int, help="of the first repetition (default: drawn)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--keep-going", type=int, default=3, help="failures after which a scenario is given up")
    given = parser.parse_args(arguments)
    base = secrets.randbits(31) if given.seed is None else given.seed
    figures = []
    for make, scenarios in ((stage, SCENARIOS), (lambda_stage, LAMBDA)):
        wanted = [name for name in scenarios if name in (given.scenario or scenarios)]
        if not wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="linkflow-chaos-") as home, make(Path(home)) as shared:
            for name in wanted:
                figures.append(_repeat(shared, name, scenarios[name], given.times, base, given.keep_going))
                if given.json:
                    given.json.write_text(json.dumps(figures, indent=1))
    return 1 if any(figure["failed"] for figure in figures) else 0


def _repeat(shared: Stage, name: str, scenario: Scenario, times: int, base: int, most: int) -> dict[str, Any]:
    failed: list[int] = []
    took: list[float] = []
    for seed in range(base, base + times):
        begun = time.monotonic()
        try:
            shared.play(scenario, seed)
        except Exception as error:
            failed.append(seed)
            print(f"\n{name} failed with --seed {seed}: {error}\n{''.join(traceback.format_exc(limit=-6))}", flush=True)
            if len(failed) >= most:
                break
        took.append(time.monotonic() - begun)
        if sys.stdout.isatty():
            print(f"\r{name} {len(took)}/{times}", end="", flush=True)
    took.sort()
    done = len(took)
    seeds = f"  failed with seeds {failed}" if failed else ""
    longest, middle = (took[-1], took[done // 2]) if took else (0.0, 0.0)
    print(
        f"\r{name:52} {done:4} times {len(failed):3} failed {sum(took):7.1f} s "
        f"(median {middle:.2f}, longest {longest:.2f}; seeds from {base}){seeds}",
        flush=True,
    )
    return {
        "scenario": name, "times": done, "failed": failed, "seconds": round(sum(took), 1),
        "median": round(middle, 3), "longest": round(longest, 3), "seed": base,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
