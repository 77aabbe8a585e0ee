/**
 * What each call of the client asks of the engine, held to `docs/rpc.json`. A call that is not listed here does
 * not compile.
 */
import "./browser.js";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { OpenRejoinder } from "../src/rejoinder.js";
import type {
  Account,
  Contacts,
  Conversation,
  Conversations,
  Devices,
  LinkOffer,
  LinkRequest,
  MessageList,
  Presence,
  Rejoinder,
  Settings,
  SharedDocument,
} from "../src/types.js";
import { METHODS, type Method, type Params } from "../src/wire.js";
import { Recorded, type Asked } from "./recorded.js";

interface Described {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly required: boolean }[];
}

const RPC = JSON.parse(readFileSync(new URL("../../../../../docs/rpc.json", import.meta.url), "utf8")) as {
  readonly methods: readonly Described[];
};

/** The calls of an interface. */
type Calls<T> = { [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]-?: T[K] };

/** One call, made as an app would. */
interface Case<T> {
  readonly make: (of: T) => unknown;
  /** What is asked before the call is over, with all parameters. */
  readonly asks: readonly Asked[];
  /** Which lists are asked for again, so that they show at once what was done. */
  readonly renews: readonly Method[];
}

/** Every call of an interface; of one that asks nothing, why. */
type Cases<T> = { readonly [K in keyof Calls<T>]: Case<T> | string };

function asks<T>(make: (of: T) => unknown, method: Method, params: Params, ...renews: readonly Method[]): Case<T> {
  return { make, asks: [[method, params]], renews };
}

const C = { conversation: "c" };
const LIST = "conversation.list";
const STATUS: Asked = ["account.status", {}];

const CONVERSATION: Cases<Conversation> = {
  messages: "a window asks once somebody follows it",
  send: asks((c) => c.send("hi", { replyTo: "m" }), "message.send", { ...C, text: "hi", reply_to: "m" }, LIST),
  edit: asks((c) => c.edit("m", "ho"), "message.edit", { ...C, message: "m", text: "ho" }),
  delete: asks((c) => c.delete("m"), "message.delete", { ...C, message: "m" }),
  react: asks((c) => c.react("m", null), "message.react", { ...C, message: "m", emoji: null }),
  markRead: asks((c) => c.markRead("m"), "conversation.read", { ...C, message: "m" }, LIST),
  sendTyping: asks((c) => c.sendTyping(), "conversation.typing", C),
  add: asks((c) => c.add("bob"), "conversation.add", { ...C, address: "bob", share_history: false }, LIST),
  remove: asks((c) => c.remove({ account: "a" }), "conversation.remove", { ...C, account: "a" }, LIST),
  setRole: asks(
    (c) => c.setRole({ address: "bob" }, "admin"),
    "conversation.role",
    { ...C, address: "bob", role: "admin" },
    LIST,
  ),
  setTitle: asks((c) => c.setTitle("Tea"), "conversation.title", { ...C, title: "Tea" }, LIST),
  accept: asks((c) => c.accept(), "conversation.accept", C, LIST),
  decline: asks((c) => c.decline({ block: true }), "conversation.decline", { ...C, block: true }, LIST),
  leave: asks((c) => c.leave(), "conversation.leave", C, LIST),
  setMuted: asks((c) => c.setMuted(true), "settings.set", { key: "conversation/c/muted", value: true }, LIST),
  setArchived: asks((c) => c.setArchived(true), "settings.set", { key: "conversation/c/archived", value: true }, LIST),
  setPinned: asks((c) => c.setPinned(false), "settings.set", { key: "conversation/c/pinned", value: null }, LIST),
  document: "a document asks once it is read or changed",
};

const MESSAGES: Cases<MessageList> = {
  subscribe: asks((list) => list.subscribe(() => undefined), "message.list", { ...C, limit: 10 }),
  ready: asks((list) => list.ready(), "message.list", { ...C, limit: 10 }),
  // The newest first, then those before them.
  loadOlder: asks((list) => list.loadOlder(), "message.list", { ...C, limit: 10 }, "message.list"),
  reset: asks(
    (list) => {
      list.subscribe(() => undefined);
      return list.reset();
    },
    "message.list",
    { ...C, limit: 10 },
  ),
  close: "it only stops",
  [Symbol.asyncIterator]: "as `subscribe`",
};

