"""The faults of the engine's design, each by its name."""

from __future__ import annotations

from tests.chaos.world import Scenario

from . import clocks, kills, lambdas, races, rolling, stores, workers

SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        kills.kill_9_of_any_process_at_any_point,
        kills.kill_9_before_the_result_is_written,
        kills.kill_9_after_the_result_is_written,
        kills.kill_9_before_the_ack,
        kills.commit_succeeds_and_the_reply_is_lost,
        kills.lost_push,
        stores.postgres_restarted_every_few_seconds_under_load,
        stores.valkey_flushed_mid_run,
        stores.valkey_killed_mid_run,
        workers.zombie_worker_finishes_after_its_task_was_reclaimed,
        workers.duplicate_delivery,
        workers.worker_frozen_past_its_lease,
        clocks.clocks_that_differ,
        races.two_timers_race_a_completion,
        races.signal_races_completion,
        races.cancel_races_completion,
        rolling.rolling_upgrade_with_runs_in_flight,
    )
}

LAMBDA: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        lambdas.lambda_killed_at_its_deadline,
        lambdas.lambda_throttled,
        lambdas.lambda_invoked_twice,
    )
}
"""Those that need functions instead of processes."""
