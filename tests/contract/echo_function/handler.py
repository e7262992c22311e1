from linkflow.transports.lambda_door import ServiceDoor
from tests.contract.echo import build

lambda_handler = ServiceDoor("echo", build, errand="errand", seconds=55.0)
