"""Migrations on Lambda, before the other functions change: the template's own step, or ``{}`` by hand."""

from linkflow.coldstart import cold_start

with cold_start():
    from linkflow import bootstrap
    from linkflow.transports.lambda_step import StepDoor

    lambda_handler = StepDoor("migrate", bootstrap.lambda_migrate)
