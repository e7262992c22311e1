"""The control plane on Lambda, behind the HTTP API."""

from linkflow import bootstrap, config
from linkflow.transports.lambda_door import HttpDoor

lambda_handler = HttpDoor(lambda: bootstrap.http_app(config.load()))
