import assert from "node:assert/strict";
import test from "node:test";
import {
  acceptByText,
  begin,
  confirm,
  conversationOf,
  digits,
  newDevice,
  offer,
  openConversation,
  saw,
  say,
  signUp,
  start,
  startChat,
  until,
} from "./support.js";

const MANY = 10_000;
const CONVERSATIONS = 200;
/** A task of the page's thread may take so long. */
const TASK_MS = 50;

/** Records every task of the page's thread that takes longer than that. */
function watchTasks(page) {
  return page.evaluate(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) globalThis.longTasks.push(Math.round(entry.duration));
    }).observe({ type: "longtask" });
  });
}

/** A figure for the report, beside what it is to be. Machines differ: it fails no test. */
function report(t, what, ms, aim) {
  const beside = aim === undefined ? "" : ` (aim: ${aim} ms${ms <= aim ? "" : ", MISSED"})`;
  t.diagnostic(`${what}: ${Math.round(ms)} ms${beside}`);
}

/** A terminal's account with a conversation of so many messages. */
async function withHistory(t, world) {
  const chat = await startChat(t, world.relay.url);
  await chat.call("account.create", { address: "ada", name: "Ada" });
  const { conversation } = await chat.call("conversation.create", { title: "Long", members: [] });
  for (let from = 0; from < MANY; from += 500) {
    const some = Array.from({ length: 500 }, (_, n) =>
      chat.call("message.send", { conversation, text: `Line ${from + n}. ${"words ".repeat((from + n) % 17)}` }),
    );
    await Promise.all(some);
  }
  await chat.call("sync.wait", { until: "stored", timeout_ms: 120_000 });
  return { chat, conversation };
}

async function linked(t, world, chat) {
  const page = await newDevice(t, world);
  const qr = await offer(page, "Browser");
  await chat.call("device.accept", { qr, history: "all" });
  await chat.call("device.confirm", { code: await digits(page) });
  return page;
}

test("10,000 messages: the last page is there first, and all can be scrolled to", async (t) => {
  const world = await start(t);
  const { chat } = await withHistory(t, world);
  const began = performance.now();
  const page = await linked(t, world, chat);
  await page.getByRole("navigation").getByRole("link", { name: /Long/ }).waitFor();
  await page.getByRole("link", { name: /Line 9999/ }).waitFor();
  report(t, "newest of the history is here", performance.now() - began);
  await until(
    "all of the history",
    async () => {
      await page.getByTestId("sync").getByText("Up to date").waitFor();
      return (await page.getByText("Earlier messages are arriving").count()) === 0;
    },
    120_000,
  );
  report(t, "all of the history is here", performance.now() - began);

  // What is open for the first time on this page is loaded from the store, as after a start.
  await page.reload();
  await page.getByRole("link", { name: /Line 9999/ }).waitFor();
  await page.getByTestId("sync").getByText("Up to date").waitFor();
  await watchTasks(page);
  const opened = await page.evaluate(async () => {
    const began = performance.now();
    [...document.querySelectorAll("a.row")].find((row) => row.textContent.includes("Long")).click();
    while (!document.querySelector(".messages")?.textContent.includes("Line 9999")) {
      await new Promise(requestAnimationFrame);
    }
    return performance.now() - began;
  });
  report(t, "last page is open", opened, 150);

  const seen = await page.evaluate(async (many) => {
    const box = document.querySelector(".messages");
    const seen = new Set();
    const look = () => {
      for (const row of box.querySelectorAll(".words")) seen.add(Number(/Line (\d+)/.exec(row.textContent)?.[1]));
    };
    const isFilled = () => {
      const top = box.getBoundingClientRect().top;
      const rows = [...box.querySelectorAll(".place")].map((row) => row.getBoundingClientRect());
      return rows.some((row) => row.bottom > top) && rows.some((row) => row.top <= top + 12);
    };
    const ends = performance.now() + 120_000;
    while (box.scrollTop + box.clientHeight < box.scrollHeight - 1) await new Promise(requestAnimationFrame);
    while (performance.now() < ends && !seen.has(0)) {
      look();
      box.scrollTop -= box.clientHeight * 0.8;
      // Older ones may have to be loaded before there is anything to see.
      do await new Promise(requestAnimationFrame);
      while (performance.now() < ends && !isFilled());
    }
    look();
    const missing = Array.from({ length: many }, (_, n) => n).filter((n) => !seen.has(n));
    return { count: seen.size, missing: missing.slice(0, 10), missed: missing.length };
  }, MANY);
  const tasks = await page.evaluate(() => globalThis.longTasks);
  t.diagnostic(`messages that were in view: ${seen.count}`);
  report(t, `longest task of the page's thread, of ${tasks.length} long ones`, Math.max(0, ...tasks), TASK_MS);
  assert.equal(seen.missed, 0, `not in view: ${seen.missing}`);
});

test("200 conversations: usable after a cold and a warm start, and what is sent shows in the next frame", async (t) => {
  const world = await start(t);
  const page = await newDevice(t, world);
  await signUp(page, "Ada", "ada");
  const chat = await startChat(t, world.relay.url);
  const { qr } = await chat.call("device.offer", { name: "Terminal" });
  await acceptByText(page, qr);
  const { params } = await chat.notice(({ method }) => method === "link.code");
  await confirm(page, params.code);
  await chat.notice(({ method }) => method === "link.done");
  for (let n = 0; n < CONVERSATIONS - 1; n++) {
    const { conversation } = await chat.call("conversation.create", { title: `Topic ${n}`, members: [] });
    await chat.call("message.send", { conversation, text: `About topic ${n}` });
  }
  await chat.call("sync.wait", { until: "stored", timeout_ms: 120_000 });
  await begin(page, [], "Last");
  const link = `${world.origin}/#/c/${encodeURIComponent(conversationOf(page))}`;
  await say(page, "here");
  await until(
    "all conversations",
    async () => (await page.getByRole("navigation").locator("a.row").count()) === CONVERSATIONS,
    120_000,
  );
  await page.getByTestId("sync").getByText("Up to date").waitFor();
  await page.evaluate(() => navigator.serviceWorker.ready);

  const usable = async (what, aim) => {
    const began = performance.now();
    await page.goto(link);
    await page.getByLabel("Write a message").waitFor();
    await saw(page, "here");
    report(t, `${what} open to usable`, performance.now() - began, aim);
  };
  // Cold: nothing in the browser's caches, the code included.
  await page.evaluate(async () => {
    for (const registration of await navigator.serviceWorker.getRegistrations()) await registration.unregister();
    for (const name of await caches.keys()) await caches.delete(name);
  });
  const session = await page.context().newCDPSession(page);
  await session.send("Network.clearBrowserCache");
  await page.goto("about:blank");
  await usable("cold", 3000);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.goto("about:blank");
  await usable("warm", 1000);

  await openConversation(page, /Last/);
  const shown = await page.evaluate(async () => {
    const field = document.querySelector(".composer textarea");
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(field, "quick");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
    document.querySelector(".composer .send").click();
    await new Promise(requestAnimationFrame);
    return document.querySelector(".messages").textContent.includes("quick");
  });
  assert.ok(shown, "it did not show in the next frame");
});
