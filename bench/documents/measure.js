/**
 * Documents in browsers, beside automerge-repo and Yjs: the same page, the same machine, one after the
 * other, each with its own server. Rejoinder alone seals what it sends.
 *
 *     node measure.js [--rounds 200] [--items 5000] [--edits 100000] [--only rejoinder,repo,yjs]
 */
import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "vite";
import { scratch, serve, startBrowser, startRelay, until } from "../../wasm/tests/harness.js";

const HERE = dirname(fileURLToPath(import.meta.url));
const SYSTEMS = { rejoinder: "Rejoinder", repo: "automerge-repo", yjs: "Yjs" };
const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    items: { type: "string", default: "5000" },
    edits: { type: "string", default: "100000" },
    only: { type: "string", default: Object.keys(SYSTEMS).join(",") },
  },
});
const [ROUNDS, ITEMS, EDITS] = [options.rounds, options.items, options.edits].map(Number);
/** Where most people's documents are. */
const FEW = 10;
const LETTERS = 1_000;
/** Two frames at 60 a second: whoever paints later has dropped one. */
const DROPPED_MS = 34;

const cleanUp = [];
const bench = { after: (undo) => cleanUp.push(undo) };

/** Starts the server of a system, and gives its address. */
async function startServer(system) {
  if (system === "rejoinder") return (await startRelay(bench)).url;
  const child = spawn("node", [join(HERE, "server.js"), system, await scratch(bench)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanUp.push(() => child.kill());
  const lines = readline.createInterface({ input: child.stdout });
  const port = await new Promise((resolve) => lines.once("line", resolve));
  return `ws://127.0.0.1:${port}`;
}

/** A page of a browser of its own. */
async function open(browser, origin, system, context) {
  context ??= await browser.newContext();
  context.setDefaultTimeout(600_000);
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`${system}:`, error));
  await page.goto(`${origin}/${system}.html`);
  await page.waitForFunction(() => globalThis.bench);
  return page;
}

/** Two people at one list of so many items. */
async function two(browser, origin, system, url, count) {
  const name = `p${Math.random().toString(36).slice(2, 8)}`;
  const [ada, bob] = [await open(browser, origin, system), await open(browser, origin, system)];
  await bob.evaluate(([url, name]) => bench.start(url, name), [url, `${name}b`]);
  await ada.evaluate(([url, name]) => bench.start(url, name), [url, `${name}a`]);
  const id = await ada.evaluate((other) => bench.create(other), `${name}b`);
  await bob.evaluate((id) => bench.join(id), id);
  await Promise.all([ada, bob].map((page) => page.evaluate((id) => bench.open(id), id)));
  await ada.evaluate((count) => bench.fill(count), count);
  await until("all items", async () => (await bob.evaluate(() => bench.length())) === count, 120_000);
  return { ada, bob, id, name };
}

const sorted = (list) => list.toSorted((a, b) => a - b);
const at = (list, share) => sorted(list)[Math.min(list.length - 1, Math.floor(list.length * share))] ?? NaN;
const ms = (value) => (value === undefined || Number.isNaN(value) ? "–" : value.toFixed(1));

/** From the call on one page to the title on the other's; and to the own page. */
async function edits({ ada, bob }, count) {
  const [remote, own] = [[], []];
  for (let k = 0; k < ROUNDS; k++) {
    const [n, title] = [(k * 7) % count, `title ${k}`];
    await bob.evaluate((n) => bench.watch(n), n);
    const set = await ada.evaluate(([n, title]) => bench.set(n, title), [n, title]);
    const shown = await bob
      .waitForFunction((title) => bench.shown(title), title, { polling: 5 })
      .then((value) => value.jsonValue());
    remote.push(shown - set.at);
    own.push(set.own ?? Infinity);
  }
  return { remote, own };
}

