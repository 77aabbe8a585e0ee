/**
 * Lets nothing be packed but what is shipped: run by npm before it packs (`prepack`).
 *
 * `cargo xtask web --release` notes the hash of each file that it built (`--stamp`); whatever was built, or
 * changed, since then is refused. The licences of the repository go along.
 */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const STAMP = ".shipped.json";
const LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"];

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const folder = process.cwd();
const [option] = process.argv.slice(2);

if (option === "--stamp") writeFileSync(join(folder, STAMP), `${JSON.stringify(built(), undefined, 2)}\n`);
else pack();

function pack() {
  const stamp = join(folder, STAMP);
  const wanted = existsSync(stamp) ? readFileSync(stamp, "utf8") : undefined;
  if (wanted !== `${JSON.stringify(built(), undefined, 2)}\n`) {
    console.error("What lies in `dist` is not what is shipped. Build it: cargo xtask web --release");
    process.exit(1);
  }
  for (const name of LICENCES) copyFileSync(join(root, name), join(folder, name));
}

/** Every file that was built, with its hash. */
function built() {
  const dist = join(folder, "dist");
  if (!existsSync(dist)) return {};
  const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
  const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
  return Object.fromEntries(paths.map((path) => [relative(dist, path).replaceAll("\\", "/"), hash(path)]));
}
