/** What the pages show is type-checked as it stands there, by the strictest settings. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../../", import.meta.url));
const PAGES = ["README.md", "docs/embedding.md", "wasm/packages/client/README.md", "wasm/packages/react/README.md"];

/** What an app has when it comes to a snippet in the middle of a page. */
const AROUND = `
import type { Conversation, Rejoinder } from "@rejoinder/client";
declare global {
  const client: Rejoinder;
  const conversation: Conversation;
  const words: string;
  function show(text: string): void;
  function render(content: unknown): void;
}
`;

test("every snippet in TypeScript is right", (t) => {
  // Inside of the repository, so that the packages are found as an app finds them.
  const folder = join(ROOT, "wasm/packages/react/build/snippets");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  for (const page of PAGES) {
    const text = readFileSync(join(ROOT, page), "utf8");
    for (const [, language = "", code = ""] of text.matchAll(/^```(tsx?)\n([^]*?)^```/gm)) {
      count += 1;
      const line = text.slice(0, text.indexOf(code)).split("\n").length;
      const name = `${page.replaceAll(/\W/g, "_")}_${line}.${language}`;
      writeFileSync(join(folder, name), `${code}\nexport {};\n`);
    }
  }
  assert.ok(count >= 10, `${count} snippets`);
  writeFileSync(join(folder, "around.d.ts"), AROUND);
  const compilerOptions = {
    noEmit: true,
    jsx: "react-jsx",
    lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    types: [],
    rootDir: "/",
    declaration: false,
    declarationMap: false,
    sourceMap: false,
    inlineSources: false,
    noUnusedLocals: false,
  };
  const project = { extends: join(ROOT, "wasm/packages/tsconfig.base.json"), compilerOptions, include: ["*"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
  const checked = spawnSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8" });
  assert.equal(checked.status, 0, checked.stdout);
});
