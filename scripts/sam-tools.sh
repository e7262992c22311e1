#!/usr/bin/env bash
# SAM in an environment of its own: it pins many libraries. Its wheel also carries AWS's runtime interface emulator.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || scripts/setup.sh
if [ -x .venv/bin/uv ]; then
  [ -x .tools/sam/bin/python ] || .venv/bin/uv venv --quiet --seed --python .venv/bin/python .tools/sam
  .venv/bin/uv pip install --quiet --python .tools/sam/bin/python --require-hashes -r scripts/sam.lock
else
  [ -x .tools/sam/bin/python ] || .venv/bin/python -m venv .tools/sam
  .tools/sam/bin/python -m pip install --quiet --require-hashes -r scripts/sam.lock
fi
touch .tools/sam/.ready
