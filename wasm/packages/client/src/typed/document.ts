/** Documents with a type: of TypeScript's alone, or of a schema that is held to at the edge. */
import { RejoinderError } from "../error.js";
import { Mapped, type Cell } from "../live.js";
import { checkPath, copied } from "../document/kinds.js";
import { apply, at, isMap, share, type Op } from "../document/tree.js";
import type { DocumentEdit, DocumentValue, Live, Path, SharedDocument } from "../types.js";
import { migrated, type Migration } from "./migration.js";
import { record, type Draft } from "./record.js";
import { inLine, validate, type Issue, type Output, type Result, type StandardSchema } from "./schema.js";

/** How a document is typed. */
export interface TypedOptions<T> {
  /**
   * What the document begins with. Whoever writes first puts it in, in a way that two who do so at once make
   * one and the same; until then it is shown, and not written. What a later version of the app adds to it is
   * added to documents that are there already.
   */
  readonly initial?: Partial<T> & { readonly [key: string]: unknown };
  /**
   * How what older versions of the app wrote is brought up to date, in the order in which those came. What comes
   * of it is shown at once, and written with the first change; two devices that write it at once make one of it.
   *
   * ```ts
   * const migrations = [(doc) => { if (typeof doc.body === "string") doc.body = values.text(doc.body); }];
   * ```
   */
  readonly migrations?: readonly Migration[];
}

/** A document whose values have a type. */
export interface TypedDocument<T> {
  readonly name: string;
  /** The document below, with its explicit operations. */
  readonly document: SharedDocument;
  /**
   * The whole of it; undefined until loaded, and while what somebody wrote does not fit the schema:
   * {@link TypedDocument.issues} says what doesn't.
   */
  readonly value: Live<T | undefined>;
  /** What the schema has against the document; nothing, if it fits. */
  readonly issues: Live<readonly Issue[]>;
  /** What lies at a path, followed by itself. */
  at<V = unknown>(path: Path): Live<V | undefined>;
  /**
   * Makes changes to a draft of the document; they are all made, or none. They show at once where the value
   * is followed.
   *
   * ```ts
   * await plan.change((doc) => {
   *   doc.items.push({ text: "milk", done: false });
   * });
   * ```
   *
   * @throws {EditError} for what a document can't hold; {@link SchemaError} for what the schema refuses.
   */
  change(edit: (draft: Draft<T>) => void): Promise<void>;
}

/** A change after which the document would fit its schema less than before. Nothing was changed. */
export class SchemaError extends RejoinderError {
  /** What the schema has against it. */
  readonly issues: readonly Issue[];

  /** A change that is refused for these issues. */
  constructor(issues: readonly Issue[]) {
    super("invalid", `the schema refuses the change: ${issues.map(inLine).join("; ")}`);
    this.issues = issues;
  }
}

/**
 * A document with the type of a schema, or with one of TypeScript's that nobody checks.
 *
 * ```ts
 * const plan = typed(conversation.document("plan"), v.object({ items: v.array(Item) }), { initial: { items: [] } });
 * const notes = typed<Notes>(client.document("notes"), { initial: { byDay: {} } });
 * ```
 *
 * A schema reads what lies in the document. One that changes values while it reads is for reading alone:
 * drafts have what lies there. Fields that a schema doesn't know stay.
 */
export function typed<S extends StandardSchema>(
  document: SharedDocument,
  schema: S,
  options?: TypedOptions<Output<S>>,
): TypedDocument<Output<S>>;
export function typed<T>(document: SharedDocument, options?: TypedOptions<T>): TypedDocument<T>;
export function typed<T>(
  document: SharedDocument,
  first?: StandardSchema<unknown, T> | TypedOptions<T>,
  second?: TypedOptions<T>,
): TypedDocument<T> {
  const isSchema = first !== undefined && "~standard" in first;
  const options = isSchema ? second : first;
  return new Typed<T>(document, isSchema ? first : undefined, options ?? {});
}

/** A change that was made by a document's handle. */
export interface OwnChange {
  readonly before: DocumentValue;
  readonly after: DocumentValue;
  /** Rejects if it could not be made. */
  readonly made: Promise<void>;
}

/** Who hears of changes that are made by a document's handle. */
export function ownChanges<T>(document: TypedDocument<T>): Set<(change: OwnChange) => void> {
  return (document as Typed<T>).own;
}

class Typed<T> implements TypedDocument<T> {
  readonly document: SharedDocument;
  readonly value: Mapped<DocumentValue | undefined, T | undefined>;
  readonly issues: Live<readonly Issue[]>;
  /** Who hears of what is changed here. */
  readonly own = new Set<(change: OwnChange) => void>();
  readonly #schema: StandardSchema<unknown, T> | undefined;
  readonly #initial: DocumentValue;
  readonly #migrations: readonly Migration[];
  readonly #source: Cell<DocumentValue | undefined>;
  #read: Read<T> | undefined;
  #output: DocumentValue | undefined;

