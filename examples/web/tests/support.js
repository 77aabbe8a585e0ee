/**
 * What the app's tests share: a relay that serves the built app, browsers as people use them, and
 * the steps that people take.
 */
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { startBrowser, startRelay, scratch, until, ROOT } from "../../../wasm/tests/harness.js";

export { scratch, startBrowser, startChat, until } from "../../../wasm/tests/harness.js";

const DIST = join(ROOT, "examples/web/dist");
/** Where pictures of screens are put, to be looked at. */
export const PICTURES = join(ROOT, "target/screens");

export const DESKTOP = { viewport: { width: 1180, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** A port that nobody listens on, so that a relay can come back on it. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** A relay with the web app, that can go away and come back, and a browser. */
export async function start(t, { args = [] } = {}) {
  if (!existsSync(join(DIST, "index.html"))) throw new Error("build the app first: cargo xtask web");
  const [data, port, browser] = await Promise.all([scratch(t), freePort(), startBrowser(t, { args })]);
  const run = () => startRelay(t, { data, port, args: ["--web", DIST] });
  const world = { browser, relay: await run(), origin: `http://127.0.0.1:${port}` };
  world.relayLeaves = () => world.relay.stop();
  world.relayReturns = async () => {
    world.relay = await run();
  };
  return world;
}

/** A page that must say nothing wrong: every error in it fails the test. */
export async function newDevice(t, world, options = DESKTOP) {
  const context = await world.browser.newContext(options);
  // What is waited for comes in a moment; on a busy machine, in a longer one.
  context.setDefaultTimeout(90_000);
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // A relay that is away on purpose is said to be, by the browser itself.
    const isConnection = /ERR_CONNECTION|WebSocket connection|net::ERR|Failed to fetch/.test(message.text());
    if (message.type() === "error" && !isConnection) errors.push(message.text());
  });
  t.after(() => {
    if (errors.length > 0) throw new Error(`the page complained: ${errors.join("\n")}`);
  });
  await page.goto(world.origin);
  await page.getByRole("button", { name: /Create an account/ }).waitFor();
  return page;
}

/** Founds an account by the app's own screens. Gives the recovery code. */
export async function signUp(page, name, address) {
  await page.getByRole("button", { name: /Create an account/ }).click();
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Your address").fill(address);
  await page.getByRole("button", { name: "Create account" }).click();
  const words = await page.locator("ol.words li").allTextContents();
  const code = words.length > 0 ? words : await wordsOf(page);
  await page.getByLabel(/I wrote them down/).check();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByTestId("sync").getByText("Up to date").waitFor();
  return code.join(" ");
}

/** The words of the recovery code that is shown. */
export async function wordsOf(page) {
  await page.locator("ol.words li").first().waitFor();
  return page.locator("ol.words li").allTextContents();
}

/** Begins a conversation with those at these addresses. */
export async function begin(page, addresses, title = "") {
  await page.getByRole("link", { name: "New conversation" }).click();
  for (const address of addresses) {
    await page.getByLabel("With whom").fill(address);
    await page.getByLabel("With whom").press("Enter");
  }
  await page.getByLabel("Title").fill(title);
  await page.getByRole("button", { name: "Begin conversation" }).click();
  await page.getByLabel("Write a message").waitFor();
}

/** Opens a conversation from the list. */
export async function openConversation(page, name) {
  await page.getByRole("navigation").getByRole("link", { name }).click();
  await page.getByRole("feed").waitFor();
}

/** Writes a message, and waits until it shows. */
export async function say(page, text) {
  await page.getByLabel("Write a message").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
  await saw(page, text);
}

/** A text from its beginning to its end, white space as it is. */
function exactly(text) {
  return new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`, "u");
}

/** The bubble of a message: its own words count, not those it answers. */
export function bubble(page, text) {
  return page.getByRole("feed").locator(".message", { has: page.locator("p.words", { hasText: exactly(text) }) });
}

/** Waits until a message shows. */
export async function saw(page, text) {
  await bubble(page, text).first().waitFor();
}

/** Chooses something to do with a message. */
export async function act(page, text, action) {
  await bubble(page, text).getByLabel("Actions for this message").waitFor();
  await bubble(page, text).click({ button: "right" });
  await page.getByRole("dialog", { name: "Actions" }).getByRole("button", { name: action }).click();
}

/** All texts that a conversation shows, in order. */
export function texts(page) {
  return page.getByRole("feed").locator(".words").allTextContents();
}

/** On a new device: asks to be linked, and gives what is to be scanned. */
export async function offer(page, name) {
  await page.getByRole("button", { name: /Link this device/ }).click();
  await page.getByLabel("What to call this device").fill(name);
  await page.getByRole("button", { name: "Show the code" }).click();
  return page.getByTestId("offer-text").textContent();
}

/** On a new device: the digits that it shows. */
export async function digits(page) {
  await page.getByRole("button", { name: "Yes, it is mine" }).click();
  const text = await page.getByTestId("digits").textContent();
  return text.replaceAll(/\D/g, "");
}

/** On the first device: takes what a new one shows, as text. */
export async function acceptByText(page, qr) {
  await openLinking(page);
  await page.getByLabel("Or paste the text").fill(qr);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

/** Opens the window in which a device is linked. */
export async function openLinking(page) {
  await page.getByRole("link", { name: "Devices" }).click();
  await page.getByRole("button", { name: "Link a device" }).click();
}

/** Types the digits that the new device shows. */
export async function confirm(page, code) {
  await page.getByLabel("The seven digits").fill(code);
  await page.getByRole("button", { name: "Link it" }).click();
}

/** Answers the question that is asked. */
export async function agree(page, answer) {
  await page.getByRole("dialog").getByRole("button", { name: answer }).click();
}

/** Takes a picture of a screen, for people to look at. */
export async function picture(page, name) {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

/** The conversation's id, from the address. */
export function conversationOf(page) {
  return decodeURIComponent(new URL(page.url()).hash.split("/")[2]);
}

/** Waits until a terminal client shows these texts. */
export function shows(chat, conversation, wanted) {
  return until(`${wanted} in the terminal`, async () => {
    const messages = await chat.call("message.list", { conversation, limit: 1000 });
    return JSON.stringify(messages.map((message) => message.text)) === JSON.stringify(wanted);
  });
}
