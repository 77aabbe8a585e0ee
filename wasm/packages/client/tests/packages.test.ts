/** The packages as npm would publish them. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

const ROOT = fileURLToPath(new URL("../../../../../", import.meta.url));
const PACKAGES = join(ROOT, "wasm/packages");

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "rejoinder-package-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

for (const name of ["client", "react"]) {
  test(`@rejoinder/${name} has nothing that publint or attw complains of, and all that its maps lead to`, async (t) => {
    const directory = scratch(t);
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", directory];
    const [packed] = JSON.parse(execFileSync("npm", args, { cwd: join(PACKAGES, name), encoding: "utf8" })) as [
      { filename: string; files: readonly { path: string }[] },
    ];
    const tarball = readFileSync(join(directory, packed.filename));
    const { messages, pkg } = await publint({
      pack: {
        tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength),
      },
    });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    );
    // ESM is all that the package has, on purpose.
    const attw = join(ROOT, "node_modules/.bin/attw");
    const judged = spawnSync(attw, [join(directory, packed.filename), "--profile", "esm-only", "--no-color"], {
      encoding: "utf8",
    });
    assert.equal(judged.status, 0, judged.stdout);
    const files = new Set(packed.files.map(({ path }) => path));
    for (const path of files) {
      if (!path.endsWith(".map")) continue;
      const { sources } = JSON.parse(readFileSync(join(PACKAGES, name, path), "utf8")) as {
        sources: readonly string[];
      };
      for (const source of sources) assert.ok(files.has(join(path, "..", source)), `${path}: ${source}`);
    }
  });
}

test("only what is shipped can be packed, and it takes the licences along", (t) => {
  const directory = scratch(t);
  for (const path of ["wasm/packages/prepack.mjs", "LICENSE-MIT", "LICENSE-APACHE"])
    cpSync(join(ROOT, path), join(directory, path));
  const folder = join(directory, "wasm/packages/client");
  cpSync(join(PACKAGES, "react/dist"), join(folder, "dist"), { recursive: true });
  const run = (...args: string[]) => spawnSync("node", ["../prepack.mjs", ...args], { cwd: folder, encoding: "utf8" });
  const refused = run();
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /cargo xtask web --release/);
  assert.equal(run("--stamp").status, 0);
  assert.equal(run().status, 0);
  assert.ok(existsSync(join(folder, "LICENSE-MIT")) && existsSync(join(folder, "LICENSE-APACHE")));
  writeFileSync(join(folder, "dist/index.js"), "// built anew, for a test");
  assert.equal(run().status, 1);
});
