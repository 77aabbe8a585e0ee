/** Values that change by themselves. */
import { RejoinderError } from "./error.js";
import type { Live } from "./types.js";

type Listener<T> = (value: T) => void;

/** A value that its owner sets. */
export class Cell<T> implements Live<T> {
  #value: T;
  #isClosed = false;
  readonly #listeners = new Set<Listener<T>>();
  readonly #closers = new Set<() => void>();

  /** Begins with this value. */
  constructor(value: T) {
    this.#value = value;
  }

  get current(): T {
    return this.#value;
  }

  /** Whether somebody follows. */
  get isFollowed(): boolean {
    return this.#listeners.size > 0;
  }

  /** Changes the value and tells everybody; nothing happens if it is the same. */
  set(value: T): void {
    if (Object.is(value, this.#value) || this.#isClosed) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) {
      // A listener may have changed it again: then everybody was told of that already.
      if (!Object.is(value, this.#value)) return;
      if (this.#listeners.has(listener)) tell(listener, value);
    }
  }

  subscribe(listener: Listener<T>): () => void {
    // One listener may subscribe twice, and each subscription ends by itself.
    const entry: Listener<T> = (value) => listener(value);
    this.#listeners.add(entry);
    if (this.#listeners.size === 1) this.followed();
    return () => {
      if (this.#listeners.delete(entry) && this.#listeners.size === 0) this.unfollowed();
    };
  }

  ready(): Promise<Exclude<T, undefined>> {
    if (this.#value !== undefined) return Promise.resolve(this.#value as Exclude<T, undefined>);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        stop();
        this.#closers.delete(close);
      };
      const close = (): void => {
        end();
        reject(closed());
      };
      const stop = this.subscribe((value) => {
        if (value === undefined) return;
        end();
        resolve(value as Exclude<T, undefined>);
      });
      if (this.#isClosed) close();
      else this.#closers.add(close);
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Exclude<T, undefined>, void, undefined> {
    let wake: () => void = () => undefined;
    let isNew = this.#value !== undefined;
    const stop = this.subscribe(() => {
      isNew = true;
      wake();
    });
    const close = (): void => wake();
    this.#closers.add(close);
    try {
      while (!this.#isClosed) {
        if (isNew) {
          isNew = false;
          if (this.#value !== undefined) yield this.#value as Exclude<T, undefined>;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      stop();
      this.#closers.delete(close);
    }
  }

  /** Ends every iteration and everybody's waiting. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const close of [...this.#closers]) close();
    this.#closers.clear();
    if (this.#listeners.size > 0) {
      this.#listeners.clear();
      this.unfollowed();
    }
  }

  /** Calls `closer` when it closes. Returns what takes that back. */
  onClose(closer: () => void): () => void {
    this.#closers.add(closer);
    return () => this.#closers.delete(closer);
  }

  /** Somebody began to follow. */
  protected followed(): void {}

  /** Nobody follows any longer. */
  protected unfollowed(): void {}
}

/** A listener that throws is the app's affair, and must not keep others from hearing. */
export function tell<T>(listener: Listener<T>, value: T): void {
  try {
    listener(value);
  } catch (error) {
    reportError(error);
  }
}

/** What is told to whoever waits when the client closes. */
export function closed(): RejoinderError {
  return new RejoinderError("closed", "the client was closed");
}

/** A value that is computed from another one. */
export class Mapped<S, T> extends Cell<T> {
  readonly #source: Cell<S>;
  readonly #of: (value: S) => T;
  #stop: (() => void) | undefined;

  /** `of` must give the same reference for what did not change. */
  constructor(source: Cell<S>, of: (value: S) => T) {
    super(of(source.current));
    this.#source = source;
    this.#of = of;
  }

  override get current(): T {
    if (this.#stop === undefined) this.set(this.#of(this.#source.current));
    return super.current;
  }

  override ready(): Promise<Exclude<T, undefined>> {
    return new Promise((resolve, reject) => {
      super.ready().then(resolve, reject);
      // What fails to load there is not there either.
      this.#source.ready().catch(reject);
    });
  }

  protected override followed(): void {
    const stop = this.#source.subscribe((value) => this.set(this.#of(value)));
    const forget = this.#source.onClose(() => this.close());
    this.#stop = () => {
      stop();
      forget();
    };
    this.set(this.#of(this.#source.current));
  }

  protected override unfollowed(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
