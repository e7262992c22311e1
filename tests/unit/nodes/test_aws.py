"""Nodes for AWS: whose keys sign, what goes where, and what errors come to. The peers are moto's server and, for what
moto never says, a stand-in with the answers of the real services."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.sigv4 import presigned
from tests.unit.nodes.aws_peer import KEYS, REGION, Cloud
from tests.unit.nodes.peers import HttpPeer, codes, http_peer, reply, run

MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:ship"


async def failing(call: Any) -> NodeFailure:
    with pytest.raises(NodeFailure) as caught:
        await call
    assert KEYS["secret_access_key"] not in json.dumps([caught.value.error.message, caught.value.error.details])
    return caught.value


@pytest.fixture
def ask(egress: EgressClient, cloud: Cloud) -> Any:
    async def ask(type: str, config: dict[str, Any], input: Any = None, **more: Any) -> Any:
        return (await run(type, config, input, egress=egress, **{"credentials": cloud.credential, **more})).output

    return ask


def at(peer: HttpPeer, **more: Any) -> dict[str, Any]:
    return {"aws": {**KEYS, "endpoint": peer.url, **more}}


# Whose keys


async def test_without_a_credential_nothing_signs(egress: EgressClient, monkeypatch: pytest.MonkeyPatch):
    """The worker's own role least of all."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDWORKER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-worker")
    config = {"queue": "orders", "body": "x"}
    assert (await failing(run("aws_sqs", config, egress=egress))).error.code == "no_credential"
    empty = await failing(run("aws_sqs", config, egress=egress, credentials={"aws": {}}))
    assert (empty.error.code, empty.error.retryable) == ("bad_credential", False)


async def test_the_workers_role_signs_where_the_operator_says_so(egress: EgressClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDWORKER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-worker")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-worker")
    monkeypatch.setattr("linkflow.nodes.ambient._session", None)
    async with http_peer(lambda _: reply(200, {"MessageId": "m1"})) as peer:
        connections = {"aws": {"ambient": True, "region": REGION, "endpoint": peer.url}}
        config = {"queue": "https://sqs.eu-central-1.amazonaws.com/1/orders", "body": "x"}
        await run("aws_sqs", config, egress=egress, connections=connections)
        assert "Credential=AKIDWORKER/" in peer.requests[0].headers["authorization"]
        assert peer.requests[0].headers["x-amz-security-token"] == "token-of-the-worker"
        # A workflow cannot have them sent to an address of its own.
        failure = await failing(
            run("aws_sqs", {**config, "endpoint": peer.url}, egress=egress, connections=connections)
        )
        assert failure.error.code == "bad_credential"
        assert len(peer.requests) == 1


async def test_keys_go_to_aws_or_where_the_credential_says(egress: EgressClient):
    for credential in ({**KEYS, "region": "x.evil.example/#"}, {**KEYS, "region": ""}, {**KEYS, "endpoint": "evil"}):
        failure = await failing(
            run("aws_sqs", {"queue": "a", "body": "x"}, egress=egress, credentials={"aws": credential})
        )
        assert failure.error.code == "bad_credential", credential
    assert codes("aws_sqs", {"queue": "a", "body": "x", "region": "a.b"}) == [("/region", "invalid_value")]


async def test_the_address_is_checked():
    client = EgressClient()
    for endpoint in ("http://127.0.0.1:1", "http://169.254.169.254"):
        credentials = {"aws": {**KEYS, "endpoint": endpoint}}
        failure = await failing(run("aws_sqs", {"queue": "a", "body": "x"}, egress=client, credentials=credentials))
        assert failure.error.code == "egress_refused"
    await client.aclose()


async def test_a_redirect_is_not_followed(egress: EgressClient):
    async with http_peer(lambda _: reply(307, b"", {"Location": "/elsewhere"})) as peer:
        failure = await failing(run("aws_sqs", {"queue": "a", "body": "x"}, egress=egress, credentials=at(peer)))
        assert failure.error.code == "aws_error"
        assert len(peer.requests) == 1


