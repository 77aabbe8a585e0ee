// Sizes of what a page loads of the client, compressed as servers compress; fails past a budget. Entries
// that a page may do without are told apart.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const [folder, budget] = process.argv.slice(2);
const loaded = new Set();
for (const entry of ["index.js", "worker.js"]) load(entry);
for (const name of readdirSync(join(folder, "wasm"))) loaded.add(join("wasm", name));

let sum = 0;
for (const name of readdirSync(folder, { recursive: true }).sort()) {
  if (!/\.(js|wasm)$/.test(name)) continue;
  const bytes = readFileSync(join(folder, name));
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const size = brotliCompressSync(bytes, { params }).length;
  if (loaded.has(normalize(name))) sum += size;
  const apart = loaded.has(normalize(name)) ? "" : ", apart";
  console.log(`${String(bytes.length).padStart(9)} ${String(size).padStart(8)}  ${name}${apart}`);
}
console.log(`${String(sum).padStart(18)}  in all, of ${budget}`);
if (sum > Number(budget)) process.exit(1);

/** A script, and what it imports. */
function load(name) {
  if (loaded.has(name)) return;
  loaded.add(name);
  const code = readFileSync(join(folder, name), "utf8");
  for (const [, path] of code.matchAll(/(?:from|import)\s*["'`](\.{1,2}\/[^"'`]+)["'`]/g)) {
    load(join(dirname(name), path));
  }
}
