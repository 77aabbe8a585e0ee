/** The page that the package's tests open: the package as a plain module, without any bundler. */
import { join } from "node:path";
import { PATIENCE_MS, ROOT, serve, startBrowser, startRelay } from "./harness.js";

const PAGE = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>@rejoinder/client</title><link rel="icon" href="data:,"></head>
  <body>
    <script type="module">
      import * as client from "/client/index.js";
      import * as typed from "/client/typed/index.js";
      Object.assign(globalThis, client, typed, { isLoaded: true });
    </script>
  </body>
</html>`;

/** A relay, a server of the package, and a browser. */
export async function start(t) {
  const [relay, origin, browser] = await Promise.all([
    startRelay(t),
    serve(t, {
      directories: { "/client/": join(ROOT, "wasm/packages/client/dist") },
      pages: { "/": PAGE },
    }),
    startBrowser(t),
  ]);
  return { relay, origin, browser };
}

/** A new device: a profile of its own, with no tabs. */
export async function newDevice({ browser, origin, relay }) {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  return {
    context,
    /** A further tab, with its client open as `client`. */
    tab: async (options = {}) => {
      const page = await context.newPage();
      page.on("pageerror", (error) => console.error("page:", error));
      page.on("console", (message) => {
        if (message.type() === "error") console.error("console:", message.text());
      });
      await open(page, origin, { relay: relay.url, ...options });
      return page;
    },
  };
}

/** Loads the page and opens the client. */
export async function open(page, origin, options) {
  await page.goto(`${origin}/`);
  await page.waitForFunction(() => globalThis.isLoaded);
  await page.evaluate(async (options) => {
    globalThis.client = await Rejoinder.open(options);
  }, options);
}

/** Founds an account. */
export function signUp(page, address) {
  return page.evaluate((address) => client.account.create({ address, name: address }), address);
}

/** What a conversation shows in a tab, texts only. */
export function textsIn(page, conversation) {
  return page.evaluate(async (id) => {
    const list = client.conversation(id).messages({ page: 1000 });
    const { messages } = await list.ready();
    list.close();
    return messages.map((message) => message.text);
  }, conversation);
}

/** Which of these tabs owns the store. */
export async function ownerOf(pages) {
  for (const page of pages) {
    const isOwner = await page.evaluate(async () => {
      // A lock of its own tells a page under which client id the browser knows it.
      const mark = crypto.randomUUID();
      return navigator.locks.request(mark, async () => {
        const { held } = await navigator.locks.query();
        const own = held.find((lock) => lock.name === mark).clientId;
        return held.some((lock) => lock.name === "rejoinder/rejoinder/owner" && lock.clientId === own);
      });
    });
    if (isOwner) return page;
  }
  return undefined;
}