async def test_what_is_sent_is_signed_as_aws_signs_it(egress: EgressClient):
    async with http_peer(lambda _: reply(200, b"")) as peer:
        config = {
            "operation": "put",
            "bucket": "files",
            "key": "a b+c/ü&=?#%.txt",
            "content": "x",
            "metadata": {"A": "1  2"},
        }
        await run("s3", config, egress=egress, credentials=at(peer, session_token="t"))
        [sent] = peer.requests
    known = {
        name: value for name, value in sent.headers.items() if name in ("content-type",) or name.startswith("x-amz-")
    }
    request = AWSRequest("PUT", f"{peer.url}{sent.path}", headers=known, data=b"x")
    request.context["timestamp"] = sent.headers["x-amz-date"]
    keys = Credentials(KEYS["access_key_id"], KEYS["secret_access_key"], "t")
    signer = SigV4Auth(keys, "s3", REGION)
    # S3 signs paths as they are sent, which is what botocore's own signer for S3 does.
    signer._normalize_url_path = lambda path: path  # type: ignore[method-assign]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert sent.headers["authorization"].endswith(f"Signature={signer.signature(text, request)}")


def test_an_address_is_presigned_as_aws_does_it():
    now = 1_800_000_000_000
    keys = {**KEYS, "service": "s3", "session_token": "t/+"}
    url = presigned("GET", "https://b.s3.eu-central-1.amazonaws.com/a%20b?versionId=v%2B1", keys, 60, now)

    class At(SigV4QueryAuth):
        def payload(self, request: Any) -> str:
            return "UNSIGNED-PAYLOAD"

        def _normalize_url_path(self, path: str) -> str:
            return path

    base = "https://b.s3.eu-central-1.amazonaws.com/a%20b?" + url.partition("?")[2].rpartition("&X-Amz-Signature=")[0]
    request = AWSRequest("GET", base)
    request.context["timestamp"] = "20270115T080000Z"
    signer = At(Credentials(KEYS["access_key_id"], KEYS["secret_access_key"], "t/+"), "s3", REGION, expires=60)
    wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert url.rpartition("=")[2] == wanted


# Errors


@pytest.mark.parametrize(
    ("answer", "code", "said", "retryable"),
    [
        (reply(400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "gone"}), "aws_error", "QueueDoesNotExist", False),
        (reply(400, {"__type": "ThrottlingException"}), "aws_busy", "ThrottlingException", True),
        (reply(403, {"message": "no"}, {"x-amzn-ErrorType": "AccessDenied:http://x"}), "aws_error", "AccessDenied", False),
        (reply(503, b"<html>"), "aws_busy", "Http503", True),
        (reply(400, b"<ErrorResponse><Error><Code>InvalidParameter</Code></Error></ErrorResponse>"), "aws_error", "InvalidParameter", False),
        (reply(200, b"[]"), "aws_answer", None, False),
        (reply(200, b"<html>"), "aws_answer", None, False),
    ],
)  # fmt: skip
async def test_errors_have_the_services_code(
    answer: bytes, code: str, said: str, retryable: bool, egress: EgressClient
):
    async with http_peer(lambda _: answer) as peer:
        failure = await failing(run("aws_sqs", {"queue": "a", "body": "x"}, egress=egress, credentials=at(peer)))
    assert (failure.error.code, failure.error.details.get("code"), failure.error.retryable) == (code, said, retryable)


# SQS


async def test_messages_come_and_go(ask: Any, cloud: Cloud):
    cloud.client("sqs").create_queue(QueueName="orders")
    sent = await ask(
        "aws_sqs", {"queue": "orders", "body": {"id": 7}, "attributes": {"kind": "paid", "n": 3, "no": None}}
    )
    assert sent["message_id"]
    got = await ask("aws_sqs", {"operation": "receive", "queue": f"{cloud.url}/123456789012/orders"})
    [message] = got["messages"]
    assert (message["body"], message["data"], message["attributes"]) == (
        '{"id":7}',
        {"id": 7},
        {"kind": "paid", "n": "3"},
    )
    assert (message["id"], message["receive_count"], got["count"]) == (sent["message_id"], 1, 1)
    config = {"operation": "delete", "queue": "orders", "receipt_handles": message["receipt_handle"]}
    assert await ask("aws_sqs", config) == {"successful": [{"index": 0}], "failed": []}
    assert (await ask("aws_sqs", {"operation": "receive", "queue": "orders"}))["messages"] == []
    failure = await failing(ask("aws_sqs", {"queue": "nowhere", "body": "x"}))
    assert (failure.error.code, failure.error.retryable) == ("aws_error", False)