const D = { space: "c", name: "plan" };

const DOCUMENT: Cases<SharedDocument> = {
  at: "it follows `value`",
  get: asks((d) => d.get(["a"], { at: "h" }), "document.get", { ...D, path: ["a"], form: "typed", at: ["h"] }),
  change: asks((d) => d.change((edit) => edit.put(["a"], 1)), "document.change", {
    ...D,
    ops: [{ op: "put", path: ["a"], value: 1 }],
  }),
  export: asks((d) => d.export(), "document.export", D),
  import: asks((d) => d.import(Uint8Array.of(1, 2)), "document.import", { ...D, bytes: "AQI=" }),
  history: asks((d) => d.history({ limit: 3, before: "h" }), "document.history", { ...D, limit: 3, before: "h" }),
  conflicts: asks((d) => d.conflicts(["a"]), "document.conflicts", { ...D, path: ["a"] }),
  rename: asks((d) => d.rename("The plan"), "document.rename", { ...D, title: "The plan" }),
  archive: asks((d) => d.archive(false), "document.archive", { ...D, archived: false }),
  delete: asks((d) => d.delete(), "document.delete", D),
};

const PRESENCE: Cases<Presence> = {
  set: asks((p) => p.set({ at: 1 }), "document.presence", { ...D, state: { at: 1 } }),
};

const ACCOUNT: Cases<Account> = {
  create: {
    make: (a) => a.create({ address: "ada", name: "Ada" }),
    asks: [["account.create", { address: "ada", name: "Ada" }], STATUS],
    renews: [],
  },
  recover: {
    make: (a) => a.recover({ address: "ada", recoveryCode: "a b", deviceName: "phone" }),
    asks: [["account.recover", { address: "ada", recovery_code: "a b", name: "phone" }], STATUS],
    renews: [],
  },
  setName: { make: (a) => a.setName("Ada"), asks: [["account.set_name", { name: "Ada" }], STATUS], renews: [] },
  newRecoveryCode: asks((a) => a.newRecoveryCode(), "account.new_recovery_code", {}),
  invite: asks((a) => a.invite(), "account.invite", {}),
};

const DEVICES: Cases<Devices> = {
  offer: asks((d) => d.offer({ name: "phone", join: "any" }), "device.offer", { name: "phone", join: "any" }),
  accept: asks((d) => d.accept("QR", { history: true }), "device.accept", { qr: "QR", history: "all" }),
  revoke: asks((d) => d.revoke("d"), "device.revoke", { device: "d" }, "device.list"),
  makePrimary: asks((d) => d.makePrimary("d"), "device.primary", { device: "d" }, "device.list"),
};

const OFFER: Cases<LinkOffer> = {
  join: asks((offer) => offer.join("a"), "device.join", { account: "a" }),
  cancel: asks((offer) => offer.cancel(), "device.cancel", {}),
};

const REQUEST: Cases<LinkRequest> = {
  confirm: asks((request) => request.confirm("1"), "device.confirm", { code: "1" }, "device.list"),
  cancel: asks((request) => request.cancel(), "device.cancel", {}),
};

const CONTACTS: Cases<Contacts> = {
  lookup: asks((c) => c.lookup("bob"), "contact.lookup", { address: "bob" }),
  show: asks((c) => c.show({ account: "a" }), "contact.show", { account: "a" }),
  compare: asks((c) => c.compare("a", "QR"), "contact.compare", { account: "a", qr: "QR" }),
  verify: asks((c) => c.verify("a", "1"), "contact.verify", { account: "a", safety_number: "1" }),
  acceptAddress: asks((c) => c.acceptAddress("bob", "a"), "contact.accept_address", { address: "bob", account: "a" }),
  block: asks((c) => c.block({ address: "bob" }), "contact.block", { address: "bob", blocked: true }, LIST),
  unblock: asks((c) => c.unblock({ account: "a" }), "contact.block", { account: "a", blocked: false }, LIST),
};

