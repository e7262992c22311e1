"""Settings out of Secrets Manager, by a real client against moto's server: what boto3 put there is found."""

# ruff: noqa: F811 - a fixture that is imported
from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from linkflow.config import BadConfig, load
from linkflow.domain.errors import Unavailable
from linkflow.transports import secrets_manager
from linkflow.transports.secrets_manager import _endpoint, fill
from tests.rotating import aws  # noqa: F401 - a fixture

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token"}


@pytest.fixture(scope="module")
def secrets(aws: str) -> dict[str, str]:
    client: Any = boto3.client(
        "secretsmanager", endpoint_url=aws, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    made = {"plain": "s" * 32 + "/+%", "user": json.dumps({"username": "linkflow", "password": "a/b:c@d %"})}
    return {name: client.create_secret(Name=name, SecretString=value)["ARN"] for name, value in made.items()}


def environ(aws: str, **more: str) -> dict[str, str]:
    return {**KEYS, "AWS_ENDPOINT_URL": aws, **more}


def test_secrets_stand_where_they_were_named(aws: str, secrets: dict[str, str]) -> None:
    password = f"{{{{secretsmanager:{secrets['user']}:password}}}}"
    env = environ(
        aws,
        LINKFLOW_SECRET=f"{{{{secretsmanager:{secrets['plain']}}}}}",
        DATABASE_URL=f"postgresql://linkflow:{password}@db:5432/linkflow",
        OTHER="as it was",
    )
    fill(env)
    assert env["LINKFLOW_SECRET"] == "s" * 32 + "/+%"
    assert env["DATABASE_URL"] == "postgresql://linkflow:a%2Fb%3Ac%40d%20%25@db:5432/linkflow"
    assert env["OTHER"] == "as it was"
    assert load(env).secret == "s" * 32 + "/+%"


def test_without_names_nobody_is_asked() -> None:
    env = {"A": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    fill(env)
    assert env == {"A": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("{{secretsmanager:ARN-nobody}}", "ResourceNotFoundException"),
        ("{{secretsmanager:USER:email}}", "no JSON object with 'email'"),
        ("{{secretsmanager:PLAIN:password}}", "no JSON object with 'password'"),
        ("{{secretsmanager:my-secret}}", "A: a secret is named"),
    ],
)
def test_what_cannot_be_had_is_said_without_saying_it(aws: str, secrets: dict[str, str], named: str, says: str) -> None:
    text = named.replace("ARN-nobody", f"{secrets['plain'].rpartition(':')[0]}:nobody-abcdef")
    text = text.replace("USER", secrets["user"]).replace("PLAIN", secrets["plain"])
    with pytest.raises(BadConfig) as caught:
        fill(environ(aws, A=text))
    assert says in str(caught.value)
    assert "sss" not in str(caught.value)
    assert "a/b:c" not in str(caught.value)


def test_a_service_that_is_away_can_be_asked_again(secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets_manager.time, "sleep", lambda seconds: None)
    with pytest.raises(Unavailable):
        fill(environ("http://127.0.0.1:1", A=f"{{{{secretsmanager:{secrets['plain']}}}}}"))


@pytest.mark.parametrize(
    ("region", "env", "url"),
    [
        ("eu-west-1", {}, "https://secretsmanager.eu-west-1.amazonaws.com/"),
        ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://secretsmanager.eu-west-1.api.aws/"),
        ("cn-north-1", {}, "https://secretsmanager.cn-north-1.amazonaws.com.cn/"),
        ("eu-west-1", {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://x:1/"}, "http://x:1/"),
    ],
)
def test_where_it_is_asked(region: str, env: dict[str, str], url: str) -> None:
    assert _endpoint(region, env) == url
