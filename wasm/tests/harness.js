/**
 * What the browser tests share: a real relay, terminal clients, a server of static files, and
 * Chromium with a fresh profile for each device.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize, resolve } from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const HERE = dirname(fileURLToPath(import.meta.url));
/** The repository. */
export const ROOT = resolve(HERE, "../..");
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};
/** As root, headless, and with nobody to ask anything of. */
const FLAGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage".split(
    " ",
  );

/** A binary that cargo built: named by a variable, or in `target`. */
export function binary(name, variable) {
  const path = process.env[variable] ?? join(ROOT, "target/debug", name);
  if (!existsSync(path)) throw new Error(`${path} is missing: build it first (cargo build --workspace)`);
  return path;
}

/** A directory that is there until the test ends. */
export async function scratch(t) {
  const path = await mkdtemp(join(tmpdir(), "rejoinder-browser-"));
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

/** Runs a relay, on a port of its own choice unless `port` names one. */
export async function startRelay(t, { data, port = 0, args = [] } = {}) {
  const directory = data ?? (await scratch(t));
  const child = spawn(
    binary("sync-server", "SYNC_SERVER_BIN"),
    ["--listen", `127.0.0.1:${port}`, "--data", directory, "--log-format", "json", ...args],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const stop = () => stopped(child);
  t.after(stop);
  const url = await new Promise((resolve, reject) => {
    const onLine = (line) => {
      const address = /"addr":"([^"]+)"/.exec(line)?.[1];
      if (address !== undefined) resolve(`ws://${address}`);
    };
    readline.createInterface({ input: child.stdout }).on("line", onLine);
    readline.createInterface({ input: child.stderr }).on("line", onLine);
    child.on("exit", (code) => reject(new Error(`the relay ended with ${code}`)));
  });
  return { url, stop, data: directory };
}

/** Runs a terminal client in its machine mode. */
export async function startChat(t, relay, data) {
  const directory = data ?? (await scratch(t));
  const child = spawn(binary("chat", "CHAT_BIN"), ["--data", directory, "--relay", relay, "rpc"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  t.after(() => stopped(child));
  const waiting = new Map();
  const notices = [];
  const listeners = new Set();
  let last = 0;
  readline.createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line);
    if (message.id === undefined) {
      notices.push(message);
      for (const listener of [...listeners]) listener(message);
      return;
    }
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) resolve(message.result);
    else reject(Object.assign(new Error(message.error.message), message.error.data));
  });
  return {
    data: directory,
    call: (method, params = {}) =>
      new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: last, method, params })}\n`);
      }),
    /** The first notice, past or to come, that `wanted` accepts. */
    notice: (wanted) =>
      new Promise((resolve) => {
        const known = notices.find(wanted);
        if (known !== undefined) return resolve(known);
        const listener = (notice) => {
          if (!wanted(notice)) return;
          listeners.delete(listener);
          resolve(notice);
        };
        listeners.add(listener);
      }),
    stop: () => stopped(child),
  };
}

async function stopped(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}

/**
 * Serves directories by prefix, `{"/client/": "/path"}`, and pages by path, `{"/": "<!doctype..."}`.
 * Gives the origin.
 */
export async function serve(t, { directories = {}, pages = {} }) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const page = pages[path];
    const prefix = Object.keys(directories).find((prefix) => path.startsWith(prefix));
    try {
      const body = page ?? (await readFile(join(directories[prefix], path.slice(prefix.length))));
      const type = page === undefined ? TYPES[extname(path)] : TYPES[".html"];
      response.writeHead(200, { "content-type": type ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Starts Chromium. A new context of it is a new device. */
export async function startBrowser(t, { args = [] } = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...FLAGS, ...args],
    handleSIGINT: false,
  });
  t.after(() => browser.close());
  return browser;
}

/** How long anything is waited for: a machine that builds beside the tests is slow. */
export const PATIENCE_MS = 90_000;

/** Waits until `condition` gives something true, and gives that; fails with `what` after a while. */
export async function until(what, condition, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  let problem;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      problem = undefined;
    } catch (error) {
      problem = error;
    }
    if (Date.now() > end) throw new Error(`in ${patienceMs} ms there was no ${what}`, { cause: problem });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
