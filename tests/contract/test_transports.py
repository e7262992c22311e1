"""One suite over the transports: in process, gRPC (plain and over mutual TLS) on loopback, Lambda in AWS's own runtime interface emulator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest

from linkflow.contracts.base import Caller
from linkflow.domain.errors import (
    DeadlineExceeded,
    ErrorData,
    Forbidden,
    Internal,
    InvalidInput,
    LinkFlowError,
    NotFound,
    PayloadTooLarge,
    Problem,
    Unauthenticated,
    Unavailable,
)
from linkflow.transports.tokens import TokenSigner
from tests.contract.echo import SECRET, Pause, Size, Value, Workspace
from tests.contract.stands import CALLER, STANDS, Stand
from tests.lambda_pool import NoEmulator

VALUES: list[Any] = [
    None,
    True,
    0,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    2**64 - 1,
    -(2**63),
    0.1 + 0.2,
    5e-324,
    1.7976931348623157e308,
    "",
    "null byte \x00 and control \x1b",
    "Grüße, мир, 世界, 🜁, e\u0301, \u2028, \ufeff",
    '"quoted" \\ back\nslash',
    [],
    {},
    [[[[]]], {"": {"a.b/c~d": [1, "1", 1.5, None]}}],
    {str(n): n for n in range(1000)},
]


def _subclasses(kind: type[LinkFlowError]) -> list[type[LinkFlowError]]:
    """The tree of `domain.errors`; packages that refine it are not known on the other side."""
    ours = (sub for sub in kind.__subclasses__() if sub.__module__ == LinkFlowError.__module__)
    return [kind, *(found for sub in ours for found in _subclasses(sub))]


@pytest.fixture(scope="module", autouse=True)
def aws_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REGION", "eu-central-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


@pytest.fixture(scope="module", params=STANDS)
async def stand(request: pytest.FixtureRequest, aws_environment: None) -> AsyncIterator[Stand]:
    made = STANDS[request.param]()
    try:
        await made.start()
    except NoEmulator as missing:
        pytest.fail(str(missing))
    yield made
    await made.close()


over_a_wire = pytest.mark.parametrize("stand", [name for name in STANDS if name != "in-process"], indirect=True)
"""For what only happens where something is serialised."""


@pytest.fixture(scope="module")
async def echo(stand: Stand) -> Any:
    return stand.echo()


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
async def test_every_json_value_comes_back_as_it_went(echo: Any, value: Any) -> None:
    back = (await echo.echo(Value(value))).value
    assert back == value
    assert type(back) is type(value)


async def test_a_big_payload_comes_back_whole(echo: Any) -> None:
    value = {"text": "ü\x00" * 400_000, "numbers": list(range(100_000))}
    assert (await echo.echo(Value(value))).value == value


@over_a_wire
async def test_a_payload_beyond_the_limit_is_refused_in_either_direction(stand: Stand, echo: Any) -> None:
    with pytest.raises(PayloadTooLarge):
        await echo.echo(Value("x" * stand.max_payload))
    with pytest.raises(PayloadTooLarge):
        await echo.grow(Size(stand.max_payload))
    assert (await echo.echo(Value("still there"))).value == "still there"


@pytest.mark.parametrize("kind", _subclasses(LinkFlowError), ids=lambda kind: kind.code)
async def test_every_error_arrives_as_itself(echo: Any, kind: type[LinkFlowError]) -> None:
    problems = (
        Problem("/nodes/2/config/url", "url", "Not a URL: “x”."),
        Problem("", "warn", "A warning.", severity="warning"),
    )
    details = {"retry_after": 2**53 + 1, "nested": {"null": None, "text": "\x00ü"}}
    with pytest.raises(LinkFlowError) as caught:
        await echo.fail(ErrorData(kind.code, "What happened, with ünïcode\nand a second line.", problems, details))
    assert type(caught.value) is kind
    assert caught.value.message == "What happened, with ünïcode\nand a second line."
    assert caught.value.problems == problems
    assert caught.value.details == details
    assert caught.value.retryable is kind.retryable


async def test_an_error_with_thousands_of_problems_arrives(echo: Any) -> None:
    problems = tuple(Problem(f"/nodes/{n}", "bad", "Something is wrong here.") for n in range(2000))
    with pytest.raises(InvalidInput) as caught:
        await echo.fail(ErrorData("invalid_input", "Much is wrong.", problems))
    assert caught.value.problems == problems


async def test_a_fault_of_ours_is_internal_and_tells_nothing(echo: Any) -> None:
    with pytest.raises(Internal) as caught:
        await echo.crash(Value(1))
    assert "nobody" not in str(caught.value.to_data())


async def test_a_method_that_is_not_there(stand: Stand) -> None:
    token = stand.signer.sign("echo", CALLER)
    with pytest.raises(NotFound):
        await stand.transport().call("echo", "vanish", Value(1), Value, token)


@over_a_wire
async def test_a_request_that_does_not_fit_the_contract_names_the_field(stand: Stand) -> None:
    with pytest.raises(InvalidInput, match="time"):
        await stand.transport().call("echo", "pause", Value(1), Value, stand.signer.sign("echo", CALLER))


@over_a_wire
async def test_an_answer_that_does_not_fit_the_contract_is_internal(stand: Stand) -> None:
    with pytest.raises(Internal):
        await stand.transport().call("echo", "echo", Value("text"), Size, stand.signer.sign("echo", CALLER))


async def test_the_caller_arrives(echo: Any) -> None:
    assert (await echo.open_door(Workspace("w1"))).value == ["w1", ["read", "write"], "anna"]


async def test_another_tenants_workspace_is_not_there(stand: Stand, echo: Any) -> None:
    with pytest.raises(NotFound):
        await echo.open_door(Workspace("w2"))
    with pytest.raises(Forbidden):
        await stand.echo(caller=Caller("w1", frozenset({"write"}))).open_door(Workspace("w1"))
    anywhere = stand.echo(caller=Caller("*", frozenset({"read"})))
    assert (await anywhere.open_door(Workspace("w2"))).value == ["*", ["read"], ""]


def _claims(**changes: Any) -> dict[str, Any]:
    claims = {"iss": "linkflow", "aud": "echo", "sub": "eve", "ws": "w1", "perms": ["read"], "exp": time.time() + 60}
    return {key: value for key, value in (claims | changes).items() if value is not None}


FORGED = {
    "none": "",
    "garbage": "not.a.token",
    "another secret": jwt.encode(_claims(), "x" * 40, "HS256"),
    "unsigned": jwt.encode(_claims(), None, "none"),
    "another algorithm": jwt.encode(_claims(), SECRET.ljust(64), "HS512"),
    "expired": jwt.encode(_claims(exp=time.time() - 1), SECRET, "HS256"),
    "no expiry": jwt.encode(_claims(exp=None), SECRET, "HS256"),
    "another service": jwt.encode(_claims(aud="history"), SECRET, "HS256"),
    "no service": jwt.encode(_claims(aud=None), SECRET, "HS256"),
    "another issuer": jwt.encode(_claims(iss="somebody"), SECRET, "HS256"),
    "no workspace": jwt.encode(_claims(ws=None), SECRET, "HS256"),
    "permissions of the wrong kind": jwt.encode(_claims(perms=7), SECRET, "HS256"),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
async def test_a_token_that_is_not_good_opens_nothing(stand: Stand, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await stand.transport().call("echo", "open_door", Workspace("w1"), Value, token)


async def test_a_token_of_yesterday_opens_nothing(stand: Stand) -> None:
    yesterday = TokenSigner(SECRET, now=lambda: time.time() - 86_400)
    with pytest.raises(Unauthenticated):
        await stand.echo(signer=yesterday).open_door(Workspace("w1"))


async def test_fifty_at_once(echo: Any) -> None:
    answers = await asyncio.gather(*(echo.echo(Value(n)) for n in range(50)))
    assert [answer.value for answer in answers] == list(range(50))


async def test_callers_at_once_are_not_mixed_up(stand: Stand) -> None:
    transport = stand.transport()

    async def who(workspace: str) -> Any:
        token = stand.signer.sign("echo", Caller(workspace, frozenset({"read"})))
        return (await transport.call("echo", "open_door", Workspace(workspace), Value, token)).value[0]

    names = [f"w{n % 7}" for n in range(30)]
    assert await asyncio.gather(*map(who, names)) == names


async def test_a_call_ends_at_its_deadline(stand: Stand) -> None:
    impatient = stand.echo(deadline=1.0)
    await impatient.echo(Value("connected"))
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await impatient.pause(Pause(3.0))
    assert time.monotonic() - began < 2.0


async def test_what_a_request_asks_to_wait_comes_on_top_of_the_deadline(stand: Stand) -> None:
    await stand.echo().echo(Value("connected"))  # a cold start is not what is measured
    assert (await stand.echo(deadline=1.0).pause(Pause(1.3, wait=15.0))).value == 1.3


async def test_a_call_that_is_cancelled_is_cancelled(echo: Any) -> None:
    call = asyncio.ensure_future(echo.pause(Pause(1.0)))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_server_that_is_gone_is_unavailable_until_it_is_back(stand: Stand) -> None:
    echo = stand.echo(deadline=10.0)
    assert (await echo.echo(Value(1))).value == 1
    await stand.stop()
    try:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await echo.echo(Value(2))
    finally:
        await stand.start()
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await echo.echo(Value(3))).value == 3
                return
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_a_transport_that_was_closed_connects_again(stand: Stand) -> None:
    transport = stand.transport()
    token = stand.signer.sign("echo", CALLER)
    for n in range(2):
        assert (await transport.call("echo", "echo", Value(n), Value, token)).value == n
        await transport.close()
