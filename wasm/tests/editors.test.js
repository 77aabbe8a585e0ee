/** Two people in one text, each in CodeMirror, in browsers of their own. */
import assert from "node:assert/strict";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "vite";
import { ROOT, scratch, serve, startBrowser, startRelay, until } from "./harness.js";

const CODE = `
import { history, undo } from "@codemirror/commands";
import { EditorView } from "@codemirror/view";
import { Rejoinder } from "@rejoinder/client";
import { sharedText } from "@rejoinder/client/codemirror";

globalThis.start = async (relay, address) => {
  globalThis.client = await Rejoinder.open({ relay });
  await client.account.create({ address, name: address });
};
globalThis.undo = () => undo(view);
globalThis.edit = (id) => {
  globalThis.page = client.conversation(id).document("page");
  globalThis.view = new EditorView({ parent: document.body, extensions: [history(), sharedText(page, ["body"])] });
};
`;

/** The editor's page, as an app would have it built. */
async function editors(t) {
  const [relay, browser, directory] = await Promise.all([startRelay(t), startBrowser(t), scratch(t)]);
  await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"));
  await writeFile(join(directory, "editor.js"), CODE);
  await writeFile(
    join(directory, "index.html"),
    `<!doctype html><title>x</title><script type="module" src="./editor.js"></script>`,
  );
  await build({ root: directory, configFile: false, logLevel: "error", build: { target: "es2022" } });
  const origin = await serve(t, { directories: { "/": join(directory, "dist") } });
  const open = async (address) => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${origin}/index.html`);
    await page.waitForFunction(() => globalThis.start);
    await page.evaluate(([relay, address]) => start(relay, address), [relay.url, address]);
    return page;
  };
  const bob = await open("bob");
  const ada = await open("ada");
  const id = await ada.evaluate(async () => (await client.conversations.create({ title: "T", members: ["bob"] })).id);
  await until("invitation", () =>
    bob.evaluate(async (id) => (await client.conversations.list.ready()).some((info) => info.id === id), id),
  );
  for (const page of [ada, bob]) {
    await page.evaluate((id) => edit(id), id);
    await until("editor", () => page.evaluate(() => !view.state.readOnly));
  }
  return { ada, bob };
}

const text = (page) => page.evaluate(() => view.state.doc.toString());

test("a thousand letters are typed while somebody else types, and both read one text", async (t) => {
  const { ada, bob } = await editors(t);
  await ada.locator(".cm-content").click();
  await ada.keyboard.type("start ");
  await until("start at bob's", async () => (await text(bob)) === "start ");
  // The longest time in which nothing was painted, on the page of who types.
  await ada.evaluate(() => {
    globalThis.gaps = [];
    let last = performance.now();
    const look = (now) => {
      gaps.push(now - last);
      last = now;
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  const letters = Array.from({ length: 1_000 }, (_, n) => String.fromCharCode(97 + (n % 26))).join("");
  const typing = ada.keyboard.type(letters);
  for (let n = 0; n < 20; n++) {
    await bob.evaluate(() => view.dispatch({ changes: { from: 0, insert: "é" } }));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await typing;
  const gaps = await ada.evaluate(() => gaps.sort((a, b) => b - a));
  t.diagnostic(
    `frames while 1,000 letters were typed: ${gaps.length}, the longest ${gaps.slice(0, 3).map((gap) => gap.toFixed(0))} ms`,
  );
  await until("one text", async () => (await text(ada)).length === 1_026 && (await text(ada)) === (await text(bob)));
  const both = await text(ada);
  const sorted = (text) => [...text].sort().join("");
  assert.equal(sorted(both), sorted(`start ${letters}${"é".repeat(20)}`), "nothing is lost, and nothing twice");
});

test("the editor's undo takes back what one typed oneself", async (t) => {
  const { ada, bob } = await editors(t);
  await ada.locator(".cm-content").click();
  await ada.keyboard.type("mine");
  await until("text at bob's", async () => (await text(bob)) === "mine");
  await bob.evaluate(() => view.dispatch({ changes: { from: 0, insert: "theirs " } }));
  await until("text at ada's", async () => (await text(ada)) === "theirs mine");
  await ada.evaluate(() => undo());
  await until("what is left", async () => (await text(bob)) === "theirs ");
});
