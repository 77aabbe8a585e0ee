/** What the app says: names, times, and failures in words for people. */
import type {
  ConversationInfo,
  AccountId,
  Device,
  Member,
  Problem,
  RejoinderError,
  Unreadable,
} from "@rejoinder/client";

const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const LONG_DATE = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const FULL_DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const LIST = new Intl.ListFormat(undefined, { type: "conjunction" });

const DAY_MS = 24 * 60 * 60 * 1000;

/** 14:05 */
export function time(ms: number): string {
  return TIME.format(ms);
}

/** Date and time. */
export function dateTime(ms: number): string {
  return FULL.format(ms);
}

/** Whether two instants are on one day here. */
export function isSameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

/** As short as can be, for lists: time, weekday, or date. */
export function shortTime(ms: number, now: number): string {
  if (isSameDay(ms, now)) return TIME.format(ms);
  return now - ms < 6 * DAY_MS ? WEEKDAY.format(ms) : DATE.format(ms);
}

/** Today, Yesterday, or the date. */
export function day(ms: number, now: number): string {
  if (isSameDay(ms, now)) return "Today";
  if (isSameDay(ms, now - DAY_MS)) return "Yesterday";
  return now - ms < 180 * DAY_MS ? LONG_DATE.format(ms) : FULL_DATE.format(ms);
}

/** "just now", "5 minutes ago", or date and time. */
export function ago(ms: number, now: number): string {
  const minutes = Math.floor((now - ms) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return minutes === 1 ? "a minute ago" : `${minutes} minutes ago`;
  return isSameDay(ms, now) ? `today at ${TIME.format(ms)}` : FULL.format(ms);
}

/** "Ada, Bob, and Cleo" */
export function listed(names: readonly string[]): string {
  return LIST.format(names);
}

/** "1 message", "2 messages" */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}

/** A member's name, or what else is known. */
export function nameOf(member: Pick<Member, "name" | "address"> | undefined): string {
  return member?.name.trim() || member?.address || "Somebody";
}

/**
 * A name within a sentence of ours: between quotation marks that it can't close, and apart from the
 * reading direction of what stands around it.
 */
export function quoted(name: string): string {
  return `“\u2068${name.replace(/["“”„‟«»〝〞＂]/gu, "'")}\u2069”`;
}

/** What to call a conversation: its title, or who is in it. */
export function titleOf(info: ConversationInfo, me: AccountId | null): string {
  const title = info.title.trim();
  if (title) return title;
  const others = info.members.filter((member) => member.account !== me).map(nameOf);
  const all = [...others, ...info.adding];
  return all.length > 0 ? listed(all) : "Only you";
}

/** "12 changes from 3 May 2026 to 5 May 2026 can’t be read on your devices." */
export function unreadableLine({ changes, firstMs, lastMs }: Unreadable): string {
  if (firstMs === null || lastMs === null) {
    return "What was written before this device came can’t be read on your devices.";
  }
  const [first, last] = [FULL_DATE.format(firstMs), FULL_DATE.format(lastMs)];
  const span = first === last ? `from ${first}` : `from ${first} to ${last}`;
  return `${count(changes, "message or other change", "messages and other changes")} ${span} can’t be read on your devices.`;
}

/** What to call a device. */
export function deviceName(device: Device): string {
  return device.name.trim() || `Device ${device.id.slice(0, 8)}`;
}

/** A good first guess at this device's name. */
export function thisDeviceName(): string {
  const agent = navigator.userAgent;
  const browser = [
    ["Edg/", "Edge"],
    ["OPR/", "Opera"],
    ["Firefox/", "Firefox"],
    ["Chrome/", "Chrome"],
    ["Safari/", "Safari"],
  ].find(([mark]) => agent.includes(mark ?? ""))?.[1];
  const system = [
    ["Android", "Android"],
    ["iPhone", "iPhone"],
    ["iPad", "iPad"],
    ["Mac OS", "Mac"],
    ["Windows", "Windows"],
    ["Linux", "Linux"],
  ].find(([mark]) => agent.includes(mark ?? ""))?.[1];
  return [browser ?? "Browser", system].filter(Boolean).join(" on ");
}

/** A failure in words for people. */
export function failure(error: unknown): string {
  const { kind, message } = asFailure(error);
  switch (kind) {
    case "offline":
      return "This needs a connection, and there is none at the moment.";
    case "not_found":
      return "Nothing was found under that.";
    case "address_taken":
    case "taken":
      return "This address belongs to somebody else. Choose another.";
    case "exists":
      return "There is an account in this browser already.";
    case "other_relay":
      return "The relay is another than before. Nothing is sent to it until you accept it.";
    case "quota":
      return "The relay has no room left for this account.";
    case "rate":
      return "That was too often. Wait a little, then try again.";
    case "revoked":
      return "This device was removed from its account.";
    case "store":
      return "This browser could not write to its storage. Free some disk space, then reload.";
    case "too_large":
      return "That is too long.";
    case "full":
      return "The relay's disk is full. What you write is kept here, and goes out when there is room.";
    case "unavailable":
      return "The relay can't do this at the moment. Try again in a little while.";
    case "closed":
    case "interrupted":
      return "That was interrupted. Try again.";
    default:
      return sentence(message);
  }
}

/** What keeps this device from the relay, where it does not pass by itself; else null. */
export function troubleOf({ kind, message }: Problem): string | null {
  switch (kind) {
    case "revoked":
    case "unavailable":
    case "rate":
      return null;
    case "address_taken":
      return "Your address belongs to somebody else: others can't find you by it.";
    case "quota":
      return "The relay has no room left for this account: what you write waits here.";
    default:
      return sentence(message);
  }
}

/** Why nobody can be invited. */
export function inviteFailure(error: unknown): string {
  switch (asFailure(error).kind) {
    case "denied":
      return "This relay takes no links: ask whoever runs it who may come.";
    case "quota":
      return "You made as many as you may today.";
    default:
      return failure(error);
  }
}

/** Why a link came to nothing. */
export function linkFailure(error: unknown): string {
  switch (asFailure(error).kind) {
    case "not_found":
      return "The code is no longer valid: it is good for two minutes, once. Begin again on both devices.";
    case "taken":
      return "Another device took the code first. Begin again on both devices.";
    case "denied":
      return "The digits did not match, or the other device gave up. Nothing was linked; begin again on both devices.";
    case "invalid":
      return "That is not what a new device shows. Copy it again, whole.";
    default:
      return failure(error);
  }
}

function asFailure(error: unknown): { kind: string; message: string } {
  if (error instanceof Error) {
    const kind = (error as Partial<RejoinderError>).kind ?? "";
    return { kind, message: error.message };
  }
  return { kind: "", message: String(error) };
}

/** With a capital and a full stop. */
function sentence(text: string): string {
  const clean = text.trim() || "something went wrong";
  const begun = clean.charAt(0).toUpperCase() + clean.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
