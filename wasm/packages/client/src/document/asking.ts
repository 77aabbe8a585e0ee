/** What is asked of the engine about one document, and refused in the words of who asked. */
import { RejoinderError } from "../error.js";
import { conflicts } from "../shapes.js";
import type { Json, Path } from "../types.js";
import type { Engine } from "../wire.js";
import { EditError } from "./error.js";
import { decode, type DocumentValue } from "./kinds.js";
import { at, type Op } from "./tree.js";

/** The account's own space, as methods name it. */
export const ACCOUNT = "account";

/** Which document. */
export type Where = { readonly space: string; readonly name: string };

/** What lies at a path: as it is, or as it was then. `asked` hears how many changes had been told of. */
export async function read(
  engine: Engine,
  where: Where,
  path: Path,
  then?: readonly string[],
  asked?: (told: number) => void,
): Promise<DocumentValue | undefined> {
  const call = engine.start("document.get", { ...where, path, form: "typed", at: then });
  const value = (await call.answer) as Json;
  asked?.(call.told);
  if (value !== null) return decode(value);
  if (path.length === 0) return {};
  // Null stands there, or nothing does.
  if (then !== undefined) return at(await read(engine, where, path.slice(0, -1), then), path.slice(-1));
  try {
    const found = conflicts(await engine.call("document.conflicts", { ...where, path }));
    return found.length > 0 ? null : undefined;
  } catch (error) {
    if (error instanceof RejoinderError && (error.kind === "invalid" || error.kind === "not_found")) return undefined;
    throw error;
  }
}

/** An answer, whose refusal is in the words of the operation that was asked for. */
export async function inWords(ops: readonly Op[], answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    throw refusal(error, ops);
  }
}

function refusal(error: unknown, ops: readonly Op[]): unknown {
  if (!(error instanceof RejoinderError)) return error;
  const { op: index, reason } = error.details;
  const op = typeof index === "number" ? ops[index] : undefined;
  if (op === undefined || typeof reason !== "string") return error;
  // A limit is named behind where it was reached.
  const words = REASONS[reason] ?? error.message.split("]): ").at(-1) ?? reason;
  return new EditError(op.op, op.path, words, error.kind);
}

const REASONS: { readonly [reason: string]: string } = {
  no_such_place: "there is no such place",
  not_a_list: "it is no list",
  not_a_map: "it is no map",
  not_a_text: "it is no shared text",
  not_a_counter: "it is no counter",
  past_the_end: "it lies past the end",
  inside_a_character: "the index lies inside of a character",
  bad_value: "a document can't hold the value",
  bad_key: "a key has 1 to 256 bytes",
  empty_path: "the path is empty: name a key of the document",
};
