/**
 * The shapes of `docs/vectors/shapes.json`, which the Rust side writes: all that it sends is read here, and
 * nothing is read that it doesn't send.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { toEvent } from "../src/events.js";
import {
  comparison,
  conflicts,
  contact,
  conversation,
  device,
  documents,
  history,
  invite,
  message,
  newAccount,
  status,
} from "../src/shapes.js";
import { METHODS, type Fields, type Notice } from "../src/wire.js";

interface Vectors {
  readonly methods: { readonly [method: string]: readonly string[] };
  readonly answers: { readonly [name: string]: Fields };
  readonly notices: readonly Notice[];
}

const VECTORS = JSON.parse(
  readFileSync(new URL("../../../../../docs/vectors/shapes.json", import.meta.url), "utf8"),
) as Vectors;

/** What the package leaves to others, and why. */
const UNREAD = new Map([
  ["status.away", "the list of devices says when each was last seen"],
  ["comparison.matches", "the same as `result`, for programs that ask for no more"],
]);

/** Fields that were asked for, by path; a value that tells them. */
function watched(value: unknown, path: string, read: Set<string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  return new Proxy(value, {
    get: (target, key): unknown => {
      const inner: unknown = Reflect.get(target, key);
      if (typeof key === "symbol" || Array.isArray(target)) {
        return typeof key === "string" && /^\d+$/.test(key) ? watched(inner, path, read) : inner;
      }
      read.add(`${path}.${key}`);
      return watched(inner, `${path}.${key}`, read);
    },
    // Whoever lists an object's keys reads all of them.
    ownKeys: (target) => {
      for (const key of Object.keys(target)) read.add(`${path}.${key}`);
      return Reflect.ownKeys(target);
    },
  });
}

/** Fields that there are, by path. */
function fieldsOf(value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item) => fieldsOf(item, path));
  return Object.entries(value).flatMap(([key, inner]) => [`${path}.${key}`, ...fieldsOf(inner, `${path}.${key}`)]);
}

/** Of a document's own values, any may be there: they are looked at for what they are. */
function compare(name: string, value: unknown, reader: (value: unknown) => unknown): void {
  const read = new Set<string>();
  // What is made of it is looked at as a whole.
  JSON.stringify(reader(watched(value, name, read)));
  const there = new Set(fieldsOf(value, name));
  const unread = [...there].filter(
    (field) => !read.has(field) && ![...UNREAD.keys()].some((known) => field.startsWith(known)),
  );
  assert.deepEqual(unread, [], `${name}: sent, and not read`);
  assert.deepEqual(
    [...read].filter((field) => !there.has(field) && !field.endsWith(".toJSON") && !field.includes(".value.$")),
    [],
    `${name}: read, and not sent`,
  );
}

test("every field that the engine sends is read, and no other", () => {
  const storage = { kind: "memory", persisted: false, failed: false } as const;
  const readers: { readonly [name: string]: (value: unknown) => unknown } = {
    account: newAccount,
    comparison,
    contact,
    conversation,
    conflicts,
    device,
    documents,
    history,
    invite,
    message: (value) => message(value, null),
    status: (value) => status(value, storage),
  };
  for (const [name, reader] of Object.entries(readers)) {
    const value = VECTORS.answers[name];
    assert.ok(value !== undefined, name);
    // The reason for no connection is told beside the status, in the browser alone.
    compare(name, name === "status" ? { ...value, connection_problem: "none" } : value, reader);
  }
});

test("a value that the engine sends arrives as it was sent", () => {
  const sent = VECTORS.answers["message"] as Fields;
  const read = message(sent, String(sent["author"]));
  assert.equal(read.mine, true);
  assert.equal(read.rank, sent["rank"]);
  assert.notEqual(read.rank, read.id, "its clock runs ahead");
  assert.equal(read.status, "read");
  assert.deepEqual(read.reactions, sent["reactions"]);
  const info = conversation(VECTORS.answers["conversation"]);
  assert.deepEqual(info.unreadable, { changes: 1, firstMs: 2, lastMs: 3 });
  assert.equal(info.members[0]?.role, "admin");
});

test("every notice that concerns an app is an event, or is followed by a part of the client", () => {
  const followed = new Set(["status", "history", "presence", "link.account", "link.code", "link.done", "link.failed"]);
  for (const notice of VECTORS.notices) {
    if (followed.has(notice.method)) continue;
    const event = toEvent(notice, null);
    assert.ok(event !== undefined, notice.method);
    const blanks = Object.entries(event[1]).filter(([, value]) => value === "" || value === undefined);
    assert.deepEqual(blanks, [], `${event[0]}: a field that the notice doesn't have`);
  }
});

test("the methods that the engine takes are those that the tabs know how to treat", () => {
  const known = new Set<string>(Object.keys(METHODS));
  // Forgetting edits is for hosts that keep a journal of their own.
  const there = Object.keys(VECTORS.methods).filter((method) => method !== "edit.forget");
  assert.deepEqual(
    there.filter((method) => !known.has(method)),
    [],
    "taken, and not known",
  );
  assert.deepEqual(
    [...known].filter((method) => !there.includes(method)),
    [],
    "known, and not taken",
  );
});

test("each role that a member may have is read as it is, and one of a newer engine as the usual one", () => {
  const read = (role: string): string | undefined => conversation({ members: [{ role }] }).members[0]?.role;
  assert.deepEqual(["admin", "member", "commenter", "reader", "owner"].map(read), [
    "admin",
    "member",
    "commenter",
    "reader",
    "member",
  ]);
});
