/** The starts that the READMEs show, run as they stand there: in a plain page, and by Vite. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { build, createServer } from "vite";
import { ROOT, scratch, serve, startBrowser, startChat, startRelay, until } from "./harness.js";

const PACKAGES = join(ROOT, "wasm/packages");

/** A page's first block of code in a language, against this relay. */
async function start(name, language, relay) {
  const page = name.endsWith(".md") ? join(ROOT, name) : join(PACKAGES, name, "README.md");
  const readme = await readFile(page, "utf8");
  const code = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(readme)?.[1];
  assert.ok(code?.includes("wss://relay.example"));
  return code.replace("wss://relay.example", relay.url);
}

/** A project that has installed what npm would publish, and nothing of this repository. */
async function project(t) {
  const directory = await scratch(t);
  const modules = join(directory, "node_modules");
  await mkdir(join(modules, "@rejoinder"), { recursive: true });
  for (const name of ["client", "react"]) {
    const packed = await promisify(execFile)(
      "npm",
      ["pack", "--json", "--ignore-scripts", "--pack-destination", directory],
      {
        cwd: join(PACKAGES, name),
      },
    );
    const [{ filename }] = JSON.parse(packed.stdout);
    await promisify(execFile)("tar", ["-xzf", join(directory, filename), "-C", directory]);
    await cp(join(directory, "package"), join(modules, "@rejoinder", name), { recursive: true });
  }
  for (const name of ["react", "react-dom", "scheduler"]) {
    await symlink(join(ROOT, "node_modules", name), join(modules, name));
  }
  return directory;
}

/** A relay, with the person on the other side whom the starts speak to. */
async function startWorld(t) {
  const [relay, browser] = await Promise.all([startRelay(t), startBrowser(t)]);
  const bob = await startChat(t, relay.url);
  await bob.call("account.create", { address: "bob", name: "Bob" });
  await bob.call("sync.wait", { until: "stored" });
  return { relay, browser };
}

async function visit(browser, url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  await page.goto(url);
  return { page, said };
}

test("the client's start is ten lines, and runs in a plain page", async (t) => {
  const { relay, browser } = await startWorld(t);
  const code = await start("client", "js", relay);
  assert.ok(code.trim().split("\n").length <= 10);
  const origin = await serve(t, {
    directories: { "/rejoinder/": join(PACKAGES, "client/dist") },
    pages: {
      "/": `<!doctype html><title>start</title>
        <script type="importmap">{ "imports": { "@rejoinder/client": "/rejoinder/index.js" } }</script>
        <script type="module">${code}</script>`,
    },
  });
  const { said } = await visit(browser, `${origin}/`);
  await until("message", () => said.includes("hello"));
  assert.ok(
    said.some((text) => text.startsWith("write this down: ")),
    said.join("\n"),
  );
});

test("both starts run as Vite builds them", async (t) => {
  const [{ relay, browser }, directory] = await Promise.all([startWorld(t), project(t)]);
  await writeFile(join(directory, "client.js"), await start("client", "js", relay));
  // Both call themselves ada: each on a relay of its own.
  await writeFile(join(directory, "react.jsx"), await start("react", "jsx", await startRelay(t)));
  const page = (script) =>
    `<!doctype html><title>x</title><div id="app"></div><script type="module" src="./${script}"></script>`;
  await writeFile(join(directory, "client.html"), page("client.js"));
  await writeFile(join(directory, "react.html"), page("react.jsx"));
  await build({
    root: directory,
    configFile: false,
    logLevel: "error",
    worker: { format: "es" },
    build: {
      target: "es2022",
      rolldownOptions: { input: [join(directory, "client.html"), join(directory, "react.html")] },
    },
  });
  const origin = await serve(t, { directories: { "/": join(directory, "dist") } });
  const plain = await visit(browser, `${origin}/client.html`);
  await until("message", () => plain.said.includes("hello"));
  await clickThrough(await visit(browser, `${origin}/react.html`));
});

test("React's start runs on Vite's development server", async (t) => {
  const [{ relay, browser }, directory] = await Promise.all([startWorld(t), project(t)]);
  await writeFile(join(directory, "react.jsx"), await start("react", "jsx", relay));
  await writeFile(
    join(directory, "index.html"),
    `<!doctype html><title>x</title><div id="app"></div><script type="module" src="./react.jsx"></script>`,
  );
  const server = await createServer({
    root: directory,
    configFile: false,
    logLevel: "error",
    worker: { format: "es" },
    server: { host: "127.0.0.1", port: 0, fs: { strict: false } },
  });
  t.after(() => server.close());
  await server.listen();
  const { port } = server.httpServer.address();
  await clickThrough(await visit(browser, `http://127.0.0.1:${port}/`));
});

test("the whole app of the page: a list that two people share, live, offline and back", async (t) => {
  const [{ relay, browser }, directory] = await Promise.all([startWorld(t), project(t)]);
  await writeFile(join(directory, "app.tsx"), await start("docs/embedding.md", "tsx", relay));
  await writeFile(
    join(directory, "index.html"),
    `<!doctype html><title>x</title><script type="module" src="./app.tsx"></script>`,
  );
  await build({ root: directory, configFile: false, logLevel: "error", build: { target: "es2022" } });
  const origin = await serve(t, { directories: { "/": join(directory, "dist") } });
  const open = async (...answers) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.on("dialog", (dialog) => dialog.accept(dialog.type() === "prompt" ? answers.shift() : undefined));
    await page.goto(`${origin}/index.html`);
    return page;
  };
  const eve = await open("eve", "");
  await eve.getByText("No list yet.").waitFor();
  const ada = await open("ada", "eve");
  const add = async (page, text) => {
    await page.getByRole("textbox").fill(text);
    await page.keyboard.press("Enter");
    await page.getByLabel(text).waitFor();
  };
  await add(ada, "milk");
  await eve.getByLabel("milk").check();
  await until("tick at ada's", () => ada.getByLabel("milk").isChecked());
  // Without the relay both add something, and both have it when it is back.
  await relay.stop();
  await add(ada, "bread");
  await add(eve, "tea");
  await startRelay(t, { data: relay.data, port: Number(new URL(relay.url).port) });
  for (const page of [ada, eve]) await until("both", async () => (await page.getByRole("checkbox").count()) === 3);
  const [one, other] = await Promise.all(
    [ada, eve].map((page) => page.getByRole("checkbox").locator("..").allTextContents()),
  );
  assert.deepEqual(one, other);
});

async function clickThrough({ page, said }) {
  const button = page.getByRole("button");
  try {
    await until("page", async () => (await button.textContent({ timeout: 1_000 })) === "0 notes, online");
    await button.click();
    await until("note", async () => (await button.textContent()) === "1 notes, online");
  } catch (error) {
    throw new Error(said.join("\n"), { cause: error });
  }
}
