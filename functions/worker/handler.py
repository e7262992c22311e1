"""Worker on Lambda: a call, or ``{"drain": {"queues": […]}}``, which runs queued tasks for as long as there are any."""

from linkflow.coldstart import cold_start

with cold_start():
    from linkflow import bootstrap
    from linkflow.transports.lambda_door import ServiceDoor

    lambda_handler = ServiceDoor("worker", bootstrap.lambda_service, errand="drain", awake=bootstrap.lambda_awake)
