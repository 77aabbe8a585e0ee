/** Failures with a stable word. */
import type { ErrorKind, RejoinderError as RejoinderErrorShape } from "./types.js";

/** A failure as it crosses from the worker. */
export interface Fault {
  readonly kind: string;
  readonly message: string;
  readonly retry: boolean;
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

  /** A failure of a kind, told in words. */
  constructor(kind: ErrorKind, message: string, options?: { retry?: boolean; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.retry = options?.retry ?? false;
  }
}

/** Whatever was thrown, as what can be sent between worker and tabs. */
export function toFault(thrown: unknown): Fault {
  if (typeof thrown === "object" && thrown !== null && "kind" in thrown && "message" in thrown) {
    const { kind, message } = thrown;
    const retry = "retry" in thrown && thrown.retry === true;
    return { kind: String(kind), message: String(message), retry };
  }
  return { kind: "internal", message: String(thrown), retry: false };
}

/** A fault, as what an app catches. */
export function fromFault(fault: Fault): RejoinderError {
  return new RejoinderError(fault.kind, fault.message, { retry: fault.retry });
}
