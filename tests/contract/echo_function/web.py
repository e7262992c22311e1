import asyncio
import json

from linkflow.transports.lambda_door import HttpDoor


async def app(scope, receive, send):
    """Tells which loop it runs on."""
    body = json.dumps({"loop": id(asyncio.get_running_loop()), "path": scope["path"]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


lambda_handler = HttpDoor(lambda: app)
