"""``python -m tests.escapes``: run every attempt, print a table. The exit code says whether all failed closed."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

from .trying import attempts, world


async def main() -> int:
    counts: Counter[str] = Counter()
    async with world() as place:
        for attempt in attempts():
            ended = await place.make(attempt)
            how = ended.how if await place.is_sound(attempt) else "BROKE THE POOL"
            counts[how] += 1
            print(f"{how:9} {ended.seconds:5.2f} s  {attempt.id:66.66}  {' '.join(ended.told.split()):.90}")
        (layers,) = {process.layers for process in place.pool._idle["javascript"]} or {()}
    print(f"\n{sum(counts.values())} attempts:", ", ".join(f"{count} {how}" for how, count in counts.most_common()))
    print("layers here:", ", ".join(layers))
    return 1 if counts["ESCAPED"] or counts["BROKE THE POOL"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
