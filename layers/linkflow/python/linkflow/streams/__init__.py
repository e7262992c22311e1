"""Adapters on Valkey or Redis: the task queue, rate limits, doorbells. All of it can be rebuilt from Postgres."""
