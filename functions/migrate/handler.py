"""Migrations on Lambda, before the other functions change: the template's own step, or ``{}`` by hand. The console's
assets, which the package carries, go into the bucket with them."""

from linkflow.coldstart import cold_start

with cold_start():
    from functools import partial
    from pathlib import Path

    from linkflow import bootstrap
    from linkflow.transports.lambda_step import StepDoor

    lambda_handler = StepDoor("migrate", partial(bootstrap.lambda_migrate, Path(__file__).parent / "console"))
