import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { create } from "qrcode";
import {
  PHONE,
  acceptByText,
  agree,
  begin,
  confirm,
  conversationOf,
  digits,
  newDevice,
  offer,
  openConversation,
  openLinking,
  picture,
  saw,
  say,
  scratch,
  shows,
  signUp,
  start,
  startChat,
  texts,
  until,
  wordsOf,
} from "./support.js";

const FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/** A film of a QR code, as Chromium's fake camera plays it: YUV4MPEG2, so much as it needs. */
async function film(path, text) {
  const { modules } = create(text, { errorCorrectionLevel: "M" });
  const [width, height] = [640, 480];
  const scale = Math.floor(height / (modules.size + 8));
  const [left, top] = [width, height].map((side) => Math.floor((side - modules.size * scale) / 2));
  const luma = Buffer.alloc(width * height, 235);
  for (let y = 0; y < modules.size * scale; y++) {
    for (let x = 0; x < modules.size * scale; x++) {
      const isDark = modules.get(Math.floor(y / scale), Math.floor(x / scale));
      if (isDark) luma[(top + y) * width + left + x] = 16;
    }
  }
  const frame = [Buffer.from("FRAME\n"), luma, Buffer.alloc((width * height) / 2, 128)];
  const file = await open(path, "w");
  await file.write(`YUV4MPEG2 W${width} H${height} F10:1 Ip A0:0 C420jpeg\n`);
  for (let n = 0; n < 10; n++) await file.writev(frame);
  await file.close();
}

test("a browser is linked by its QR code, seen by a camera, and shows the history", async (t) => {
  const path = join(await scratch(t), "camera.y4m");
  await film(path, "nothing yet");
  const world = await start(t, { args: [...FAKE_CAMERA, `--use-file-for-fake-video-capture=${path}`] });
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await begin(ada, [], "Notes");
  for (const text of ["one", "two", "three"]) await say(ada, text);

  const phone = await newDevice(t, world, PHONE);
  await film(path, await offer(phone, "Ada's phone"));
  await openLinking(ada);
  await ada.getByRole("button", { name: "Scan it with the camera" }).click();
  await ada.getByRole("button", { name: "Continue" }).click();
  await ada.getByText("Ada's phone").waitFor();
  await confirm(ada, await digits(phone));
  await ada.getByRole("listitem").filter({ hasText: "Ada's phone" }).waitFor();

  await openConversation(phone, /Notes/);
  await saw(phone, "three");
  assert.deepEqual(await texts(phone), ["one", "two", "three"]);
  await say(phone, "four");
  await openConversation(ada, /Notes/);
  await saw(ada, "four");
});

test("browser and terminal link each other", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await begin(ada, [], "Notes");
  const conversation = conversationOf(ada);
  await say(ada, "from the browser");
  const terminal = await startChat(t, world.relay.url);
  const { qr } = await terminal.call("device.offer", { name: "Terminal" });
  await acceptByText(ada, qr);
  const notice = await terminal.notice(({ method }) => method === "link.code");
  await confirm(ada, notice.params.code);
  await terminal.notice(({ method }) => method === "link.done");
  await shows(terminal, conversation, ["from the browser"]);
  await terminal.call("message.send", { conversation, text: "from the terminal" });
  await openConversation(ada, /Notes/);
  await saw(ada, "from the terminal");

  const bob = await startChat(t, world.relay.url);
  await bob.call("account.create", { address: "bob", name: "Bob" });
  const own = await bob.call("conversation.create", { title: "Bob's notes", members: [] });
  await bob.call("message.send", { conversation: own.conversation, text: "written before" });
  await bob.call("sync.wait", { until: "stored" });
  const page = await newDevice(t, world);
  const shown = await offer(page, "Browser");
  await bob.call("device.accept", { qr: shown, history: "all" });
  await bob.call("device.confirm", { code: await digits(page) });
  await openConversation(page, /Bob's notes/);
  await saw(page, "written before");
});

test("a wrong code links nothing, and both may begin again", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  const phone = await newDevice(t, world);
  await acceptByText(ada, await offer(phone, "Phone"));
  const code = await digits(phone);
  await confirm(ada, code.startsWith("1") ? `2${code.slice(1)}` : `1${code.slice(1)}`);
  await ada.getByText("Nothing was linked").waitFor();
  await phone.getByText("Nothing was linked").waitFor();
  await ada.keyboard.press("Escape");
  await phone.getByRole("button", { name: "Show a new code" }).click();
  await acceptByText(ada, await phone.getByTestId("offer-text").textContent());
  await confirm(ada, await digits(phone));
  await phone.getByText("No conversations yet").waitFor();
});

