"""What importing the API must not drag along: a cold start pays for every module."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "jwt",
    "argon2",
    "psycopg",
    "redis",
    "boto3",
    "grpc",
    "httpx",
    "linkflow.domain.importing",
    "linkflow.nodes.registry",
)


def test_the_api_imports_lightly():
    code = "import json, sys, linkflow.http.app; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert [name for name in HEAVY if name in loaded] == []
