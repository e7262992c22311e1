#!/usr/bin/env bash
# Makes .venv with everything the project needs. Uses uv where it is or can be had; pip otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  for candidate in python3.14 python3.13 python3.12 python3.11; do
    command -v "$candidate" >/dev/null && { python=$candidate; break; }
  done
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "LinkFlow needs Python 3.11 or later. Install it, or name one: PYTHON=/path/to/python3.12 make setup" >&2
  exit 1
}

echo "Setting up .venv with $("$python" --version) ..."
if [ ! -x .venv/bin/python ]; then
  if command -v uv >/dev/null; then
    uv venv --quiet --seed --python "$python" .venv
  elif ! "$python" -m venv .venv 2>/dev/null; then
    # Debian splits ensurepip off: a venv without pip, then pip from the system if it has one.
    rm -rf .venv
    "$python" -m venv --without-pip .venv
    "$python" -m pip --python .venv/bin/python install --quiet pip 2>/dev/null || {
      rm -rf .venv
      echo "This Python has neither ensurepip nor pip. On Debian or Ubuntu: apt-get install python3-venv" >&2
      exit 1
    }
  fi
fi
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv || true

install() {
  if [ -x .venv/bin/uv ]; then .venv/bin/uv pip install --quiet --python .venv/bin/python "$@"
  else .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; fi
}
if [ -x .venv/bin/uv ]; then install --compile-bytecode --require-hashes -r requirements.lock
else install --require-hashes -r requirements.lock; fi
install --no-deps -e .
touch .venv/.ready