test("a device that is removed says so at once, and erases what it had", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await begin(ada, [], "Notes");
  await say(ada, "secret");
  const phone = await newDevice(t, world, PHONE);
  await acceptByText(ada, await offer(phone, "Lost phone"));
  await confirm(ada, await digits(phone));
  await openConversation(phone, /Notes/);
  await saw(phone, "secret");
  const row = ada.getByRole("listitem").filter({ hasText: "Lost phone" });
  await row.getByRole("button", { name: "Remove" }).click();
  await agree(ada, "Remove");
  await phone.getByRole("heading", { name: "This device was removed" }).waitFor();
  await ada.getByRole("heading", { name: "Removed" }).waitFor();
  await phone.getByRole("button", { name: "Read what is left" }).click();
  await saw(phone, "secret");
  await phone.getByRole("button", { name: "Close" }).click();
  await phone.getByRole("button", { name: "Erase and begin anew" }).click();
  await agree(phone, "Erase and begin anew");
  await phone.getByRole("button", { name: /Create an account/ }).waitFor();
});

test("logging out empties the browser", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await ada.getByRole("link", { name: "Devices" }).click();
  const phone = await newDevice(t, world);
  await acceptByText(ada, await offer(phone, "Second"));
  await confirm(ada, await digits(phone));
  await phone.getByRole("link", { name: "Devices" }).click();
  await phone.getByRole("button", { name: "Log out" }).click();
  await agree(phone, "Log out");
  await phone.getByRole("button", { name: /Create an account/ }).waitFor();
  await phone.reload();
  await phone.getByRole("button", { name: /Create an account/ }).waitFor();
});

test("the recovery code brings everything back, and ends what was before", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await begin(ada, [], "Notes");
  await say(ada, "kept");
  await ada.getByRole("link", { name: "Devices" }).click();
  await ada.getByRole("button", { name: "New recovery code" }).click();
  await ada.getByRole("button", { name: "Show a new code" }).click();
  const code = (await wordsOf(ada)).join(" ");
  await ada.getByRole("button", { name: "I wrote them down" }).click();
  await ada.getByTestId("sync").getByText("Up to date").waitFor();

  const page = await newDevice(t, world);
  await page.getByRole("button", { name: /Recover your account/ }).click();
  await page.getByLabel("Your address").fill("ada");
  await page.getByLabel("Recovery code").fill(code.split(" ").reverse().join(" "));
  await page.getByRole("button", { name: "Recover account" }).click();
  await page.getByText(/not the newest recovery code/).waitFor();
  await page.getByLabel("Recovery code").fill(`  ${code.toUpperCase()} `);
  await page.getByRole("button", { name: "Recover account" }).click();
  const next = (await wordsOf(page)).join(" ");
  assert.notEqual(next, code);
  await page.getByLabel(/I wrote them down/).check();
  await page.getByRole("button", { name: "Continue" }).click();
  await openConversation(page, /Notes/);
  await saw(page, "kept");
  await ada.getByRole("heading", { name: "This device was removed" }).waitFor();
  await until("one device", async () => {
    await page.getByRole("link", { name: "Devices" }).click();
    return (await page.getByRole("button", { name: "Log out" }).count()) === 1;
  });
});

test("who was found by an address has a name once they accept, on devices that come later, too", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  const fay = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await signUp(fay, "Fay Moreau", "fay2");
  await begin(ada, ["fay2"]);
  await say(ada, "Is this you?");
  await ada.getByRole("heading", { name: "fay2" }).waitFor();

  await openConversation(fay, /Ada/);
  await fay.getByRole("button", { name: "Accept" }).click();
  await ada.getByRole("heading", { name: "Fay Moreau" }).waitFor();
  await say(fay, "It is");
  await saw(ada, "It is");

  const phone = await newDevice(t, world, PHONE);
  await acceptByText(ada, await offer(phone, "Ada's phone"));
  await confirm(ada, await digits(phone));
  await openConversation(phone, /Fay Moreau/);
  await saw(phone, "It is");
  await say(phone, "Now on the phone");
  await saw(fay, "Now on the phone");
  await picture(ada, "names-desktop");
  await picture(phone, "names-phone");
});
