/** The whole of a document, as a tab that follows it reads and changes it. */
import { RejoinderError } from "../error.js";
import { Cell, closed } from "../live.js";
import { text } from "../shapes.js";
import type { Path } from "../types.js";
import type { Engine, Notice } from "../wire.js";
import { ACCOUNT, inWords, read, type Where } from "./asking.js";
import type { DocumentValue } from "./kinds.js";
import { Replica, type Pending, type Reading, type Rebase } from "./replica.js";
import { encodeOp, isWithin, type Op } from "./tree.js";

/** How long a document is followed after the last listener left; a component may come back at once. */
const LINGER_MS = 5_000;
/** Between readings that follow one another there is a pause, this much of the time that one takes, and no longer. */
const REST = 2;
const REST_MOST_MS = 250;
/** What was read is shown only if nothing was told meanwhile, but for so many rounds at most. */
const ROUNDS = 3;
/** So many messages in a row may come too late; then one edit is made of whatever the document is. */
const REFUSALS = 20;
/** Edits that wait are sent together as long as they have so many characters in all: they fit the journal. */
const MESSAGE_MOST = 64 * 1024;
/** Paths that are read by themselves; of more the whole is read. */
const FEW = 8;

/** Who waits for an edit, and where it is written down while it waits to be sent. */
interface Edit {
  key: string | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The whole of a document, read while somebody follows it. */
export class Followed extends Cell<DocumentValue | undefined> {
  readonly #engine: Engine;
  readonly #where: Where;
  readonly #replica = new Replica();
  readonly #edits = new Map<Pending, Edit>();
  /** How many changes of documents had been told of when what is shown was asked for. */
  #seen = 0;
  /** How many messages in a row came too late for what their edits were made of. */
  #refusals = 0;
  /** What edits are made of is known to be old: none is sent until it was read again. */
  #isOld = false;
  #rebase: Rebase | undefined;
  readonly #waiting = new Set<(error: RejoinderError | undefined) => void>();
  /** What has to be read; all of it, if undefined is among it. */
  #dirty: readonly (Path | undefined)[] = [];
  #stops: (() => void)[] = [];
  #isStarted = false;
  #isReading = false;
  /** The last reading failed. */
  #isStuck = false;
  #isEnded = false;
  /** What is read before then follows the last reading. */
  #busyUntilMs = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(engine: Engine, space: string, name: string) {
    super(undefined);
    this.#engine = engine;
    this.#where = { space, name };
  }

