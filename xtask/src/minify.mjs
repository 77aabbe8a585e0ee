// Makes a folder's scripts small, in place, as they are shipped. Their maps stay true.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { minifySync } from "vite";

const [folder] = process.argv.slice(2);
for (const name of readdirSync(folder, { recursive: true })) {
  if (name.endsWith(".js")) minify(join(folder, name));
}

function minify(file) {
  const inputMap = existsSync(`${file}.map`) ? JSON.parse(readFileSync(`${file}.map`, "utf8")) : undefined;
  const options = { module: true, sourcemap: inputMap !== undefined, inputMap };
  const { code, map, errors } = minifySync(file, readFileSync(file, "utf8"), options);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const link = map ? `\n//# sourceMappingURL=${basename(file)}.map\n` : "";
  writeFileSync(file, code + link);
  if (map) writeFileSync(`${file}.map`, JSON.stringify(map));
}