async def test_many_go_out_in_tens(ask: Any, cloud: Cloud):
    url = cloud.client("sqs").create_queue(QueueName="many")["QueueUrl"]
    messages = [{"body": "first", "delay_seconds": 0}, *({"n": n} for n in range(22))]
    output = await ask("aws_sqs", {"operation": "send_batch", "queue": "many", "messages": messages})
    assert [one["index"] for one in output["successful"]] == list(range(23))
    held = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert held["ApproximateNumberOfMessages"] == "23"
    config = {"operation": "receive", "queue": "many", "max_messages": 2, "delete_received": True}
    assert (await ask("aws_sqs", config))["count"] == 2


async def test_a_fifo_queue_takes_a_node_runs_message_once(ask: Any, cloud: Cloud):
    attributes = {"FifoQueue": "true"}
    url = cloud.client("sqs").create_queue(QueueName="line.fifo", Attributes=attributes)["QueueUrl"]
    first = await ask("aws_sqs", {"queue": "line.fifo", "body": "x"})
    await ask("aws_sqs", {"queue": "line.fifo", "body": "x"}, attempt=2)
    assert first["sequence_number"]
    await ask("aws_sqs", {"queue": "line.fifo", "body": "x"}, idempotency_key="another/run")
    held = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert held["ApproximateNumberOfMessages"] == "2"


