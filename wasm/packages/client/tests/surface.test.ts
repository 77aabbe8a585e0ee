/** What an app sees: the shapes of `types.ts`, what stands behind them, and what the package gives away. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { ConversationHandle } from "../src/conversation.js";
import type { DeviceFamily } from "../src/devices.js";
import type { DocumentHandle } from "../src/document/handle.js";
import type { DocumentPresence } from "../src/document/presence.js";
import type { Cell } from "../src/live.js";
import type { MessageWindow } from "../src/messages.js";
import type { OpenRejoinder } from "../src/rejoinder.js";
import type {
  Conversation,
  Devices,
  MessageList,
  Presence,
  Rejoinder,
  RejoinderError as ErrorShape,
  SharedDocument,
} from "../src/types.js";
import type { RejoinderError } from "../src/error.js";

/** What of a class an app does not see. */
type Unseen<Class, Shape> = Exclude<keyof Class, keyof Shape>;
type Calls<Shape> = Exclude<keyof Shape, typeof Symbol.asyncIterator>;
/** `true` where two types are the same to whoever uses either. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
/** `true` where a class has the shape, and nothing public beside it but these. */
type Behind<Class extends Shape, Shape, Own extends PropertyKey = never> = Same<
  Unseen<Class, Shape>,
  Exclude<Own, keyof Shape>
>;
/** `true` where each call takes and gives the same on both sides. */
type Alike<Class extends Shape, Shape> = Same<
  Given<Pick<Class, Calls<Shape>>> & Pick<Class, Calls<Shape>>,
  Given<Pick<Shape, Calls<Shape>>> & Pick<Shape, Calls<Shape>>
>;
/** What each call takes: a call that takes less would pass for one that takes more. */
type Given<Of> = {
  readonly [K in keyof Of as `${K & string} takes`]: Of[K] extends (...args: infer A) => unknown ? A : Of[K];
};

/** Whoever adds a call to a class adds it to its interface, or names it here. This holds when it compiles. */
const BEHIND: readonly [
  Behind<ConversationHandle, Conversation, "hear" | "renew" | "leaveDocuments" | "close">,
  Behind<DeviceFamily, Devices, "close">,
  Behind<DocumentHandle, SharedDocument, "apply" | "leave" | "close">,
  Behind<DocumentPresence, Presence, "leave" | "close">,
  Behind<MessageWindow, MessageList, "hear" | "renew" | "sending" | "sent" | keyof Cell<unknown>>,
  Behind<OpenRejoinder, Rejoinder, "opened">,
  Behind<RejoinderError, ErrorShape>,
] = [true, true, true, true, true, true, true];

/** The same of what each call takes and gives. */
const ALIKE: readonly [
  Alike<ConversationHandle, Conversation>,
  Alike<DeviceFamily, Devices>,
  Alike<DocumentHandle, SharedDocument>,
  Alike<DocumentPresence, Presence>,
  Alike<MessageWindow, MessageList>,
  Alike<RejoinderError, ErrorShape>,
] = [true, true, true, true, true, true];

test("what stands behind an interface has no call that the interface lacks", () => {
  assert.ok([...BEHIND, ...ALIKE].every((holds) => holds));
});

const SOURCES = new URL("../../src/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, SOURCES), "utf8");

/** The names that a file exports by lists. */
function listed(source: string): string[] {
  const lists = [...source.matchAll(/export (?:type )?\{([^}]*)\}/g)].map(([, names = ""]) => names);
  return lists.flatMap((names) => names.split(",").map((name) => name.trim())).filter((name) => name !== "");
}

test("every type that an app may meet is exported by the package", () => {
  const types = read("types.ts");
  const declared = [...types.matchAll(/^export (?:interface|type|class) (\w+)/gm)].map(([, name = ""]) => name);
  assert.ok(declared.includes("Conversation"), "they are found");
  const given = new Set(listed(read("index.ts")));
  assert.deepEqual(
    [...declared, ...listed(types)].filter((name) => !given.has(name)),
    [],
  );
});
