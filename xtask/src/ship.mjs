// Makes of a package's sources what is shipped: one small script for each entry, and one for what they
// share, with maps that lead to the sources. The declarations and the WebAssembly stay as they were built.
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { rolldown } from "rolldown";
import { minifySync } from "vite";

const [folder] = process.argv.slice(2);
const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const dist = join(folder, "dist");
const entries = Object.values(exports).flatMap((entry) => (typeof entry === "object" ? [entry.default] : []));
const names = entries.map((entry) => entry.replace(/^\.\/dist\/(.*)\.js$/, "$1"));

const bundle = await rolldown({
  input: Object.fromEntries(names.map((name) => [name, resolve(folder, "src", `${name}.ts`)])),
  // The module's script finds the module by its own address; others' packages are theirs.
  external: (id) => id === "./wasm/rejoinder.js" || /^[^./]/.test(id),
  resolve: { extensionAlias: { ".js": [".ts", ".js"] } },
  transform: { target: "es2022" },
});
const options = { dir: dist, format: "es", minify: true, sourcemap: true, chunkFileNames: "shared/[name].js" };
for (const name of readdirSync(dist, { recursive: true })) {
  if (/\.js(\.map)?$/.test(name) && !/^wasm[/\\]/.test(name)) rmSync(join(dist, name));
}
const { output } = await bundle.write(options);
await bundle.close();
for (const file of output) console.log(file.fileName);

// The script that wasm-bindgen made has its own place, beside the module.
const glue = join(dist, "wasm", "rejoinder.js");
const { code, errors } = minifySync(glue, readFileSync(glue, "utf8"), { module: true });
if (errors.length > 0) throw new Error(`${glue}: ${errors[0].message}`);
writeFileSync(glue, code);
