/** Who is at a document, and what they are at: told to those who are here now, and kept by nobody. */
import { Cell } from "../live.js";
import { RejoinderError } from "../error.js";
import { text } from "../shapes.js";
import type { Json, Live, Peer, Presence } from "../types.js";
import type { Engine, Notice } from "../wire.js";
import { isPlain, isWellFormed } from "./kinds.js";

/** Own words are passed on at most so often, and said anew so often while nothing changes. */
const PACE_MS = 150;
const AGAIN_MS = 10_000;
/** Who says nothing for so long is gone. */
const GONE_MS = 30_000;

/** Objects in objects. */
const DEPTH_MOST = 64;
/** Bytes of JSON that one may say. */
const BYTES_MOST = 2048;
/** Nothing is said. */
const NOTHING = "null";

/** A state in JSON; refuses what that has no word for. */
function inJson(state: unknown): string {
  const refused = (what: string): never => {
    throw new RejoinderError("invalid", `presence: ${what}`);
  };
  let depth = 0;
  const check = (value: unknown): void => {
    if ((depth += 1) > DEPTH_MOST) refused(`nested deeper than ${DEPTH_MOST} objects`);
    if (typeof value === "number" && !Number.isFinite(value)) refused(`${value} is no number that JSON has`);
    else if (typeof value === "string" && !isWellFormed(value)) refused("the text has half of a character");
    else if (Array.isArray(value)) Array.from(value).forEach(check);
    else if (typeof value === "object" && value !== null && isPlain(value)) {
      for (const [key, item] of Object.entries(value)) if (item !== undefined) [key, item].forEach(check);
    } else if (typeof value === "object" && value !== null) refused("an object that is none of JSON's");
    else if (!["boolean", "number", "string", "object"].includes(typeof value)) refused(`no ${typeof value}`);
    depth -= 1;
  };
  check(state);
  const text = JSON.stringify(state);
  if (new TextEncoder().encode(text).length > BYTES_MOST) {
    const limit = { what: "presence", limit: BYTES_MOST };
    throw new RejoinderError("too_large", `presence: more than ${BYTES_MOST} bytes of JSON`, { details: limit });
  }
  return text;
}

/** Presence in one document. */
export class DocumentPresence implements Presence {
  readonly #engine: Engine;
  readonly #where: { readonly space: string; readonly name: string };
  readonly #peers: Peers;
  /** In JSON: what the app does to its own object afterwards is not said. */
  #said = NOTHING;
  /** What others were told last. */
  #told = NOTHING;
  #stop: (() => void) | undefined;
  #saidMs = -PACE_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Nothing is said yet. */
  constructor(engine: Engine, space: string, name: string) {
    this.#engine = engine;
    this.#where = { space, name };
    // Who comes knows nothing of those who are here.
    this.#peers = new Peers(engine, space, `app/${name}`, () => {
      if (this.#said !== NOTHING) this.#soon();
    });
  }

  get peers(): Live<readonly Peer[]> {
    return this.#peers;
  }

  set(state: Json): void {
    const said = inJson(state);
    if (said === this.#said) return;
    this.#said = said;
    // Who comes is told of those who are here, whether they look at who is there or not.
    if (said !== NOTHING) this.#stop ??= this.#peers.subscribe(() => undefined);
    else this.#unfollow();
    this.#soon();
  }

  /** Says at once that one has left, should others know otherwise. */
  leave(): void {
    this.#said = NOTHING;
    this.#unfollow();
    clearTimeout(this.#timer);
    if (this.#told !== NOTHING) this.#say();
  }

  /** Ends it, and says so. */
  close(): void {
    this.leave();
    this.#peers.close();
  }

  #unfollow(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #soon(): void {
    clearTimeout(this.#timer);
    const wait = this.#saidMs + PACE_MS - performance.now();
    if (wait <= 0) this.#say();
    else this.#timer = setTimeout(() => this.#say(), wait);
  }

  #say(): void {
    this.#saidMs = performance.now();
    this.#told = this.#said;
    const state = JSON.parse(this.#said) as Json;
    if (state !== null) this.#timer = setTimeout(() => this.#say(), AGAIN_MS);
    // Without a connection nobody hears of it, and whoever is here then is told again.
    this.#engine.call("document.presence", { ...this.#where, state }).catch(() => undefined);
  }
}

/** Somebody who is here, with what they said, in JSON. */
interface Known {
  readonly peer: Peer;
  readonly said: string;
  readonly timer: ReturnType<typeof setTimeout>;
}

class Peers extends Cell<readonly Peer[]> {
  readonly #engine: Engine;
  readonly #space: string;
  readonly #name: string;
  readonly #came: () => void;
  readonly #known = new Map<string, Known>();
  #stop: (() => void) | undefined;

  constructor(engine: Engine, space: string, name: string, came: () => void) {
    super([]);
    this.#engine = engine;
    this.#space = space;
    this.#name = name;
    this.#came = came;
  }

  protected override followed(): void {
    this.#stop = this.#engine.onNotice((notice) => this.#hear(notice));
  }

  protected override unfollowed(): void {
    this.#stop?.();
    for (const { timer } of this.#known.values()) clearTimeout(timer);
    this.#known.clear();
    this.set([]);
  }

  #hear({ method, params }: Notice): void {
    if (method !== "presence" || params["space"] !== this.#space || params["name"] !== this.#name) return;
    const device = text(params["device"]);
    const state = params["state"] as Json;
    const before = this.#known.get(device);
    clearTimeout(before?.timer);
    if (state === null) {
      if (this.#known.delete(device)) this.#tell();
      return;
    }
    const said = JSON.stringify(state);
    const timer = setTimeout(() => this.#gone(device), GONE_MS);
    // Who says the same again is the same.
    const isSame = before?.said === said;
    const peer = isSame ? before.peer : { account: text(params["account"]), device, state };
    this.#known.set(device, { peer, said, timer });
    if (!isSame) this.#tell();
    if (before === undefined) this.#came();
  }

  #gone(device: string): void {
    this.#known.delete(device);
    this.#tell();
  }

  #tell(): void {
    this.set([...this.#known.values()].map(({ peer }) => peer));
  }
}
