/** The documents of one space. */
import { RejoinderError } from "../error.js";
import { Query } from "../query.js";
import { documents, same, text } from "../shapes.js";
import type { DocumentList, Live, SharedDocument } from "../types.js";
import type { Engine } from "../wire.js";
import { ACCOUNT } from "./asking.js";
import { DocumentHandle } from "./handle.js";
import { isWellFormed } from "./kinds.js";

/** What is no text that can travel; what else is no name the engine says. */
function checkName(name: unknown): void {
  if (typeof name === "string" && isWellFormed(name)) return;
  throw new RejoinderError("invalid", "a document's name is a string, without half of a character");
}

/** One handle for each name, and the list of what there is. */
export class DocumentFamily {
  readonly #engine: Engine;
  readonly #space: string;
  readonly #list: Query<DocumentList>;
  readonly #handles = new Map<string, DocumentHandle>();

  /** Nothing is asked yet. */
  constructor(engine: Engine, space: string) {
    this.#engine = engine;
    this.#space = space;
    this.#list = new Query<DocumentList>(engine, {
      load: async () => documents(await engine.call("document.list", { space })),
      concerns: ({ method, params }) => {
        const isChange =
          method === "document" || (method === "edited" && text(params["method"]).startsWith("document."));
        return isChange && (space === ACCOUNT || params["space"] === space);
      },
      merge: (old, now) => (old !== undefined && same(old, now) ? old : now),
    });
  }

  get list(): Live<DocumentList | undefined> {
    return this.#list;
  }

  /** A document; the same object for the same name. */
  named<T>(name: string): SharedDocument<T> {
    checkName(name);
    const handle = this.#handles.get(name) ?? new DocumentHandle(this.#engine, this.#space, name);
    this.#handles.set(name, handle);
    // Nobody checks what lies in it: the type is what its caller knows of it.
    return handle as SharedDocument as SharedDocument<T>;
  }

  /** Says that one is no longer at any of them. */
  leave(): void {
    for (const handle of this.#handles.values()) handle.leave();
  }

  /** Ends what follows them. */
  close(): void {
    for (const handle of this.#handles.values()) handle.close();
    this.#list.close();
  }
}
