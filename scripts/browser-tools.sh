#!/usr/bin/env bash
# A browser for tests/browser: the machine's own Chromium, else the one that npm's registry has for Linux on x86-64, with
# the libraries that it needs, in .tools/browser. Where there is neither, those tests say so.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .tools/browser
for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
  command -v "$name" >/dev/null && { touch .tools/browser/.ready; exit; }
done
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "There is no Chromium here, and none to be fetched for $(uname -sm): the tests of the console in a browser are left out." >&2
  touch .tools/browser/.ready
  exit
fi
. scripts/node.sh
have_node
cp tests/browser/fetched/{package.json,package-lock.json,.npmrc} .tools/browser
(cd .tools/browser && "${npm[@]}" ci --silent)
from=node_modules/@sparticuz/chromium/bin
(cd .tools/browser && node --input-type=module -e '
  import { readFileSync, writeFileSync } from "node:fs";
  import { brotliDecompressSync } from "node:zlib";
  for (const [from, to] of [["chromium.br", "chromium"], ["al2023.tar.br", "libraries.tar"], ["swiftshader.tar.br", "drawing.tar"], ["fonts.tar.br", "fonts.tar"]])
    writeFileSync(to, brotliDecompressSync(readFileSync(`'"$from"'/${from}`)), { mode: 0o755 });
')
tar -xf .tools/browser/libraries.tar -C .tools/browser
tar -xf .tools/browser/drawing.tar -C .tools/browser
tar -xf .tools/browser/fonts.tar -C .tools/browser
cat > .tools/browser/fonts.conf <<EOF
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>$PWD/.tools/browser/fonts</dir><cachedir>$PWD/.tools/browser/cache</cachedir></fontconfig>
EOF
rm -rf .tools/browser/*.tar .tools/browser/node_modules
touch .tools/browser/.ready
