"""Master keys: a file that is made once, keys that are given, and KMS (moto)."""

from __future__ import annotations

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from linkflow.clock import SystemClock
from linkflow.config import BadConfig, key_settings, load
from linkflow.domain.errors import Conflict, Internal, Unavailable
from linkflow.sealed import BadSeal
from linkflow.services.sealing import Sealer
from linkflow.transports.keyfile import KeyFile, read
from linkflow.transports.keyrings import connect
from linkflow.transports.kms import KmsKeys

GIVEN = json.dumps({"current": "a", "keys": {"a": base64.b64encode(b"a" * 32).decode()}})


async def test_a_text_opens_where_it_belongs_and_nowhere_else(tmp_path: Path):
    sealer = Sealer(connect([f"file:{tmp_path / 'keys.json'}"]), SystemClock())
    sealed = await sealer.seal(b"secret", "workspace/1")
    assert await sealer.open(sealed, "workspace/1") == b"secret"
    assert b"secret" not in sealed.data
    with pytest.raises(Internal):
        await sealer.open(sealed, "workspace/2")
    other = Sealer(connect([f"file:{tmp_path / 'others.json'}"]), SystemClock())
    with pytest.raises(Internal):
        await other.open(sealed, "workspace/1")
    with pytest.raises(Conflict, match="LINKFLOW_KEYS"):
        await Sealer(connect([]), SystemClock()).seal(b"x", "y")


def test_the_file_is_made_once_and_closed_to_others(tmp_path: Path):
    path = tmp_path / "home" / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: KeyFile(path).ring, range(8)))
    assert len({ring.keys["k1"] for ring in rings}) == 1
    assert (path.stat().st_mode & 0o777, os.listdir(path.parent)) == (0o600, ["keys.json"])
    path.chmod(0o644)
    with pytest.raises(BadConfig, match="chmod 600"):
        KeyFile(path).ring  # noqa: B018


async def test_a_new_key_holds_in_other_processes_at_once(tmp_path: Path):
    here, there = KeyFile(tmp_path / "keys.json"), KeyFile(tmp_path / "keys.json")
    before = await there.wrap(b"k" * 32)
    assert await here.rotate() == "k2"
    assert await there.current() == "k2"
    assert await there.unwrap(*before) == b"k" * 32
    with pytest.raises(Conflict):
        await here.drop("k2")
    await here.drop("k1")
    with pytest.raises(KeyError):
        await there.unwrap(*before)


async def test_given_keys_and_moving_to_others(tmp_path: Path):
    assert key_settings(load({"LINKFLOW_KEYS": GIVEN}).keys) == (GIVEN,)
    assert key_settings("kms:alias/x, file:/y") == ("kms:alias/x", "file:/y")
    given, file = connect([GIVEN]), f"file:{tmp_path / 'keys.json'}"
    assert given is not None
    wrapped = await given.wrap(b"k" * 32)
    with pytest.raises(Conflict):
        await given.rotate()
    both = connect([file, GIVEN])
    assert both is not None
    assert (await both.current(), await both.unwrap(*wrapped)) == ("k1", b"k" * 32)
    with pytest.raises(KeyError):
        await both.unwrap("zzz", b"")
    for wrong in ("kms:", "x", "file:"):
        with pytest.raises(BadConfig):
            connect([wrong])
    for text in ("{}", '{"current": "a", "keys": {}}', '{"current": "a", "keys": {"a": "eA=="}}', "["):
        with pytest.raises(BadConfig) as caught:
            read(text)
        assert "eA==" not in str(caught.value)


async def test_kms(monkeypatch: pytest.MonkeyPatch):
    from moto import mock_aws

    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        import boto3

        client = boto3.client("kms")
        arn = client.create_key()["KeyMetadata"]["Arn"]
        client.create_alias(AliasName="alias/linkflow", TargetKeyId=arn)
        ring = connect(["kms:alias/linkflow"])
        assert ring is not None
        sealer = Sealer(ring, SystemClock())
        sealed = await sealer.seal(b"secret", "about")
        assert (sealed.key_id, await ring.current()) == (arn, arn)
        assert await sealer.open(sealed, "about") == b"secret"
        with pytest.raises(Unavailable):
            await KmsKeys("alias/nothing").wrap(b"k" * 32)
        with pytest.raises(BadSeal):
            await ring.unwrap(arn, b"nonsense")
