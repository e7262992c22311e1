"""How many expressions are evaluated in a second: each kind by itself, in this process, and in the JavaScript engine."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from linkflow.domain.expressions import Compiled, Scope, compile_value
from linkflow.sandbox.pool import Pool

from .sizes import Figures, Size

NOW = "2024-03-01T12:00:00Z"
KINDS = {
    "path": "{{ input.customer.email }}",
    "variable": "{{ vars.REGION }}",
    "node": '{{ $node["Fetch order"].output.data.id }}',
    "default": "{{ input.city ?? 'unknown' }}",
    "arithmetic": "{{ input.total * 1.19 + 2 }}",
    "comparison": "{{ input.total > 100 && input.name == 'Ann' }}",
    "choice": "{{ input.total > 100 ? 'large' : 'small' }}",
    "text": "Order {{ input.id }} for {{ input.customer.name }}",
    "template string": "{{ `${input.name} of ${input.city}` }}",
    "function": "{{ toUpper(input.name) }}",
    "method": "{{ input.customer.email.toLowerCase() }}",
    "rounding": "{{ Math.round(input.total * 1.19) }}",
    "date": "{{ dateFormat(now(), 'yyyy-MM-dd') }}",
    "object": "{{ {total: input.total, name: input.name} }}",
    "three items": "{{ input.items.filter(i => i.qty > 1).map(i => i.sku) }}",
}
SCOPE = Scope(
    input={
        "id": 7, "total": 120, "name": "Ann", "customer": {"name": "Ann", "email": "Ann@Example.org"},
        "items": [{"sku": f"a{n}", "qty": n} for n in range(3)],
    },
    node=lambda name: {"output": {"data": {"id": 7}}, "status": "completed"},
    vars={"REGION": "eu"},
    now=lambda: NOW,
    random=lambda: 0.5,
)  # fmt: skip


def measure(size: Size) -> Figures:
    """`rate` is the slowest kind's; `kinds` has all of them, `engine` the JavaScript engine's."""
    kinds = {
        name: round(max(_rate(compile_value(text), size) for _ in range(size.runs))) for name, text in KINDS.items()
    }
    slowest = min(kinds, key=lambda name: kinds[name])
    return {
        "rate": kinds[slowest], "unit": "evaluations/s", "p50_ms": 0.0, "p99_ms": 0.0, "floor_ratio": None,
        "spread": 0.0, "runs": [], "cores": {}, "cpu_ms_per_unit": {}, "problems": {}, "slowest": slowest,
        "kinds": kinds, "engine": round(asyncio.run(_engine(size))),
    }  # fmt: skip


def _rate(compiled: Compiled, size: Size) -> float:
    """By our own CPU time, whatever else the machine does."""
    count, evaluate, begin = 0, compiled.evaluate, time.thread_time()
    while time.thread_time() - begin < max(0.01, size.seconds / 40):
        for _ in range(500):
            evaluate(SCOPE)
        count += 500
    return count / (time.thread_time() - begin)


async def _engine(size: Size) -> float:
    """Calls of one expression after the other, each in a realm of its own."""
    pool = Pool(1)
    script = compile_value("{{ input.name.replace(/n+/g, 'm') }}").scripts[0]
    codes: list[tuple[str, dict[str, Any]]] = [(script.code, script.data(SCOPE))]
    try:
        await pool.expressions(codes, now=NOW, seed=0.5)
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < max(0.05, size.seconds / 8):
            await pool.expressions(codes, now=NOW, seed=0.5)
            count += 1
        return count / (time.perf_counter() - begin)
    finally:
        await pool.close()
