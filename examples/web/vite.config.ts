import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import zlib from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Its name stays the same, since browsers ask for it under that name. */
const SERVICE_WORKER = "service-worker.js";
/** What is worth compressing; smaller files travel in one packet anyway. */
const COMPRESSED = /\.(?:js|css|html|svg|wasm|webmanifest)$/;
const SMALL_BYTES = 1400;
/** An engine of more than this was built quickly, and goes no further than this machine. */
const LARGE_BYTES = 4_000_000;

const brotli = promisify(zlib.brotliCompress);

/** Tells the service worker which files the app consists of. */
function fileList(): Plugin {
  return {
    name: "file-list",
    apply: "build",
    async generateBundle(_options, bundle) {
      const worker = bundle[SERVICE_WORKER];
      if (worker?.type !== "chunk") throw new Error("the service worker was not built");
      const fixed = await readdir(path.join(import.meta.dirname, "public"));
      const built = Object.keys(bundle).filter((name) => name !== SERVICE_WORKER);
      const files = [...built, ...fixed, "index.html"].filter((name) => !name.endsWith(".map"));
      const list = [...new Set(files)].sort().map((name) => `/${name}`);
      worker.code = worker.code.replace(/(["'`])__FILES__\1/, () => JSON.stringify(JSON.stringify(list)));
    },
  };
}

/** Compresses once, as small as can be, for servers that send such files as they are. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = path.resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      const names = await readdir(folder, { recursive: true });
      const worth = names.filter((name) => COMPRESSED.test(name));
      await Promise.all(worth.map((name) => compress(path.join(folder, name))));
    },
  };
}

async function compress(file: string): Promise<void> {
  const content = await readFile(file);
  if (content.length <= SMALL_BYTES) return;
  const { BROTLI_PARAM_QUALITY: quality } = zlib.constants;
  const params = { [quality]: content.length > LARGE_BYTES ? 4 : 11 };
  await writeFile(`${file}.br`, await brotli(content, { params }));
}

export default defineConfig({
  plugins: [react(), fileList(), compressed()],
  build: {
    target: "es2023",
    // The policy of the relay allows neither inline code nor data URLs of it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: "index.html", "service-worker": "src/service-worker.ts" },
      output: {
        entryFileNames: ({ name }) => (name === "service-worker" ? SERVICE_WORKER : "assets/[name]-[hash].js"),
      },
    },
  },
  worker: { format: "es" },
  optimizeDeps: { exclude: ["@rejoinder/client", "@rejoinder/react"] },
});
