"""From the URL of a peer to a transport. The adapters are imported where they are used: they are heavy."""

from __future__ import annotations

from linkflow.config import BadConfig
from linkflow.contracts.base import Transport

from .calls import DEADLINE
from .in_process import InProcess


def connect(url: str, *, local: InProcess, deadline: float = DEADLINE, tls: str = "") -> Transport:
    """The transport to a peer: ``grpc://host:port``, ``lambda:function-name``, or ``local:`` for `local`.

    `deadline` in seconds; `tls` is a folder of certificates: gRPC is over mutual TLS then. Nothing is connected before
    the first call. Raises `BadConfig` for another form, or where the extra that it needs is not installed.
    """
    if url.startswith("grpc://"):
        address = url.removeprefix("grpc://").rstrip("/")
        if not address.rpartition(":")[2].isdigit():
            raise BadConfig(f"{url}: a gRPC peer is grpc://host:port.")
        try:
            from .grpc import Grpc
            from .grpc_tls import Identity
        except ImportError as error:
            raise BadConfig(f"{url} needs the extra linkflow[grpc]: {error}") from None
        return Grpc(address, deadline, Identity(tls) if tls else None)
    if url.startswith("lambda:"):
        function = url.removeprefix("lambda:")
        if not function:
            raise BadConfig(f"{url}: a Lambda peer is lambda:function-name.")
        from .aws_lambda import AwsLambda

        return AwsLambda(function, deadline)
    if url == "local:":
        return local
    raise BadConfig(f"{url}: a peer is grpc://host:port, lambda:function-name or local: .")
