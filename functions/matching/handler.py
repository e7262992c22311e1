"""Matching on Lambda."""

from linkflow.coldstart import cold_start

with cold_start():
    from linkflow import bootstrap
    from linkflow.transports.lambda_door import ServiceDoor

    lambda_handler = ServiceDoor("matching", bootstrap.lambda_service, awake=bootstrap.lambda_awake)
