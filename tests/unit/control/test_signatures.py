"""Signatures of webhook calls, against what the services themselves publish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.services.signatures import PRESETS, BadSignature, Scheme, sign, verify

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
    b"803a0bc887a14d10d2c447fce8b6703c"
)
PUBLISHED = {
    "standard": (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        1_614_265_330,
    ),
    "github": (
        "It's a Secret to Everybody",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
        1,
    ),
    "slack": (
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "x-slack-request-timestamp": "1531420618",
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        SLACK_BODY,
        1_531_420_618,
    ),
}
CUSTOM = Scheme("x-sig", "{id}|{timestamp}|{body}", "sha512", "base64", "s=", timestamp_header="x-at", id_header="x-id")
SCHEMES = {**PRESETS, "custom": CUSTOM}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_the_services_publish(name: str) -> None:
    secret, headers, body, now = PUBLISHED[name]
    verify(PRESETS[name], [secret], headers, body, now)
    with pytest.raises(BadSignature):
        verify(PRESETS[name], [secret], headers, body + b" ", now)
    if PRESETS[name].is_timed:
        for late in (-301, 301):
            with pytest.raises(BadSignature, match="300 s"):
                verify(PRESETS[name], [secret], headers, body, now + late)


@given(st.sampled_from(sorted(SCHEMES)), st.binary(max_size=200), st.integers(0, 2**38), st.text("abc-_1", min_size=1))
def test_what_is_signed_fits_and_nothing_else(name: str, body: bytes, now: int, id: str) -> None:
    scheme = SCHEMES[name]
    secret = "whsec_c2VjcmV0" if scheme.key == "whsec" else "s3cret"
    headers = sign(scheme, secret, body, now, id)
    mark = verify(scheme, ["whsec_b2xk" if scheme.key == "whsec" else "old", secret], headers, body, now)
    assert mark == verify(scheme, [secret], headers, body, now)
    other = "whsec_b3RoZXI=" if scheme.key == "whsec" else "other"
    for secrets, sent, said in (
        ([other], headers, body),
        ([secret], headers, body + b"x"),
        ([secret], {}, body),
        ([], headers, body),
    ):
        with pytest.raises(BadSignature):
            verify(scheme, secrets, sent, said, now)
    for header in ("webhook-id", "x-id"):
        if header in headers and "{id}" in scheme.signed:
            with pytest.raises(BadSignature):
                verify(scheme, [secret], {**headers, header: id + "x"}, body, now)


@given(st.sampled_from(sorted(SCHEMES)), st.text(max_size=80), st.text(max_size=20))
def test_nonsense_is_refused_and_never_breaks_anything(name: str, signature: str, timestamp: str) -> None:
    scheme = SCHEMES[name]
    headers = {scheme.header: signature, scheme.timestamp_header: timestamp, scheme.id_header: timestamp}
    with pytest.raises(BadSignature):
        verify(scheme, ["whsec_c2VjcmV0"], headers, b"body", 1_700_000_000)


def test_several_signatures_of_a_rotation() -> None:
    scheme = PRESETS["standard"]
    headers = sign(scheme, "whsec_c2VjcmV0", b"x", 10, "m")
    headers["webhook-signature"] = f"v1a,zzz v1,bm8= {headers['webhook-signature']}"
    verify(scheme, ["whsec_c2VjcmV0"], headers, b"x", 10)
    stripe = PRESETS["stripe"]
    signed = sign(stripe, "k", b"x", 10)["stripe-signature"]
    verify(stripe, ["k"], {"stripe-signature": f"{signed},v1=00,v0=11"}, b"x", 10)
