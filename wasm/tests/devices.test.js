/** A device's life through the package: linked both ways, ended, recovered; its worker and its sleep. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { newDevice, ownerOf, signUp, start, textsIn } from "./fixture.js";
import { startChat, until } from "./harness.js";

test("a browser is linked by a terminal, and reads what was written before", async (t) => {
  const world = await start(t);
  const chat = await startChat(t, world.relay.url);
  await chat.call("account.create", { address: "ada", name: "Ada" });
  const { conversation } = await chat.call("conversation.create", { title: "Notes" });
  const texts = Array.from({ length: 200 }, (_, n) => `from before ${n}`);
  await Promise.all(texts.map((text) => chat.call("message.send", { conversation, text })));
  await chat.call("sync.wait", { until: "stored" });
  const device = await newDevice(world);
  const [page, other] = [await device.tab(), await device.tab()];
  const qr = await page.evaluate(async () => {
    globalThis.offer = await client.devices.offer({ name: "Browser" });
    return offer.qr;
  });
  assert.equal((await chat.call("device.accept", { qr, history: "all" })).name, "Browser");
  const whose = await page.evaluate(() => offer.whose);
  assert.deepEqual([whose.address, whose.name], ["ada", "Ada"]);
  await page.evaluate((account) => offer.join(account), whose.account);
  const code = await page.evaluate(() => offer.code);
  assert.match(code.replace(/\D/g, ""), /^\d{7}$/);
  const { device: id } = await chat.call("device.confirm", { code });
  const linked = await page.evaluate(() => offer.done);
  assert.equal(linked.device, id);
  for (const tab of [page, other]) {
    // A window that is open while the past arrives gets to all of it.
    await tab.evaluate((id) => {
      globalThis.list = client.conversation(id).messages({ page: 30 });
      list.subscribe(() => undefined);
    }, conversation);
    const shown = () =>
      tab.evaluate(async () => {
        await list.loadOlder();
        return list.current?.messages.map((message) => message.text) ?? [];
      });
    await until("message from before", async () => (await shown()).length >= texts.length);
    assert.deepEqual(await shown(), texts);
    assert.equal(await tab.evaluate(() => client.status.current.role), "companion");
  }
});

test("a browser links a terminal, ends it, and it is told", async (t) => {
  const world = await start(t);
  const page = await (await newDevice(world)).tab();
  await signUp(page, "ada");
  const chat = await startChat(t, world.relay.url);
  const { qr } = await chat.call("device.offer", { name: "Terminal" });
  const name = await page.evaluate(async (qr) => {
    globalThis.request = await client.devices.accept(qr, { history: true });
    return request.deviceName;
  }, qr);
  assert.equal(name, "Terminal");
  const code = (await chat.notice(({ method }) => method === "link.code")).params.code;
  const id = await page.evaluate((code) => request.confirm(code), code);
  await chat.notice(({ method }) => method === "link.done");
  const names = () =>
    page.evaluate(async () => (await client.devices.list.ready()).map((device) => [device.name, device.revoked]));
  await until("both devices", async () => (await names()).some(([name]) => name === "Terminal"));
  await page.evaluate((id) => client.devices.revoke(id), id);
  await chat.notice(({ method, params }) => method === "device" && params.change === "revoked");
  await until("ended device", async () => (await names()).some(([name, revoked]) => name === "Terminal" && revoked));
});

test("a wrong code ends the link, and an offer can be taken back", async (t) => {
  const world = await start(t);
  const page = await (await newDevice(world)).tab();
  await signUp(page, "ada");
  const guest = await (await newDevice(world)).tab();
  const qr = await guest.evaluate(async () => {
    globalThis.offer = await client.devices.offer({ join: "any" });
    return offer.qr;
  });
  await page.evaluate(async (qr) => void (globalThis.request = await client.devices.accept(qr)), qr);
  const code = await guest.evaluate(() => offer.code);
  const wrong = code.replace(/\d/, (digit) => String((Number(digit) + 1) % 10));
  const kind = await page.evaluate(
    (code) =>
      request.confirm(code).then(
        () => "linked",
        ({ kind }) => kind,
      ),
    wrong,
  );
  assert.equal(kind, "denied");
  assert.equal(
    await guest.evaluate(() =>
      offer.done.then(
        () => "linked",
        () => "failed",
      ),
    ),
    "failed",
  );
  const taken = await guest.evaluate(async () => {
    const offer = await client.devices.offer();
    await offer.cancel();
    return offer.done.then(
      () => "linked",
      ({ kind }) => kind,
    );
  });
  assert.equal(taken, "interrupted");
});

test("all devices lost: the words bring the conversations back", async (t) => {
  const world = await start(t);
  const lost = await newDevice(world);
  const page = await lost.tab();
  const { recoveryCode } = await signUp(page, "ada");
  const conversation = await page.evaluate(async () => {
    const conversation = await client.conversations.create({ title: "Notes" });
    await conversation.send("kept");
    await client.wait("stored");
    return conversation.id;
  });
  await lost.context.close();
  const next = await (await newDevice(world)).tab();
  const recovered = await next.evaluate(
    (recoveryCode) => client.account.recover({ address: "ada", recoveryCode, deviceName: "New" }),
    recoveryCode,
  );
  assert.notEqual(recovered.recoveryCode, recoveryCode);
  await until("message", async () => (await textsIn(next, conversation)).includes("kept"));
});

for (const storage of ["opfs", "indexeddb", "memory"]) {
  test(`a store in ${storage} says where it is, and ${storage === "memory" ? "goes with" : "outlives"} its tab`, async (t) => {
    const world = await start(t);
    const device = await newDevice(world);
    const first = await device.tab({ storage });
    await signUp(first, "ada");
    const status = await first.evaluate(() => client.status.current.storage);
    assert.deepEqual([status.kind, status.failed], [storage, false]);
    await first.close();
    const second = await device.tab({ storage });
    const account = await second.evaluate(() => client.status.current.address);
    assert.equal(account, storage === "memory" ? null : "ada");
  });
}

test("a worker that comes to grief is replaced, and what was asked of it is done", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const [owner, other] = [await device.tab(), await device.tab()];
  await signUp(owner, "ada");
  const conversation = await owner.evaluate(async () => (await client.conversations.create({ title: "Notes" })).id);
  // What the engine throws when it traps.
  await owner.workers()[0].evaluate(() =>
    setTimeout(() => {
      throw new WebAssembly.RuntimeError("unreachable");
    }),
  );
  await Promise.all(
    [owner, other].map((page, n) =>
      page.evaluate(async ([id, n]) => void (await client.conversation(id).send(`tab ${n}`)), [conversation, n]),
    ),
  );
  assert.deepEqual((await textsIn(other, conversation)).sort(), ["tab 0", "tab 1"]);
  await until("second worker", () => owner.workers().length === 1);
});

test("a tab that is about to be put to sleep hands the store over, and is an ordinary tab when it wakes", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const [owner, other] = [await device.tab(), await device.tab()];
  await signUp(owner, "ada");
  const conversation = await owner.evaluate(async () => (await client.conversations.create({ title: "Notes" })).id);
  // What the browser tells a page before it sleeps; a headless one never lets a page sleep.
  await owner.evaluate(() => document.dispatchEvent(new Event("freeze")));
  await other.evaluate(async (id) => void (await client.conversation(id).send("while it slept")), conversation);
  await owner.evaluate(async (id) => void (await client.conversation(id).send("awake")), conversation);
  assert.deepEqual(await textsIn(owner, conversation), ["while it slept", "awake"]);
  assert.ok((await ownerOf([owner, other])) === other);
});