async def test_what_failed_is_told_item_by_item(egress: EgressClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("linkflow.nodes.aws_batches.PAUSE", 0)

    def answer(request: Any) -> bytes:
        ids = [entry["Id"] for entry in request.json()["Entries"]]
        busy = {"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": "later"}
        bad = {"Id": "2", "SenderFault": True, "Code": "InvalidMessageContents", "Message": "never"}
        failed = [one for one in (busy, bad) if one["Id"] in ids and not (one is busy and len(peer.requests) > 1)]
        taken = [{"Id": id, "MessageId": f"m{id}"} for id in ids if id not in [one["Id"] for one in failed]]
        return reply(200, {"Successful": taken, "Failed": failed})

    config = {"operation": "send_batch", "queue": "http://sqs.example/q", "messages": ["a", "b", "c"]}
    async with http_peer(answer) as peer:
        found = (await run("aws_sqs", {**config, "on_failed": "collect"}, egress=egress, credentials=at(peer))).output
        # What was the service's fault was offered again, and nothing else was.
        assert [[one["Id"] for one in request.json()["Entries"]] for request in peer.requests] == [
            ["0", "1", "2"],
            ["1"],
        ]
        peer.requests.clear()
        failure = await failing(run("aws_sqs", config, egress=egress, credentials=at(peer)))
    assert [one["message_id"] for one in found["successful"]] == ["m0", "m1"]
    lost = {"index": 2, "code": "InvalidMessageContents", "message": "never", "retryable": False}
    assert found["failed"] == [lost]
    assert (failure.error.code, failure.error.retryable) == ("aws_partial", False)
    assert failure.error.details == {"failed": [lost], "failed_count": 1, "taken_count": 2}


async def test_a_batch_that_breaks_off_says_what_was_taken(egress: EgressClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("linkflow.nodes.aws_batches.PAUSE", 0)

    def answer(request: Any) -> bytes:
        entries = request.json()["Entries"]
        if len(peer.requests) > 1:
            return reply(503, {"__type": "ServiceUnavailable"})
        return reply(200, {"Successful": [{"Id": one["Id"], "MessageId": "m"} for one in entries]})

    config = {"operation": "send_batch", "queue": "http://sqs.example/q", "messages": [str(n) for n in range(12)]}
    async with http_peer(answer) as peer:
        failure = await failing(run("aws_sqs", config, egress=egress, credentials=at(peer)))
        assert failure.error.details["taken_count"] == 10
        assert [one["index"] for one in failure.error.details["failed"]] == [10, 11]
        failure = await failing(run("aws_sqs", {**config, "messages": ["a"]}, egress=egress, credentials=at(peer)))
    assert (failure.error.code, failure.error.retryable) == ("aws_busy", True)  # nothing was taken: it may go again


# SNS, EventBridge


async def test_a_topic_tells_its_queue(ask: Any, cloud: Cloud):
    sqs, sns = cloud.client("sqs"), cloud.client("sns")
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:listener")
    config = {"topic": topic, "message": {"id": 7}, "subject": "An\norder", "attributes": {"kind": "paid", "n": 1.5}}
    assert (await ask("aws_sns", config))["message_id"]
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    body = json.loads(message["Body"])
    assert (body["Message"], body["Subject"]) == ('{"id":7}', "An order")
    assert body["MessageAttributes"] == {
        "kind": {"Type": "String", "Value": "paid"}, "n": {"Type": "Number", "Value": "1.5"},
    }  # fmt: skip
    await ask("aws_sns", {"topic": topic, "message": "long", "per_protocol": {"sqs": "short"}})
    failure = await failing(ask("aws_sns", {"topic": topic.replace("news", "olds"), "message": "x"}))
    assert (failure.error.code, failure.error.details["code"]) == ("aws_error", "NotFound")
    assert codes("aws_sns", {"topic": topic, "phone_number": "+1", "message": "x"}) == [("", "invalid_value")]


async def test_events_reach_the_rules_of_a_bus(ask: Any, cloud: Cloud):
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName="paid")["QueueUrl"]
    events.put_rule(Name="paid", EventPattern=json.dumps({"source": ["com.example.shop"]}))
    events.put_targets(Rule="paid", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:123456789012:paid"}])
    config = {"source": "com.example.shop", "detail_type": "order.paid"}
    output = await ask("aws_eventbridge", config, {"id": 7})
    assert output["successful"][0]["event_id"]
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    body = json.loads(message["Body"])
    assert (body["detail"], body["detail-type"]) == ({"id": 7}, "order.paid")
    many = [{"detail": {"n": n}, "time": "2027-01-15T08:00:00Z"} for n in range(12)]
    output = await ask("aws_eventbridge", {**config, "events": many})
    assert ([one["index"] for one in output["successful"]], output["failed"]) == ([*range(12)], [])
    for bad in ({**config, "detail": "x"}, {**config, "events": [{"detail": {}, "time": "soon"}]}):
        assert (await failing(ask("aws_eventbridge", bad))).error.code == "aws_error"


async def test_events_that_were_not_taken(egress: EgressClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("linkflow.nodes.aws_batches.PAUSE", 0)
    entries = [{"EventId": "e0"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "later"}]

    def answer(request: Any) -> bytes:
        return reply(200, {"FailedEntryCount": 1, "Entries": entries if len(peer.requests) == 1 else entries[1:]})

    config = {"source": "s", "detail_type": "t", "events": [{"detail": {}}] * 2, "on_failed": "collect"}
    async with http_peer(answer) as peer:
        output = (await run("aws_eventbridge", config, egress=egress, credentials=at(peer))).output
        assert len(peer.requests) == 3
    assert output["successful"] == [{"index": 0, "event_id": "e0"}]
    assert output["failed"] == [{"index": 1, "code": "ThrottlingException", "message": "later", "retryable": True}]


# Lambda


async def test_a_function_is_invoked(ask: Any, cloud: Cloud):
    role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("a.py", "def handler(event, context): return event")
    made = cloud.client("lambda").create_function(
        FunctionName="price", Runtime="python3.13", Role=role, Handler="a.handler", Code={"ZipFile": packed.getvalue()}
    )
    output = await ask("aws_lambda", {"function": "price"}, {"id": 7})
    assert (output["status_code"], output["payload"]) == (200, {"id": 7})
    assert (await ask("aws_lambda", {"function": made["FunctionArn"], "payload": [1]}))["payload"] == [1]
    assert (await ask("aws_lambda", {"function": "price", "mode": "Event", "payload": 1}))["status_code"] == 202


async def test_a_function_that_fails(egress: EgressClient):
    error = {"errorType": "ValueError", "errorMessage": "no price", "stackTrace": ["line 1"]}
    headers = {"X-Amz-Function-Error": "Unhandled", "X-Amz-Log-Result": base64.b64encode(b"START\nEND").decode()}
    async with http_peer(lambda _: reply(200, error, headers)) as peer:
        config = {"function": "price", "log_tail": True, "qualifier": "live"}
        lines: list[str] = []
        more = {"egress": egress, "credentials": at(peer), "log": lines.append}
        failure = await failing(run("aws_lambda", config, **more))
        again = await failing(run("aws_lambda", {**config, "retry_function_errors": True}, **more))
        sent = peer.requests[0]
    assert (failure.error.code, failure.error.retryable, again.error.retryable) == (
        "lambda_function_error",
        False,
        True,
    )
    assert failure.error.message == "The function price failed: ValueError: no price"
    assert failure.error.details["trace"] == ["line 1"]
    assert lines[:2] == ["START", "END"]
    assert sent.path == "/2015-03-31/functions/price/invocations?Qualifier=live"
    known = json.loads(base64.b64decode(sent.headers["x-amz-client-context"]))
    assert known == {"custom": {"idempotency_key": "exec/n1"}}


# Step Functions


async def test_a_state_machine_is_started_once(ask: Any, cloud: Cloud):
    states = cloud.client("stepfunctions")
    arn = states.create_state_machine(
        name="ship", definition='{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}',
        roleArn="arn:aws:iam::123456789012:role/r",
    )["stateMachineArn"]  # fmt: skip
    first = await ask("aws_step_functions", {"state_machine": arn}, {"id": 7})
    again = await ask("aws_step_functions", {"state_machine": arn}, {"id": 7}, attempt=2)
    assert first["execution"] == again["execution"]
    assert first["status"] == "RUNNING"
    assert len(states.list_executions(stateMachineArn=arn)["executions"]) == 1
    about = states.describe_execution(executionArn=first["execution"])
    assert json.loads(about["input"]) == {"id": 7}
    seen = await ask("aws_step_functions", {"operation": "describe", "execution": first["execution"]})
    assert (seen["execution"], seen["status"], seen["output"]) == (first["execution"], "RUNNING", None)
    stopped = await ask("aws_step_functions", {"operation": "stop", "execution": first["execution"], "cause": "late"})
    assert stopped["status"] == "ABORTED"
    failure = await failing(ask("aws_step_functions", {"operation": "wait", "execution": first["execution"]}))
    assert (failure.error.code, failure.error.details["status"]) == ("states_failed", "ABORTED")


@pytest.mark.parametrize(
    ("ends", "code"),
    [({"status": "SUCCEEDED", "output": '{"ok":true}'}, ""), ({"status": "FAILED", "error": "E", "cause": "c"}, "states_failed"),
     ({"status": "RUNNING"}, "states_running")],
)  # fmt: skip
async def test_waiting_for_the_end(
    ends: dict[str, str], code: str, egress: EgressClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("linkflow.nodes.aws_states._FIRST_PAUSE", 0.01)

    def answer(request: Any) -> bytes:
        if request.headers["x-amz-target"].endswith("StartExecution"):
            return reply(400, {"__type": "ExecutionAlreadyExists"})  # an earlier attempt's
        seen = ends if len(peer.requests) > 3 else {"status": "RUNNING"}
        return reply(200, {"executionArn": request.json()["executionArn"], "startDate": 1.5, **seen})

    beats: list[Any] = []

    async def beat(details: Any) -> None:
        beats.append(details)

    config = {"state_machine": MACHINE, "wait": True, "max_wait": 0.2}
    async with http_peer(answer) as peer:
        call = run("aws_step_functions", config, egress=egress, credentials=at(peer), heartbeat=beat)
        if not code:
            assert (await call).output["output"] == {"ok": True}
        else:
            failure = await failing(call)
            assert (failure.error.code, failure.error.retryable) == (code, code == "states_running")
    assert beats[0]["execution"].startswith(f"arn:aws:states:{REGION}:123456789012:execution:ship:linkflow-")
