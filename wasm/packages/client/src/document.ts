/** Documents that an app shapes itself. */
import { Query } from "./query.js";
import { same, text } from "./shapes.js";
import type { Connection } from "./tabs/connection.js";
import type { DocumentEdit, DocumentValue, Json, Live, Path, SharedDocument } from "./types.js";

/** The account's own space, as methods name it. */
export const ACCOUNT = "account";

/** A document of a space. */
export class DocumentHandle implements SharedDocument {
  readonly name: string;
  readonly #space: string;
  readonly #connection: Connection;
  readonly #value: Query<Json>;

  /** Nothing is asked yet. */
  constructor(connection: Connection, space: string, name: string) {
    this.#connection = connection;
    this.#space = space;
    this.name = name;
    this.#value = new Query<Json>(connection, {
      load: () => this.get(),
      concerns: ({ method, params }) => {
        const isChange =
          method === "document" || (method === "edited" && text(params["method"]).startsWith("document."));
        return isChange && isNamed(text(params["name"]), name) && this.#isHere(text(params["space"]));
      },
      merge: (old, now) => (old !== undefined && same(old, now) ? old : now),
    });
  }

  get value(): Live<Json | undefined> {
    return this.#value;
  }

  async get(path: Path = []): Promise<Json> {
    return (await this.#connection.call("document.get", { ...this.#where(), path })) as Json;
  }

  async change(edits: (edit: DocumentEdit) => void): Promise<void> {
    const gathered = new Gathered();
    edits(gathered);
    if (gathered.ops.length === 0) return;
    await this.#connection.call("document.change", { ...this.#where(), ops: gathered.ops });
    this.#value.invalidate();
  }

  async export(): Promise<Uint8Array> {
    return fromBase64(text(await this.#connection.call("document.export", this.#where())));
  }

  async import(bytes: Uint8Array): Promise<void> {
    await this.#connection.call("document.import", { ...this.#where(), bytes: toBase64(bytes) });
    this.#value.invalidate();
  }

  /** Ends what follows it. */
  close(): void {
    this.#value.close();
  }

  #where(): { space: string; name: string } {
    return { space: this.#space, name: this.name };
  }

  /** The account's own space has an id, too, which only notices tell. */
  #isHere(space: string): boolean {
    return this.#space === ACCOUNT || space === this.#space;
  }
}

/** A bare word is an app's own document, which notices name in full. */
function isNamed(full: string, name: string): boolean {
  return full === name || full === `app/${name}`;
}

class Gathered implements DocumentEdit {
  readonly ops: { [key: string]: Json }[] = [];

  put(path: Path, value: DocumentValue): this {
    return this.#add({ op: "put", path, value });
  }

  insert(path: Path, value: DocumentValue): this {
    return this.#add({ op: "insert", path, value });
  }

  delete(path: Path): this {
    return this.#add({ op: "delete", path });
  }

  increment(path: Path, by = 1): this {
    return this.#add({ op: "increment", path, by });
  }

  spliceText(path: Path, index: number, deleted: number, inserted = ""): this {
    return this.#add({ op: "splice_text", path, index, delete: deleted, insert: inserted });
  }

  #add(op: { [key: string]: Json }): this {
    this.ops.push(op);
    return this;
  }
}

/** Values that JSON has no word for, to be used inside {@link DocumentEdit} values. */
export const values = {
  /** A text that several people edit at once. */
  text: (initial = ""): DocumentValue => ({ $text: initial }),
  /** A counter that several people count at once. */
  counter: (initial = 0): DocumentValue => ({ $counter: initial }),
  /** Bytes. */
  bytes: (bytes: Uint8Array): DocumentValue => ({ $bytes: toBase64(bytes) }),
  /** A time. */
  time: (time: Date | number): DocumentValue => ({ $time: typeof time === "number" ? time : time.getTime() }),
} as const;

/** Characters that one call of `fromCharCode` is given. */
const CHUNK = 0x2000;

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
}

function fromBase64(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
