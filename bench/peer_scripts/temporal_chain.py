"""Temporal: ten activities in a row; the worker and the client in one process, the server in another."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.children import read_settings

from .in_flight import BEGIN, STEPS, bump, serve

QUEUE, LIMIT = "bench", timedelta(seconds=60)


@activity.defn
async def step(data: dict[str, Any]) -> dict[str, Any]:
    return bump(data)


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, local: bool) -> dict[str, Any]:
        run = workflow.execute_local_activity if local else workflow.execute_activity
        data = BEGIN
        for _ in range(STEPS):
            data = await run(step, data, start_to_close_timeout=LIMIT)
        return data


async def main() -> None:
    settings = read_settings()
    client = await Client.connect(f"127.0.0.1:{settings['port']}")

    async def execution() -> dict[str, Any]:
        id = uuid.uuid4().hex
        done: dict[str, Any] = await client.execute_workflow(Chain.run, settings["local"], id=id, task_queue=QUEUE)
        return done

    async with Worker(
        client, task_queue=QUEUE, workflows=[Chain], activities=[step], max_concurrent_activities=200,
        max_concurrent_workflow_tasks=200, max_cached_workflows=2000, workflow_runner=UnsandboxedWorkflowRunner(),
    ):  # fmt: skip
        await serve(execution)


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # its native threads may crash the interpreter's own end
