"""Timer on Lambda: a call, or the scheduled event of every minute, which ticks while timers fall due within it."""

from linkflow.coldstart import cold_start

with cold_start():
    from linkflow import bootstrap
    from linkflow.transports.lambda_door import ServiceDoor

    lambda_handler = ServiceDoor("timer", bootstrap.lambda_service, errand="tick", seconds=55.0, measures=True)
