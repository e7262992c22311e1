"""Frontend on Lambda."""

from linkflow import bootstrap
from linkflow.transports.lambda_door import ServiceDoor

lambda_handler = ServiceDoor("frontend", bootstrap.lambda_service)
