/** Failures with a stable word. */
import type { ErrorKind, RejoinderError as RejoinderErrorShape } from "./types.js";
import type { Fields } from "./wire.js";

/** A failure as it crosses from the worker. */
export interface Fault {
  readonly kind: string;
  readonly message: string;
  readonly retry: boolean;
  /** What else is said of it. */
  readonly details?: Fields;
}

/**
 * A failure. Nothing was changed.
 *
 * ```ts
 * if (error instanceof RejoinderError && error.kind === "offline") ...
 * ```
 */
export class RejoinderError extends Error implements RejoinderErrorShape {
  override readonly name = "RejoinderError" as const;
  readonly kind: ErrorKind;
  readonly retry: boolean;
  readonly details: Fields;

  /** A failure of a kind, told in words. */
  constructor(kind: ErrorKind, message: string, options?: { retry?: boolean; cause?: unknown; details?: Fields }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.retry = options?.retry ?? false;
    this.details = options?.details ?? {};
  }
}

/** Whatever was thrown, as what can be sent between worker and tabs. */
export function toFault(thrown: unknown): Fault {
  if (typeof thrown === "object" && thrown !== null && "kind" in thrown && "message" in thrown) {
    const { kind, message, retry, ...details } = thrown as Fields;
    return { kind: String(kind), message: String(message), retry: retry === true, details };
  }
  return { kind: "internal", message: String(thrown), retry: false };
}

/** A fault, as what an app catches. */
export function fromFault(fault: Fault): RejoinderError {
  const { kind, message, retry, details = {} } = fault;
  return new RejoinderError(kind, message, { retry, details });
}
