"""Temporal's dev server: ten activities in a row. Usage: temporal_chain.py COUNT PORT activity|local"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from datetime import timedelta
from typing import Any

from in_flight import STEPS, measure
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE, LIMIT = "bench", timedelta(seconds=60)


@activity.defn
async def step(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, f"k{data['i']}": data["i"] * 2, "i": data["i"] + 1}


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, mode: str) -> dict[str, Any]:
        run = workflow.execute_activity if mode == "activity" else workflow.execute_local_activity
        data: dict[str, Any] = {"i": 0, "name": "order-42"}
        for _ in range(STEPS):
            data = await run(step, data, start_to_close_timeout=LIMIT)
        return data


async def main() -> None:
    count, port, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    client = await Client.connect(f"127.0.0.1:{port}")

    async def execution() -> object:
        return await client.execute_workflow(Chain.run, mode, id=uuid.uuid4().hex, task_queue=QUEUE)

    async with Worker(
        client, task_queue=QUEUE, workflows=[Chain], activities=[step], max_concurrent_activities=200,
        max_concurrent_workflow_tasks=200, max_cached_workflows=2000, workflow_runner=UnsandboxedWorkflowRunner(),
    ):  # fmt: skip
        await measure("temporalio", count, execution)


asyncio.run(main())
os._exit(0)  # its native threads may crash the interpreter's own end