  constructor(document: SharedDocument, schema: StandardSchema<unknown, T> | undefined, options: TypedOptions<T>) {
    this.document = document;
    this.#schema = schema;
    // What begins a document must not change under it afterwards.
    this.#initial = copied(options.initial ?? {}, "initial", []);
    this.#migrations = options.migrations ?? [];
    this.#source = document.value as Cell<DocumentValue | undefined>;
    this.value = new Mapped(this.#source, (value) => this.#valid(value));
    this.issues = new Mapped(this.#source, (value) => this.#issues(value));
  }

  get name(): string {
    return this.document.name;
  }

  at<V>(path: Path): Live<V | undefined> {
    const place = checkPath(path, "at");
    return new Mapped(this.value, (value) => at(value as DocumentValue | undefined, place) as V | undefined);
  }

  async change(edit: (draft: Draft<T>) => void): Promise<void> {
    // What is yet to be handed over refuses this, and would be waited for below.
    if (this.#source.current === undefined) await this.document.get([NO_KEY]);
    // Only what is followed is known to be of now.
    if (this.#source.current === undefined || !this.#source.isFollowed) await this.#source.ready();
    const before = this.#source.current ?? {};
    const { whole, first } = this.#look(before);
    const ops = record<T>(whole, edit);
    if (ops.length === 0) return;
    const after = ops.reduce(apply, whole);
    this.#check(before, after);
    const made = this.document.change((edits) => {
      for (const op of [...first, ...ops]) replay(edits, op);
    });
    for (const listener of this.own) listener({ before: whole, after, made });
    await made;
  }

  /** With what it begins with, and as the schema has it. */
  #look(of: DocumentValue): Read<T> {
    if (this.#read?.of === of) return this.#read;
    const { first, problem } = this.#first(of);
    const whole = share(this.#read?.whole, first.reduce(apply, of));
    const fits: Result<T> = this.#schema === undefined ? { value: whole as T } : validate(this.#schema, whole);
    const result = problem === undefined ? fits : { issues: [problem, ...(fits.issues ?? NONE)] };
    this.#read = { of, first, whole, result };
    return this.#read;
  }

  #first(of: DocumentValue): { readonly first: readonly Op[]; readonly problem?: Issue } {
    try {
      // Where nothing was written, no older version has written anything.
      const isNew = isMap(of) && Object.keys(of).length === 0;
      const ops = isNew ? [] : migrated(of, this.#migrations);
      return { first: [...ops, ...missing(ops.reduce(apply, of), this.#initial, [])] };
    } catch (error) {
      // What it was not made for is told, as what no schema expects is, and stays as it is.
      return { first: [], problem: { message: `a migration failed: ${String(error)}` } };
    }
  }

  #valid(of: DocumentValue | undefined): T | undefined {
    if (of === undefined) return undefined;
    const { result } = this.#look(of);
    if (result.issues !== undefined) return undefined;
    this.#output = share(this.#output, result.value as DocumentValue);
    return this.#output as T;
  }

  #issues(of: DocumentValue | undefined): readonly Issue[] {
    return (of === undefined ? undefined : this.#look(of).result.issues) ?? NONE;
  }

  /** What does not fit already may stay so while something else is mended, also where it stands elsewhere then. */
  #check(before: DocumentValue, after: DocumentValue): void {
    if (this.#schema === undefined) return;
    const known = this.#issues(before).map(wherever);
    const issues = (validate(this.#schema, after).issues ?? NONE).filter((issue) => {
      const place = known.indexOf(wherever(issue));
      if (place >= 0) known.splice(place, 1);
      return place < 0;
    });
    if (issues.length > 0) throw new SchemaError(issues);
  }
}

/** A document as it was read. */
interface Read<T> {
  readonly of: DocumentValue;
  /** What brings it up to date, and adds what it begins with: written with the first change. */
  readonly first: readonly Op[];
  readonly whole: DocumentValue;
  readonly result: Result<T>;
}

const NONE: readonly Issue[] = [];

/** A key at which nothing stands: to ask for it costs nothing. */
const NO_KEY = " ";

/** An issue without indexes: what others take out before it moves it. */
function wherever(issue: Issue): string {
  return inLine(issue).replace(/\d+/g, "#");
}

/** What a document lacks of what it begins with: each as the deepest maps have it. */
function missing(value: DocumentValue | undefined, initial: DocumentValue, path: Path): Op[] {
  if (!isMap(initial)) return [];
  return Object.entries(initial).flatMap(([key, inner]): Op[] => {
    const there = value === undefined ? undefined : at(value, [key]);
    const isBranch = isMap(inner) && Object.keys(inner).length > 0;
    if (isBranch && (there === undefined || isMap(there))) return missing(there, inner, [...path, key]);
    return there === undefined ? [{ op: "ensure", path: [...path, key], value: inner }] : [];
  });
}

/** Gathers an operation. */
export function replay(edits: DocumentEdit, op: Op): void {
  switch (op.op) {
    case "put":
    case "insert":
    case "ensure":
    case "convert":
      edits[op.op](op.path, op.value);
      return;
    case "delete":
      edits.delete(op.path);
      return;
    case "move":
      edits.move(op.path, op.to);
      return;
    case "increment":
      edits.increment(op.path, op.by);
      return;
    case "spliceText":
      edits.spliceText(op.path, op.index, op.deleted, op.inserted);
  }
}