const CONVERSATIONS: Cases<Conversations> = {
  create: asks(
    (c) => c.create({ title: "Tea", members: ["bob"] }),
    "conversation.create",
    { title: "Tea", members: ["bob"] },
    LIST,
  ),
  foreground: asks((c) => c.foreground("c"), "conversation.foreground", C),
};

const SETTINGS: Cases<Settings> = {
  get: asks((s) => s.get("k"), "settings.get", { key: "k" }),
  set: asks((s) => s.set("k", 1), "settings.set", { key: "k", value: 1 }, "settings.all"),
};

const CLIENT: Cases<Rejoinder> = {
  conversation: "a conversation asks nothing by itself",
  document: "a document asks once it is read or changed",
  on: "it waits for notices",
  events: "it waits for notices",
  goOffline: asks((client) => client.goOffline(), "network.offline", {}),
  goOnline: asks((client) => client.goOnline(), "network.online", {}),
  acceptRelay: asks((client) => client.acceptRelay("r"), "network.accept_relay", { relay: "r" }),
  wait: asks((client) => client.wait("stored", 5), "sync.wait", { until: "stored", timeout_ms: 5 }),
  persist: "it asks the browser",
  close: "it finishes what was asked",
};

/** What changes nothing, and may be asked again. */
const READS: ReadonlySet<Method> = new Set<Method>([
  "account.status",
  "device.list",
  "contact.lookup",
  "contact.show",
  "conversation.list",
  "message.list",
  "settings.get",
  "settings.all",
  "document.list",
  "document.get",
  "document.history",
  "document.conflicts",
  "document.export",
  "sync.wait",
  "sync.digest",
]);

/** What changes something and is not kept for a later start, with the reason. */
const FLEETING: { readonly [method in Method]?: string } = {
  "account.create": "nobody would see the recovery code",
  "account.recover": "nobody would see the recovery code",
  "account.new_recovery_code": "nobody would see it",
  "account.invite": "nobody would give it away",
  "device.offer": "it is shown on the screen that is gone",
  "device.join": "the offer is gone with its tab",
  "device.accept": "the code is typed on the screen that is gone",
  "device.confirm": "the code is typed on the screen that is gone",
  "device.cancel": "the link is gone with its tab",
  "device.revoke": "nobody ends a device by accident at the next start",
  "device.primary": "nobody passes that on by accident at the next start",
  "contact.compare": "the answer is looked at",
  "contact.verify": "the number may be another at the next start",
  "contact.accept_address": "the address may lead elsewhere at the next start",
  "conversation.typing": "nobody types any more",
  "conversation.foreground": "nothing is shown any more",
  "document.presence": "nobody is at it any more",
  "network.offline": "it lasts until the store is opened anew",
  "network.online": "it lasts until the store is opened anew",
  "network.accept_relay": "the problem is shown again",
};

/** Called by parts of the client and by no call of an app's. */
const BY_ITSELF: readonly Method[] = [LIST, "device.list", "settings.all", "document.list", "account.status"];
/** For programs that compare devices. */
const UNUSED: readonly Method[] = ["sync.digest"];

/** A client whose lists are followed, and what it has asked since. */
async function opened(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const engine = new Recorded();
  const client = new OpenRejoinder(engine.asConnection());
  const rest = async (): Promise<void> => {
    for (let round = 0; round < 5; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      now += 1_000;
      t.mock.timers.tick(1_000);
    }
  };
  for (const list of [client.conversations.list, client.devices.list, client.settings.all]) {
    list.subscribe(() => undefined);
  }
  await rest();
  engine.asked.length = 0;
  return { client, engine, rest };
}

const reached = new Set<Method>(BY_ITSELF);

