// Sizes of a folder's scripts and modules, compressed as servers compress; fails past a budget.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const [folder, budget] = process.argv.slice(2);
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
  sum += size;
  console.log(`${String(bytes.length).padStart(9)} ${String(size).padStart(8)}  ${name}`);
}
console.log(`${String(sum).padStart(18)}  in all, of ${budget}`);
if (sum > Number(budget)) process.exit(1);
