"""Cold starts as Lambda has them: the layer as `sam build` makes it, and AWS's own runtime interface emulator."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from tests.lambda_environment import Environment, Function, NoEmulator, emulator

from .children import ROOT

SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
WARM = 20
"""Further calls to the environment that answered its first."""


def measure(events: Mapping[str, Any], environ: Mapping[str, str], runs: int) -> dict[str, Any]:
    """Of each function: ms from nothing to its first answer, and of a further one; and MB of the zipped layer. Nothing
    where there is no `.tools/sam`."""
    try:
        emulator()
    except NoEmulator:
        return {}
    with tempfile.TemporaryDirectory(prefix="linkflow-layer-") as folder:
        layer, size = _layer(Path(folder))
        functions = {}
        for name, event in events.items():
            function = Function(ROOT / "functions" / name, env={**environ, "PYTHONPATH": str(layer)})
            times = [_start(name, function, json.dumps(event).encode()) for _ in range(runs)]
            functions[name] = {
                "cold_ms": round(median(cold for cold, _ in times), 1),
                "warm_ms": round(median(warm for _, warm in times), 2),
            }
    return {"layer_mb": size, "functions": functions}


def check(answer: Any) -> None:
    """Raises `RuntimeError` for an answer that is an error."""
    if not isinstance(answer, dict) or answer.get("statusCode", 200) != 200 or {"error", "errorType"} & set(answer):
        raise RuntimeError(f"The function's answer is no good: {str(answer)[:1000]}")


def _start(name: str, function: Function, event: bytes) -> tuple[float, float]:
    begin = time.perf_counter()
    environment = Environment(f"bench-{name}", function, None)
    try:
        check(json.loads(environment.invoke(event).body))
        cold = time.perf_counter() - begin
        environment.warm = True
        warm = []
        for _ in range(WARM):
            begin = time.perf_counter()
            check(json.loads(environment.invoke(event).body))
            warm.append(time.perf_counter() - begin)
    finally:
        environment.kill()
    return 1000 * cold, 1000 * median(warm)


def _layer(folder: Path) -> tuple[Path, float]:
    """The layer for this machine's own Python, and its zipped size in MB."""
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run(
        [
            str(SAM), "build", "--build-dir", str(folder / "build"), "--cache-dir", str(folder / "cache"),
            "--parameter-overrides", f"Architecture={machine} Runtime=python{python}",
        ],
        cwd=ROOT, check=True, capture_output=True,
        env={
            **os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", "ARCH": machine,
            "PYTHON_VERSION": python,
        },
    )  # fmt: skip
    layer = folder / "build" / "LinkflowLayer"
    zipped = Path(shutil.make_archive(str(folder / "layer"), "zip", layer))
    return layer / "python", round(zipped.stat().st_size / 2**20, 1)
