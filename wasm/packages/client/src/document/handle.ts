/** A document of a space, as a tab follows and changes it. */
import { Mapped } from "../live.js";
import { conflicts, fields, history, text } from "../shapes.js";
import type { DocumentChange, DocumentConflict, DocumentEdit, Live, Path, Presence, SharedDocument } from "../types.js";
import type { Engine } from "../wire.js";
import { read, type Where } from "./asking.js";
import { gather } from "./edit.js";
import { EditError } from "./error.js";
import { Followed } from "./followed.js";
import { checkPath, fromBase64, toBase64, type DocumentValue } from "./kinds.js";
import { DocumentPresence } from "./presence.js";
import { at, type Op } from "./tree.js";

/** Bytes of a file to import. */
const FILE_MOST = 16 * 1024 * 1024;

/** A document of a space. */
export class DocumentHandle implements SharedDocument {
  readonly name: string;
  readonly #space: string;
  readonly #engine: Engine;
  readonly #value: Followed;
  #presence: DocumentPresence | undefined;

  /** Nothing is asked yet. */
  constructor(engine: Engine, space: string, name: string) {
    this.#engine = engine;
    this.#space = space;
    this.name = name;
    this.#value = new Followed(engine, space, name);
  }

  get value(): Live<DocumentValue | undefined> {
    return this.#value;
  }

  get presence(): Presence {
    return (this.#presence ??= new DocumentPresence(this.#engine, this.#space, this.name));
  }

  at<V = DocumentValue>(path: Path): Live<V | undefined> {
    const place = checkPath(path, "at");
    return new Mapped<DocumentValue | undefined, V | undefined>(
      this.#value,
      (value) => at(value, place) as V | undefined,
    );
  }

  async get<V = DocumentValue>(
    path: Path = [],
    { at: then }: { readonly at?: string | readonly string[] } = {},
  ): Promise<V | undefined> {
    const heads = typeof then === "string" ? [then] : then;
    return (await read(this.#engine, this.#where(), checkPath(path, "get"), heads)) as V | undefined;
  }

  async change(edits: (edit: DocumentEdit) => void): Promise<void> {
    await this.apply(gather(edits));
  }

  /** Makes operations, all or none. */
  async apply(ops: readonly Op[]): Promise<void> {
    if (ops.length > 0) await this.#value.change(ops);
  }

  async export(): Promise<Uint8Array> {
    const answer = await this.#engine.call("document.export", this.#where());
    return fromBase64(text(typeof answer === "string" ? answer : fields(answer)["bytes"]));
  }

  async import(bytes: Uint8Array): Promise<void> {
    if (!(bytes instanceof Uint8Array)) throw new EditError("import", [], "a file comes as a Uint8Array");
    if (bytes.length > FILE_MOST) {
      throw new EditError("import", [], `a file has at most ${FILE_MOST} bytes`, "too_large");
    }
    await this.#engine.call("document.import", { ...this.#where(), bytes: toBase64(bytes) });
    this.#value.touch(undefined);
  }

  async history(options: { limit?: number; before?: string } = {}): Promise<readonly DocumentChange[]> {
    return history(await this.#engine.call("document.history", { ...this.#where(), ...options }));
  }

  async conflicts(path: Path): Promise<readonly DocumentConflict[]> {
    const params = { ...this.#where(), path: checkPath(path, "conflicts") };
    return conflicts(await this.#engine.call("document.conflicts", params));
  }

  async rename(title: string | null): Promise<void> {
    await this.#engine.call("document.rename", { ...this.#where(), title });
  }

  async archive(archived = true): Promise<void> {
    await this.#engine.call("document.archive", { ...this.#where(), archived });
  }

  async delete(): Promise<void> {
    await this.#engine.call("document.delete", this.#where());
    this.#value.touch(undefined);
  }

  /** Says that one is no longer at it. */
  leave(): void {
    this.#presence?.leave();
  }

  /** Ends what follows it. */
  close(): void {
    this.#presence?.close();
    this.#value.close();
  }

  #where(): Where {
    return { space: this.#space, name: this.name };
  }
}
