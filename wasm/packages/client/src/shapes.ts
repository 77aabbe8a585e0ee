/** From what the host says to what an app sees. */
import { decode } from "./document/kinds.js";
import type {
  AccountId,
  Comparison,
  Contact,
  ConversationInfo,
  Device,
  DeviceId,
  DeviceRole,
  DocumentChange,
  DocumentConflict,
  DocumentList,
  Invite,
  Json,
  LastMessage,
  Member,
  Message,
  MessageStatus,
  NewAccount,
  Problem,
  Status,
  StorageStatus,
  Unreadable,
  Vouched,
} from "./types.js";
import type { Fields } from "./wire.js";

/** An object, or an empty one for what is none. */
export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** A list's elements; none for what is no list. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text; empty for what is none. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A text, if there is one. */
export function optionalText(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** A number; 0 for what is none. */
export function number(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function optionalNumber(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

/** The texts of a list. */
export function texts(value: unknown): readonly string[] {
  return list(value).filter((item) => typeof item === "string");
}

/** How things stand. */
export function status(value: unknown, storage: StorageStatus): Status {
  const from = fields(value);
  const account = optionalText(from["account"]);
  return {
    account,
    device: optionalText(from["device"]),
    address: optionalText(from["address"]),
    name: text(from["name"]),
    nameless: from["nameless"] === true,
    role: account === null ? null : role(from["role"]),
    connected: from["connected"] === true,
    upToDate: from["up_to_date"] === true,
    lastConfirmedMs: optionalNumber(from["last_confirmed_ms"]),
    waiting: number(from["waiting"]),
    spaces: number(from["spaces"]),
    withheld: number(from["withheld"]),
    unreadable: number(from["unreadable"]),
    putBackMs: optionalNumber(from["put_back_ms"]),
    problem: problem(from["problem"]),
    connectionProblem: optionalText(from["connection_problem"]),
    storage,
  };
}

function role(value: unknown): DeviceRole {
  return value === "primary" ? "primary" : "companion";
}

function problem(value: unknown): Problem | null {
  if (typeof value !== "object" || value === null) return null;
  const from = fields(value);
  return {
    kind: text(from["kind"]),
    message: text(from["message"]),
    space: optionalText(from["space"]),
    relay: optionalText(from["relay"]),
  };
}

/** An account that begins on this device. */
export function newAccount(value: unknown): NewAccount {
  const from = fields(value);
  return {
    account: text(from["account"]),
    device: text(from["device"]),
    recoveryCode: text(from["recovery_code"]),
  };
}

/** What lets one new account in. */
export function invite(value: unknown): Invite {
  const from = fields(value);
  return { code: text(from["code"]), untilMs: number(from["until_ms"]) };
}

const DORMANCIES = ["asleep", "dormant"] as const;

/** A device of the own account. */
export function device(value: unknown): Device {
  const from = fields(value);
  return {
    id: text(from["device"]),
    name: text(from["name"]),
    role: role(from["role"]),
    current: from["current"] === true,
    linkedMs: optionalNumber(from["linked_ms"]),
    lastSeenMs: optionalNumber(from["last_seen_ms"]),
    dormancy: DORMANCIES.find((known) => known === from["dormancy"]) ?? null,
    revoked: from["revoked"] === true,
  };
}

const COMPARED = ["never", "same", "changed"] as const;

/** How two safety numbers compare: what is not known to be the same is not. */
export function comparison(value: unknown): Comparison {
  const result = fields(value)["result"];
  return result === "same" || result === "behind" ? result : "differs";
}

/** A person, as an address leads to them. */
export function contact(value: unknown): Contact {
  const from = fields(value);
  return {
    account: text(from["account"]),
    address: optionalText(from["address"]),
    name: text(from["name"]),
    safetyNumber: text(from["safety_number"]),
    qr: text(from["qr"]),
    compared: COMPARED.find((known) => known === from["compared"]) ?? "never",
  };
}

/** A conversation in the list. */
export function conversation(value: unknown): ConversationInfo {
  const from = fields(value);
  return {
    id: text(from["conversation"]),
    title: text(from["title"]),
    members: list(from["members"]).map(member),
    adding: texts(from["adding"]),
    unread: number(from["unread"]),
    last: last(from["last"]),
    muted: from["muted"] === true,
    archived: from["archived"] === true,
    pinned: from["pinned"] === true,
    pending: from["pending"] === true,
    active: from["active"] === true,
    unreadable: unreadable(from["unreadable"]),
    waiting: number(from["waiting"]),
    vouched: vouched(from["vouched"]),
    withheld: from["withheld"] === true,
  };
}

function vouched(value: unknown): Vouched | null {
  if (typeof value !== "object" || value === null) return null;
  const from = fields(value);
  return { account: text(from["account"]), device: text(from["device"]), atMs: number(from["at_ms"]) };
}

function unreadable(value: unknown): Unreadable | null {
  if (typeof value !== "object" || value === null) return null;
  const from = fields(value);
  return {
    changes: number(from["changes"]),
    firstMs: optionalNumber(from["first_ms"]),
    lastMs: optionalNumber(from["last_ms"]),
  };
}

const ROLES = ["admin", "member", "commenter", "reader"] as const;

function member(value: unknown): Member {
  const from = fields(value);
  return {
    account: text(from["account"]),
    address: optionalText(from["address"]),
    name: text(from["name"]),
    role: ROLES.find((known) => known === from["role"]) ?? "member",
  };
}

function last(value: unknown): LastMessage | null {
  if (typeof value !== "object" || value === null) return null;
  const from = fields(value);
  return {
    id: text(from["message"]),
    author: text(from["author"]),
    text: text(from["text"]),
    atMs: number(from["at_ms"]),
  };
}

/** One message, as `me` sees it. */
export function message(value: unknown, me: string | null): Message & { readonly id: string } {
  const from = fields(value);
  const id = text(from["message"]);
  const author = text(from["author"]);
  return {
    id,
    key: id,
    author,
    authorAddress: optionalText(from["author_address"]),
    authorName: optionalText(from["author_name"]),
    mine: author === me,
    device: optionalText(from["device"]),
    text: text(from["text"]),
    atMs: number(from["at_ms"]),
    rank: text(from["rank"]),
    replyTo: optionalText(from["reply_to"]),
    edited: from["edited"] === true,
    deleted: from["deleted"] === true,
    reactions: fields(from["reactions"]) as Readonly<Record<string, string>>,
    status: progress(from["status"]),
    delivered: texts(from["delivered"]),
    read: texts(from["read"]),
    needsUpdate: from["needs_update"] === true,
  };
}

/** The documents of a space. */
export function documents(value: unknown): DocumentList {
  const from = fields(value);
  const named = list(from["documents"]).map((item) => {
    const { name, title, archived } = fields(item);
    return { name: text(name), title: optionalText(title), archived: archived === true };
  });
  return { documents: named, isWaiting: from["waiting"] === true };
}

/** Who changed a document, and when. */
export function history(value: unknown): readonly DocumentChange[] {
  return list(fields(value)["changes"]).map((item): DocumentChange => {
    const from = fields(item);
    const atMs = optionalNumber(from["at_ms"]);
    return { id: text(from["change"]), ...author(from), atMs, stored: from["stored"] === true };
  });
}

/** What was put at one place of a document. */
export function conflicts(value: unknown): readonly DocumentConflict[] {
  return list(fields(value)["values"]).map((item): DocumentConflict => {
    const from = fields(item);
    return { value: decode(from["value"] as Json), ...author(from) };
  });
}

function author(from: Fields): { account: AccountId | null; device: DeviceId | null } {
  return { account: optionalText(from["account"]), device: optionalText(from["device"]) };
}

function progress(value: unknown): MessageStatus {
  return value === "stored" || value === "delivered" || value === "read" ? value : "local";
}

/** Whether two JSON-like values are the same in content. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  const [left, right] = [a as Fields, b as Fields];
  return keys.every((key) => Object.hasOwn(right, key) && same(left[key], right[key]));
}

/**
 * The new list, with the old elements where they are the same in content, and the old list itself
 * if all are: what did not change keeps its reference.
 */
export function reuse<T>(old: readonly T[] | undefined, now: readonly T[], id: (item: T) => unknown): readonly T[] {
  if (old === undefined) return now;
  const before = new Map(old.map((item) => [id(item), item]));
  const kept = now.map((item) => {
    const known = before.get(id(item));
    return known !== undefined && same(known, item) ? known : item;
  });
  const isSame = kept.length === old.length && kept.every((item, n) => item === old[n]);
  return isSame ? old : kept;
}
