/** What the pages show is type-checked as it stands there, by the strictest settings. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../../", import.meta.url));
const PAGES = ["docs/embedding.md", "wasm/packages/client/README.md", "wasm/packages/react/README.md"];

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

test("the limits that the page names are those of the engine", () => {
  const page = readFileSync(join(ROOT, "docs/embedding.md"), "utf8");
  const source = readFileSync(join(ROOT, "sync-protocol/src/limits.rs"), "utf8");
  const constants = {
    "a document's name": "DOCUMENT_NAME",
    "a key of a map": "DOCUMENT_KEY",
    "objects in objects": "DOCUMENT_DEPTH",
    "one change, all its operations together": "EDIT",
    "one step of a counter, either way": "COUNTER_STEP",
    "a counter's first value, either way": "COUNTER",
    "a file to import": "DOCUMENT_IMPORT",
  };
  for (const [what, constant] of Object.entries(constants)) {
    const expression = new RegExp(`pub const ${constant}: \\w+ = ([^;]+);`).exec(source)?.[1] ?? "";
    assert.match(expression, /^[\d\s*<()-]+$/, constant);
    const value = [...expression.matchAll(/\d+|<<|\*|-/g)].map(([token]) => token);
    const named = new RegExp(`\\| ${what} \\| (\\d+)`).exec(page)?.[1];
    assert.equal(Number(named), evaluate(value), what);
  }
});

/** A constant expression of Rust's, from left to right: that is how those are written. */
function evaluate([first, ...rest]: readonly string[]): number {
  let value = Number(first);
  for (let n = 0; n < rest.length; n += 2) {
    const operand = Number(rest[n + 1]);
    if (rest[n] === "<<") value *= 2 ** operand;
    else if (rest[n] === "*") value *= operand;
    else value -= operand;
  }
  return value;
}
