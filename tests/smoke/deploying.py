"""`sam build` and `sam deploy`, as an operator runs them, for this machine's Python."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.smoke.emulator import ROOT, Emulator

SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
STACK, BUCKET = "linkflow", "deploy"
MACHINE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TARGET = {"Architecture": MACHINE, "Runtime": f"python{PYTHON}"}


@dataclass(frozen=True)
class Stack:
    """What was deployed: the HTTP API's id, the names and memory of the functions, and the layer's MB, zipped."""

    api_id: str
    layer_mb: float


def build(folder: Path, environ: Mapping[str, str]) -> Path:
    """The deployment package; returns its template."""
    _sam(
        "build", "--build-dir", str(folder / "build"), "--cache-dir", str(folder / "cache"), "--parameter-overrides",
        *overrides(TARGET), environ={**environ, "ARCH": MACHINE, "PYTHON_VERSION": PYTHON},
    )  # fmt: skip
    return folder / "build" / "template.yaml"


def deploy(emulator: Emulator, template: Path, parameters: Mapping[str, str]) -> Stack:
    """Create the stack; what every parameter is not named for is left to the template."""
    emulator.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": emulator.environ["AWS_REGION"]}
    )
    given = {**TARGET, **parameters}
    _sam(
        "deploy", "--template-file", str(template), "--stack-name", STACK, "--s3-bucket", BUCKET, "--capabilities",
        "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar", "--parameter-overrides", *overrides(given),
        environ=emulator.environ,
    )  # fmt: skip
    (found,) = emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
    # The bucket refuses what comes without TLS, and the emulator speaks none.
    emulator.client("s3").delete_bucket_policy(Bucket=outputs["PayloadBucketName"])
    zipped = Path(shutil.make_archive(str(template.parent.parent / "layer"), "zip", template.parent / "LinkflowLayer"))
    return Stack(outputs["ApiId"], round(zipped.stat().st_size / 2**20, 1))


def knock(emulator: Emulator) -> str:
    """Call the services that live within others by default, without a token; each refuses, so each is up."""
    names = ("frontend", "history", "matching")
    for name in names:
        event = json.dumps({"service": name, "method": "nothing", "token": "", "body": {}})
        answer = emulator.client("lambda").invoke(FunctionName=f"{STACK}-{name}", Payload=event.encode())
        found = json.loads(answer["Payload"].read())
        assert found.get("error", {}).get("code") in ("unauthenticated", "forbidden"), found
    return ", ".join(names)


def delete(emulator: Emulator) -> None:
    """Take the stack down, and see that nothing of it is left but what the template says it keeps."""
    formation = emulator.client("cloudformation")
    formation.delete_stack(StackName=STACK)
    formation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    left = [one["FunctionName"] for one in emulator.client("lambda").list_functions()["Functions"]]
    assert not left, f"functions are left: {left}"


def overrides(values: Mapping[str, str]) -> list[str]:
    """SAM reads what stands between quotes as it is."""
    return [f"{name}='{value}'" if set(value) & set(' "{') else f"{name}={value}" for name, value in values.items()]


def _sam(*arguments: str, environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        [str(SAM), *arguments], cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"sam {arguments[0]} failed:\n{(done.stdout + done.stderr)[-4000:]}")