function each<T>(of: string, cases: Cases<T>, part: (client: Rejoinder) => T | Promise<T>): void {
  for (const [name, made] of Object.entries<Case<T> | string>(cases)) {
    if (typeof made === "string") continue;
    for (const [method] of made.asks) reached.add(method);
    test(`${of}.${name} asks what it should`, async (t) => {
      const { client, engine, rest } = await opened(t);
      const whole = await part(client);
      engine.asked.length = 0;
      const begun = Promise.resolve(made.make(whole));
      await rest();
      await begun;
      assert.deepEqual(engine.asked.slice(0, made.asks.length), made.asks);
      const later = engine.asked.slice(made.asks.length).map(([method]) => method);
      assert.deepEqual([...new Set(later)], made.renews, "asked for again");
      await client.close();
    });
  }
}

const conversation = (client: Rejoinder): Conversation => client.conversation("c");
const document = (client: Rejoinder): SharedDocument => conversation(client).document("plan");

each("Rejoinder", CLIENT, (client) => client);
each("Account", ACCOUNT, (client) => client.account);
each("Devices", DEVICES, (client) => client.devices);
each("LinkOffer", OFFER, (client) => client.devices.offer());
each("LinkRequest", REQUEST, (client) => client.devices.accept("QR"));
each("Contacts", CONTACTS, (client) => client.contacts);
each("Conversations", CONVERSATIONS, (client) => client.conversations);
each("Conversation", CONVERSATION, conversation);
each("MessageList", MESSAGES, (client) => conversation(client).messages({ page: 9 }));
each("Settings", SETTINGS, (client) => client.settings);
each("SharedDocument", DOCUMENT, document);
each("Presence", PRESENCE, (client) => document(client).presence);

test("what is asked is a method of the description, with parameters that it takes", () => {
  const all = [CLIENT, ACCOUNT, DEVICES, OFFER, REQUEST, CONTACTS, CONVERSATIONS, CONVERSATION, MESSAGES, SETTINGS];
  const cases = [...all, DOCUMENT, PRESENCE].flatMap((table) => Object.values<Case<never> | string>(table));
  for (const [method, params] of cases.flatMap((made) => (typeof made === "string" ? [] : made.asks))) {
    const known = RPC.methods.find(({ name }) => name === method);
    assert.ok(known !== undefined, method);
    const names = new Set(known.params.map(({ name }) => name));
    assert.deepEqual(
      Object.keys(params).filter((name) => !names.has(name)),
      [],
      `${method}: not taken`,
    );
    const needed = known.params.filter(({ required }) => required).map(({ name }) => name);
    assert.deepEqual(
      needed.filter((name) => !(name in params)),
      [],
      `${method}: missing`,
    );
  }
});

test("some call of an app's leads to every method", () => {
  const lonely = Object.keys(METHODS).filter((method) => !reached.has(method as Method));
  assert.deepEqual(lonely, UNUSED);
});

test("what changes something is written down until it is made, unless there is a reason", () => {
  for (const [method, treatment] of Object.entries(METHODS) as [Method, string][]) {
    const isRead = READS.has(method);
    const why = FLEETING[method];
    assert.ok(!isRead || why === undefined, `${method} changes something, or it does not`);
    if (isRead) assert.equal(treatment, "read", method);
    else if (why === undefined) assert.equal(treatment, "journal", method);
    else assert.notEqual(treatment, "journal", `${method}: ${why}`);
  }
});

test("who closes is gone from each document that they were at, before the way to the engine ends", async (t) => {
  const { client, engine } = await opened(t);
  const places = [client.document("drafts"), client.conversation("c").document("plan")];
  for (const { presence } of places) presence.set({ row: 1 });
  client.document("only looked at").presence.peers.subscribe(() => undefined);
  engine.asked.length = 0;
  t.mock.method(engine, "close", async () => void engine.asked.push(["sync.wait", {}]));
  await client.close();
  const gone = (space: string, name: string): Asked => ["document.presence", { space, name, state: null }];
  assert.deepEqual(engine.asked, [gone("account", "drafts"), gone("c", "plan"), ["sync.wait", {}]]);
});
