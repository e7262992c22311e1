"""Restate: a handler of ten journaled steps. Served by hypercorn, called through Restate's HTTP ingress."""

from __future__ import annotations

from typing import Any

import restate

from .in_flight import STEPS, bump

chain = restate.Service("Chain")


@chain.handler()
async def run(ctx: restate.Context, data: dict[str, Any]) -> dict[str, Any]:
    for at in range(STEPS):
        data = await ctx.run_typed(f"step{at}", bump, data=data)
    return data


app = restate.app([chain])