  override ready(): Promise<Exclude<DocumentValue | undefined, undefined>> {
    type Value = Exclude<DocumentValue | undefined, undefined>;
    if (this.#isEnded) return Promise.reject(closed());
    if (this.current !== undefined && this.#isStarted && this.#dirty.length === 0 && !this.#isReading) {
      return Promise.resolve(this.current);
    }
    return new Promise<Value>((resolve, reject) => {
      const stop = this.subscribe(() => undefined);
      const end = (error: RejoinderError | undefined): void => {
        this.#waiting.delete(end);
        stop();
        if (error === undefined) resolve(this.current as Value);
        else reject(error);
      };
      this.#waiting.add(end);
      // What failed last is tried again.
      this.#read();
    });
  }

  /**
   * Makes an own edit, which shows at once.
   *
   * @throws {EditError} if it can't be made of what is shown.
   */
  async change(ops: readonly Op[]): Promise<void> {
    const encoded = ops.map(encodeOp);
    if (!this.#isStarted) {
      // Nobody follows: what it is made of is for its author to know.
      await inWords(ops, this.#engine.call("document.change", { ...this.#where, ops: encoded }));
      return this.touch(undefined);
    }
    const pending = this.#replica.begin(ops, JSON.stringify(encoded).length);
    if (this.#replica.shown !== undefined) this.set(this.#replica.shown);
    return new Promise((resolve, reject) => {
      const edit: Edit = { key: undefined, resolve, reject };
      this.#edits.set(pending, edit);
      this.#send();
      // What waits is written down, should the tab be closed meanwhile.
      if (pending.state === "waits") edit.key = this.#keep(ops);
    });
  }

  /** Writes an edit down while it waits. */
  #keep(ops: readonly Op[]): string | undefined {
    return this.#engine.keep("document.change", { ...this.#where, ops: ops.map(encodeOp) });
  }

  /** Sends the edits that wait, one message at a time. */
  #send(): void {
    if (this.#isOld && this.#isStarted) return;
    // Where others never rest, edits are made all the same in the end, one by one.
    const isExhausted = this.#refusals >= REFUSALS;
    const sent = this.#replica.send(isExhausted ? 0 : MESSAGE_MOST);
    const [first] = sent;
    if (first === undefined) return;
    const ops = sent.flatMap((pending) => pending.ops);
    const edits = sent.flatMap((pending) => this.#edits.get(pending) ?? []);
    const params = { ...this.#where, ops: ops.map(encodeOp) };
    const instead = edits.flatMap(({ key }) => key ?? []);
    const seen = isExhausted || first.before === undefined ? undefined : this.#seen;
    const { answer } = this.#engine.start("document.change", params, { seen, instead });
    for (const edit of edits) edit.key = undefined;
    inWords(ops, answer).then(
      () => {
        this.#refusals = 0;
        this.#replica.made(sent);
        for (const pending of sent) this.#edits.delete(pending);
        // What was not known when it was made may contain it, or not.
        if (first.before === undefined) this.touch(undefined);
        this.#send();
        for (const edit of edits) edit.resolve();
      },
      (error: unknown) => {
        this.#refused(sent, error);
      },
    );
  }

  /** What was sent is not made. */
  #refused(sent: readonly Pending[], error: unknown): void {
    const isStale = error instanceof RejoinderError && error.kind === "stale";
    const [first] = sent;
    if (first === undefined) return;
    if (!isStale && sent.length === 1) return this.#lost(first, error);
    this.#refusals = isStale ? this.#refusals + 1 : 0;
    const wasTaken = this.#replica.refused(sent);
    for (const pending of sent) {
      // One of several can't be made: each is sent by itself.
      pending.isAlone ||= !isStale;
      const edit = this.#edits.get(pending);
      if (edit === undefined) continue;
      // They may go on in other company, or be lost: each is written down by itself again.
      edit.key = this.#keep(pending.ops);
    }
    if (isStale && typeof error.details["key"] === "string") this.#engine.drop(error.details["key"]);
    this.#isOld = true;
    if (!wasTaken && (this.#dirty.length > 0 || this.#isReading)) this.#read();
    else this.touch(undefined);
  }

  /** An edit can't be made. */
  #lost(pending: Pending, error: unknown): void {
    const edit = this.#edits.get(pending);
    this.#edits.delete(pending);
    if (edit?.key !== undefined) this.#engine.drop(edit.key);
    this.#replica.failed(pending);
    if (this.#isStarted) this.set(this.#replica.shown);
    // What was read meanwhile may have been taken to contain it; and those behind it were made of what it would
    // have made: they are made anew of what is read, before they follow.
    this.#isOld = true;
    this.touch(undefined);
    if (!this.#isStarted) this.#send();
    edit?.reject(error);
  }

  /** Something may have changed at a path; undefined: anywhere. */
  touch(path: Path | undefined): void {
    this.#dirty = withPath(this.#dirty, path);
    this.#read();
  }

  override close(): void {
    this.#isEnded = true;
    for (const end of [...this.#waiting]) end(closed());
    // What waits is written down, and is made at the next start.
    for (const edit of this.#edits.values()) edit.reject(closed());
    this.#edits.clear();
    super.close();
    clearTimeout(this.#linger);
    this.#stop();
  }

  protected override followed(): void {
    clearTimeout(this.#linger);
    if (this.#isStarted || this.#isEnded) return;
    this.#isStarted = true;
    this.#stops = [
      this.#engine.onNotice((notice) => this.#hear(notice)),
      this.#engine.onOpening(() => this.touch(undefined)),
    ];
    this.touch(undefined);
  }

  protected override unfollowed(): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      if (this.isFollowed) return;
      if (this.#edits.size > 0) this.unfollowed();
      else this.#stop();
    }, LINGER_MS);
  }

  #stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#isStarted = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #hear({ method, params }: Notice): void {
    if (method === "lagged" || (this.#isStuck && method === "status")) return this.touch(undefined);
    const isEdit = method === "edited" && text(params["method"]).startsWith("document.");
    if (!isEdit && method !== "document") return;
    const name = text(params["name"]);
    // What was asked for has the name that was given, what happened the full one; none at all means all.
    if (name !== "" && name !== (isEdit ? this.#where.name : `app/${this.#where.name}`)) return;
    if (!this.#isHere(text(params["space"]))) return;
    // What this tab changed shows already, and what another one did is told by the worker.
    if (isEdit ? params["tab"] === this.#engine.tab : params["by"] === "own") return;
    const paths = params["paths"];
    if (!Array.isArray(paths)) return this.touch(undefined);
    for (const path of paths as readonly Path[]) this.touch(path);
  }

  /** The account's own space has an id, too, which only notices tell. */
  #isHere(space: string): boolean {
    return this.#where.space === ACCOUNT || space === this.#where.space;
  }

  #read(): void {
    if (!this.#isStarted || this.#isReading || this.#dirty.length === 0 || this.#timer !== undefined) return;
    this.#isReading = true;
    this.#rounds().catch((error: unknown) => reportError(error));
  }

  async #rounds(): Promise<void> {
    const beganMs = performance.now();
    let failure: RejoinderError | undefined;
    try {
      await this.#round();
    } catch (error) {
      this.#replica.unread();
      // Whoever edits what can't be read is told so by the engine.
      this.#isOld = false;
      // What was to be read is not known by what is told next.
      this.#dirty = [undefined];
      failure =
        error instanceof RejoinderError ? error : new RejoinderError("internal", String(error), { cause: error });
    }
    this.#isReading = false;
    // An edit was refused when all was read, and before this was noted.
    if (this.#isOld) this.#dirty = withPath(this.#dirty, undefined);
    this.#isStuck = failure !== undefined;
    const endedMs = performance.now();
    const restMs = Math.min(REST * (endedMs - beganMs), REST_MOST_MS);
    // What comes by itself holds up nothing that comes after it; edits that wait are made of what is read next.
    const isBurst = beganMs < this.#busyUntilMs;
    const pauseMs = isBurst && !this.#replica.hasWaiting ? restMs : 0;
    this.#busyUntilMs = endedMs + pauseMs + restMs;
    if (failure === undefined) this.#rest(pauseMs);
    // Whoever has to hand it over will, and that is told.
    if (failure?.kind === "waiting" || (failure === undefined && this.current === undefined)) return;
    for (const end of [...this.#waiting]) end(failure);
  }

  /** Reads what is dirty, until nothing is told meanwhile, and shows it. */
  async #round(): Promise<void> {
    let asked = this.#dirty;
    for (let round = 1; ; round++) {
      this.#dirty = [];
      this.#replica.ask();
      let seen = Infinity;
      const note = (told: number): void => {
        seen = Math.min(seen, told);
      };
      const paths = asked.length > FEW || asked.includes(undefined) ? [[]] : (asked as readonly Path[]);
      const readings = await Promise.all(
        paths.map(async (path): Promise<Reading> => {
          return { path, value: await read(this.#engine, this.#where, path, undefined, note) };
        }),
      );
      // Loaded when it is first needed: most edits are made of what the document still is.
      if (this.#replica.hasWaiting) this.#rebase ??= (await import("./rebase.js")).rebase;
      if (this.#dirty.length === 0 || round === ROUNDS) {
        const lost: (() => void)[] = [];
        const isRead = this.#replica.read(readings, this.#rebase, (pending, error) => {
          lost.push(() => this.#lost(pending, error));
        });
        if (isRead) this.#isOld = this.#isOld && this.#dirty.includes(undefined);
        else this.#dirty = withPath(this.#dirty, undefined);
        // What was told meanwhile was counted, and not read.
        if (this.#dirty.length === 0) this.#seen = seen;
        if (isRead && this.#isStarted) this.set(this.#replica.shown);
        for (const tell of lost) tell();
        this.#send();
        return;
      }
      asked = this.#dirty.reduce(withPath, asked);
    }
  }

  #rest(ms: number): void {
    if (!this.#isStarted) return;
    if (ms === 0) return this.#read();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#read();
    }, ms);
  }
}

/** Paths with one more; those that lie within another are left out. */
function withPath(paths: readonly (Path | undefined)[], more: Path | undefined): readonly (Path | undefined)[] {
  if (more === undefined || more.length === 0) return [undefined];
  if (paths.some((path) => path === undefined || isWithin(more, path))) return paths;
  return [...paths.filter((path) => path !== undefined && !isWithin(path, more)), more];
}