/** Bytes of all processes that show pages, shared ones by their share. */
async function renderers() {
  let bytes = 0;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (!command.includes("--type=renderer")) continue;
    const memory = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    bytes += Number(/^Pss:\s+(\d+)/m.exec(memory)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** What a page that opens the list takes, more than one that opens none. */
async function memory(browser, origin, system, url, count) {
  const { id, ada, bob, name } = await two(browser, origin, system, url, count);
  await ada.evaluate(() => bench.saved());
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const context = bob.context();
  await bob.close();
  await ada.context().close();
  const blank = await context.newPage();
  await blank.goto(`${origin}/empty.html`);
  const before = await renderers();
  const page = await open(browser, origin, system, context);
  await page.evaluate(([url, name]) => bench.start(url, name), [url, `${name}b`]);
  await page.evaluate((id) => bench.open(id), id);
  await until("all items", async () => (await page.evaluate(() => bench.length())) === count, 120_000);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const bytes = (await renderers()) - before;
  await context.close();
  return bytes / 1e6;
}

/** Letters into CodeMirror: how many frames came late. */
async function typing({ ada, bob }) {
  for (const page of [ada, bob]) {
    await page.evaluate(() => bench.edit());
    await until("editor", () => page.evaluate(() => !view.state.readOnly));
  }
  await ada.locator(".cm-content").click();
  await ada.evaluate(() => bench.frames());
  await ada.keyboard.type("abcdefghij".repeat(LETTERS / 10));
  const gaps = await ada.evaluate(() => gaps);
  await until("text", async () => (await bob.evaluate(() => bench.text())).length === LETTERS);
  return { dropped: gaps.filter((gap) => gap > DROPPED_MS).length, longest: Math.max(...gaps) };
}

/** Opens a document of many edits, from the load of the page's script on. */
async function opening(browser, origin, system, url) {
  const context = await browser.newContext();
  const name = `o${Math.random().toString(36).slice(2, 8)}`;
  const page = await open(browser, origin, system, context);
  await page.evaluate(([url, name]) => bench.start(url, name), [url, name]);
  const id = await page.evaluate(() => bench.create());
  await page.evaluate((id) => bench.open(id), id);
  await page.evaluate((count) => bench.fill(count), FEW);
  await page.evaluate((count) => bench.many(count), EDITS);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  await page.close();
  const took = [];
  for (let k = 0; k < 3; k++) {
    const again = await open(browser, origin, system, context);
    const times = await again.evaluate(
      async ([url, name, id, last]) => {
        const start = performance.now();
        await bench.start(url, name);
        const begun = performance.now();
        await bench.open(id);
        bench.watch(0);
        while (bench.shown(last) === undefined) await new Promise((resolve) => setTimeout(resolve));
        return [begun - start, performance.now() - begun];
      },
      [url, name, id, `edit ${EDITS - 1}`],
    );
    took.push(times);
    await again.close();
  }
  await context.close();
  return {
    start: at(
      took.map(([start]) => start),
      0.5,
    ),
    open: at(
      took.map(([, open]) => open),
      0.5,
    ),
  };
}

async function measured(system, origin) {
  const url = await startServer(system);
  const browser = await startBrowser(bench, { args: ["--process-per-site=false", "--site-per-process"] });
  const rows = {};
  const row = (what, value) => {
    rows[what] = value;
    console.error(`${SYSTEMS[system]}: ${what}: ${value}`);
  };
  const share = (list) => `${ms(at(list, 0.5))} / ${ms(at(list, 0.95))}`;
  const end = ({ ada, bob }) => Promise.all([ada, bob].map((page) => page.context().close()));
  const few = await two(browser, origin, system, url, FEW);
  row(`remote edit on the page, ${FEW} items, p50 / p95 [ms]`, share((await edits(few, FEW)).remote));
  if (system !== "repo") {
    const { dropped, longest } = await typing(few);
    row("1,000 letters in CodeMirror: frames dropped, the longest [ms]", `${dropped}, ${ms(longest)}`);
  }
  await end(few);
  const many = await two(browser, origin, system, url, ITEMS);
  const { remote, own } = await edits(many, ITEMS);
  row(`remote edit on the page, ${ITEMS} items, p50 / p95 [ms]`, share(remote));
  row(`own edit on the page, ${ITEMS} items, p50 / p95 [ms]`, share(own));
  await end(many);
  row(`memory of a page with ${ITEMS} items [MB]`, ms(await memory(browser, origin, system, url, ITEMS)));
  const { start, open } = await opening(browser, origin, system, url);
  row(`${EDITS} edits: start of the client, opening [ms]`, `${ms(start)}, ${ms(open)}`);
  await browser.close();
  return rows;
}

try {
  const input = Object.fromEntries(Object.keys(SYSTEMS).map((name) => [name, join(HERE, `${name}.html`)]));
  const outDir = join(await scratch(bench), "dist");
  await build({
    root: HERE,
    configFile: false,
    logLevel: "error",
    resolve: { dedupe: ["@codemirror/state", "@codemirror/view"] },
    build: { target: "es2022", outDir, rollupOptions: { input } },
  });
  const origin = await serve(bench, {
    directories: { "/": outDir },
    pages: { "/empty.html": "<!doctype html><title>empty</title>" },
  });
  const results = {};
  for (const system of options.only.split(",")) results[system] = await measured(system, origin);
  const rows = [...new Set(Object.values(results).flatMap((rows) => Object.keys(rows)))];
  const names = Object.keys(results);
  console.log(`| | ${names.map((name) => SYSTEMS[name]).join(" | ")} |`);
  console.log(`|---|${names.map(() => "---|").join("")}`);
  for (const row of rows) console.log(`| ${row} | ${names.map((name) => results[name][row] ?? "–").join(" | ")} |`);
} finally {
  for (const undo of cleanUp.reverse()) await undo();
}
