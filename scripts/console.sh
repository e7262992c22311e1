#!/usr/bin/env bash
# Builds the console into the package. With names of scripts of web/package.json it runs those instead.
# --try: where it cannot be built, say how, and go on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/node.sh

refuse() {
  echo "The console is not built: $1" >&2
  echo "Everything else works without it. With Node.js 20.19 or later (https://nodejs.org): make console" >&2
  exit $(( trying ? 0 : 1 ))
}
trying=0
if [ "${1:-}" = --try ]; then trying=1; shift; fi
[ $# -gt 0 ] || set -- build

have_node || refuse "there is no Node.js, and PyPI's could not be had."
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
