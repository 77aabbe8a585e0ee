/** Values that are asked of the engine, and asked anew when something says that they changed. */
import { RejoinderError } from "./error.js";
import { Cell, closed } from "./live.js";
import type { Engine, Notice } from "./wire.js";

/** Notices come in bursts: a value is asked for at most once in this time. */
const PACE_MS = 60;
/** What takes long to answer is asked for less often: the engine has more to do than that. */
const REST = 3;
const PACE_MOST_MS = 1_000;
/** How long a value is followed after the last listener left; a component may come back at once. */
const LINGER_MS = 5_000;

/** What to ask, and when. */
export interface Question<T> {
  /** Asks. */
  readonly load: () => Promise<T>;
  /** Whether the notice means that the value may have changed. */
  readonly concerns: (notice: Notice) => boolean;
  /** The new value, with what did not change taken from the old one. */
  readonly merge?: (old: T | undefined, now: T) => T;
}

/** A value that is followed while somebody does; undefined until loaded. */
export class Query<T> extends Cell<T | undefined> {
  readonly #engine: Engine;
  readonly #question: Question<T>;
  #stops: (() => void)[] = [];
  #isStarted = false;
  #isStale = true;
  #isLoading = false;
  #failure: RejoinderError | undefined;
  #loadedMs = 0;
  #paceMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #isEnded = false;

  /** Asks nothing before somebody follows. */
  constructor(engine: Engine, question: Question<T>) {
    super(undefined);
    this.#engine = engine;
    this.#question = question;
  }

  override ready(): Promise<Exclude<T | undefined, undefined>> {
    type Value = Exclude<T | undefined, undefined>;
    if (this.#isEnded) return Promise.reject(closed());
    if (this.current !== undefined && this.#isStarted && !this.#isStale) {
      return Promise.resolve(this.current as Value);
    }
    const fresh = new Promise<Value>((resolve, reject) => {
      const stop = this.subscribe(() => undefined);
      const end = (error: RejoinderError | undefined): void => {
        this.#settled.delete(end);
        stop();
        if (error !== undefined) reject(error);
        else resolve(this.current as Value);
      };
      this.#settled.add(end);
      this.#ask();
    });
    return fresh;
  }

  /** The value may have changed. */
  invalidate(): void {
    this.#isStale = true;
    this.#ask();
  }

  override close(): void {
    this.#isEnded = true;
    for (const end of [...this.#settled]) end(closed());
    super.close();
    clearTimeout(this.#linger);
    this.#stop();
  }

  protected override followed(): void {
    clearTimeout(this.#linger);
    if (this.#isStarted || this.#isEnded) return;
    this.#isStarted = true;
    this.#isStale = true;
    this.#stops = [
      this.#engine.onNotice((notice) => this.#notice(notice)),
      this.#engine.onOpening(() => this.invalidate()),
    ];
    this.#ask();
  }

  protected override unfollowed(): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      if (!this.isFollowed) this.#stop();
    }, LINGER_MS);
  }

  readonly #settled = new Set<(error: RejoinderError | undefined) => void>();

  #stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#isStarted = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #notice(notice: Notice): void {
    const isRetry = this.#failure !== undefined && notice.method === "status";
    if (isRetry || notice.method === "lagged" || this.#question.concerns(notice)) this.invalidate();
  }

  #ask(): void {
    if (!this.#isStarted || !this.#isStale || this.#isLoading || this.#timer !== undefined) return;
    const wait = this.#loadedMs + this.#paceMs - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#ask();
      }, wait);
      return;
    }
    this.#load().catch((error: unknown) => reportError(error));
  }

  async #load(): Promise<void> {
    const askedMs = performance.now();
    this.#isLoading = true;
    this.#isStale = false;
    this.#failure = undefined;
    try {
      const now = await this.#question.load();
      this.set(this.#question.merge?.(this.current, now) ?? now);
    } catch (error) {
      this.#failure =
        error instanceof RejoinderError ? error : new RejoinderError("internal", String(error), { cause: error });
    }
    this.#isLoading = false;
    this.#loadedMs = performance.now();
    this.#paceMs = Math.min(Math.max(PACE_MS, REST * (this.#loadedMs - askedMs)), PACE_MOST_MS);
    if (this.#isStale) return this.#ask();
    for (const end of [...this.#settled]) end(this.#failure);
  }
}
