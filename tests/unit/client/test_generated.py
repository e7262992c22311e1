"""The client has every operation of the OpenAPI document, as it is now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_it_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/api_client.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + "\nrun: make client"
