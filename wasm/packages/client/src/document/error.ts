/** Why an edit can't be made. */
import { RejoinderError } from "../error.js";
import type { ErrorKind, Path } from "../types.js";

/** An edit that can't be made: which operation, where, and why. Nothing was changed. */
export class EditError extends RejoinderError {
  /** The operation: `put`, `insert`, `delete`, `increment`, `spliceText`, ... */
  readonly operation: string;
  /** Where in the document. */
  readonly path: Path;
  /** Why, without the rest. */
  readonly reason: string;

  /** An edit that fails for a reason. */
  constructor(operation: string, path: Path, reason: string, kind: ErrorKind = "invalid") {
    super(kind, `${operation} ${JSON.stringify(path)}: ${reason}`);
    this.operation = operation;
    this.path = path;
    this.reason = reason;
  }
}
