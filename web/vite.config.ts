import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Beside each text its smaller forms, so that nobody packs them while somebody waits. */
function packed(): Plugin {
  let out = "";
  return {
    name: "packed",
    apply: "build",
    configResolved: (config) => void (out = resolve(config.root, config.build.outDir, "assets")),
    closeBundle() {
      for (const name of readdirSync(out).filter((one) => /\.(js|css|svg)$/.test(one))) {
        const text = readFileSync(join(out, name));
        const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length };
        writeFileSync(join(out, `${name}.br`), brotliCompressSync(text, { params: quality }));
        writeFileSync(join(out, `${name}.gz`), gzipSync(text, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: "./",
  build: {
    outDir: "../layers/linkflow/python/linkflow/http/console",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy of the page lets nothing in that is not a file of ours
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  plugins: [packed()],
  server: { proxy: { "/api": process.env.LINKFLOW_URL ?? "http://127.0.0.1:8080" } },
});
