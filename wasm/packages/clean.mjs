/** Empties folders of what was built before, so that nothing stays of sources that are gone. The module is built elsewhere. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

for (const folder of process.argv.slice(2)) {
  if (!existsSync(folder)) continue;
  for (const name of readdirSync(folder)) {
    if (name !== "wasm") rmSync(join(folder, name), { recursive: true });
  }
}
