"""From a peer's URL to a transport."""

from __future__ import annotations

import pytest

from linkflow.config import BadConfig
from linkflow.transports.aws_lambda import AwsLambda
from linkflow.transports.connect import connect
from linkflow.transports.grpc import Grpc
from linkflow.transports.in_process import InProcess


def test_each_form_has_its_transport() -> None:
    local = InProcess()
    assert connect("local:", local=local) is local
    assert isinstance(connect("grpc://127.0.0.1:7001", local=local), Grpc)
    assert isinstance(connect("lambda:linkflow-worker", local=local), AwsLambda)


@pytest.mark.parametrize("url", ["", "grpc://", "grpc://host", "grpc://host:port", "lambda:", "http://x:1", "local"])
def test_another_form_is_an_error_that_says_what_is_expected(url: str) -> None:
    with pytest.raises(BadConfig, match=r"grpc://host:port|lambda:function-name"):
        connect(url, local=InProcess())
