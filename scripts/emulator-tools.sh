#!/usr/bin/env bash
# An emulator of AWS in an environment of its own: it pins many libraries.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || scripts/setup.sh
if [ -x .venv/bin/uv ]; then
  [ -x .tools/emulator/bin/python ] || .venv/bin/uv venv --quiet --seed --python .venv/bin/python .tools/emulator
  .venv/bin/uv pip install --quiet --python .tools/emulator/bin/python --require-hashes -r scripts/emulator.lock
else
  [ -x .tools/emulator/bin/python ] || .venv/bin/python -m venv .tools/emulator
  .tools/emulator/bin/python -m pip install --quiet --require-hashes -r scripts/emulator.lock
fi
touch .tools/emulator/.ready
