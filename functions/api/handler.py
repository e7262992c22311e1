"""The control plane on Lambda, behind the HTTP API."""

from linkflow.coldstart import cold_start

with cold_start():
    from linkflow import bootstrap
    from linkflow.transports.lambda_door import HttpDoor

    lambda_handler = HttpDoor(bootstrap.lambda_http_app, awake=bootstrap.lambda_awake)
