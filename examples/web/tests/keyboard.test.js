import assert from "node:assert/strict";
import test from "node:test";
import { newDevice, saw, signUp, start } from "./support.js";

/** Presses Tab until something with this name has the focus. */
async function tabTo(page, name) {
  for (let n = 0; n < 60; n++) {
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === document.body) return "";
      const label = element?.id && document.querySelector(`label[for="${CSS.escape(element.id)}"]`)?.textContent;
      return (
        element?.getAttribute("aria-label") ||
        label ||
        element?.closest("label")?.textContent ||
        element?.textContent ||
        ""
      );
    });
    if (name.test(at.trim())) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab never leads to ${name}`);
}

async function press(page, name) {
  await tabTo(page, name);
  await page.keyboard.press("Enter");
}

/** Opens the menu of the message that has the focus: it comes once the message is in the store. */
async function openMenu(page) {
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Actions for this message" }).waitFor();
}

/** From the line where one writes to the message above it, and so many more. */
async function up(page, times = 1) {
  for (let n = 0; n < times; n++) {
    const before = await page.evaluate(() => document.activeElement.dataset.key ?? null);
    await page.keyboard.press("ArrowUp");
    await page.waitForFunction((before) => (document.activeElement.dataset.key ?? null) !== before, before);
  }
}

test("the keyboard alone signs up, writes, reacts, replies, edits, deletes, sets and goes back", async (t) => {
  const world = await start(t);
  const page = await newDevice(t, world);
  await press(page, /^Create an account/);
  await page.getByLabel("Your name").waitFor();
  await page.keyboard.type("Ada");
  await tabTo(page, /^Your address/);
  await page.keyboard.type("ada");
  await page.keyboard.press("Enter");
  await page.getByLabel(/I wrote them down/).waitFor();
  await tabTo(page, /^I wrote them down/);
  await page.keyboard.press("Space");
  await press(page, /^Continue/);

  await press(page, /^New conversation/);
  await tabTo(page, /^Title/);
  await page.keyboard.type("Notes");
  await page.keyboard.press("Enter");
  const line = page.getByLabel("Write a message");
  await line.waitFor();
  await page.keyboard.type("first");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("line two");
  await page.keyboard.press("Enter");
  await saw(page, "first\nline two");
  await page.keyboard.type("second");
  await page.keyboard.press("Enter");
  await saw(page, "second");

  await up(page, 2);
  assert.match(await page.evaluate(() => document.activeElement.textContent), /first/);
  await openMenu(page);
  await press(page, /React with 👍/);
  await page.getByRole("button", { name: /👍 from Ada/ }).waitFor();
  await page.keyboard.press("r");
  await page.keyboard.type("an answer");
  await page.keyboard.press("Enter");
  await saw(page, "an answer");

  await up(page);
  await openMenu(page);
  await press(page, /^Edit/);
  await page.keyboard.press("Control+A");
  await page.keyboard.type("a better answer");
  await page.keyboard.press("Enter");
  await saw(page, "a better answer");

  await up(page);
  await openMenu(page);
  await press(page, /^Delete for everyone/);
  await press(page, /^Delete$/);
  await saw(page, "This message was deleted");

  await press(page, /^About this conversation/);
  await tabTo(page, /^Pinned/);
  await page.keyboard.press("Space");
  await page.getByRole("link", { name: /Notes/ }).getByLabel("Pinned").waitFor();
  await page.keyboard.press("Escape");
  await line.waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("Choose a conversation").waitFor();

  await press(page, /^Settings/);
  await tabTo(page, /^As the system has it/);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});

test("a theme that was chosen is there before the first picture", async (t) => {
  const world = await start(t);
  const page = await newDevice(t, world, { colorScheme: "light" });
  await signUp(page, "Ada", "ada");
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Dark").check();
  await page.reload({ waitUntil: "commit" });
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.notEqual(ground, "rgb(244, 243, 240)");
});
