/**
 * The part of the Standard Schema (https://standardschema.dev) that is used here: valibot, zod, arktype and
 * others speak it. Types only: no schema library is loaded.
 */

/** A schema of any library that speaks the standard. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Result<Output> | Promise<Result<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a schema makes of a value. */
export type Result<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

/** What a schema has against a value. */
export interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type that a schema gives. */
export type Output<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"];

const LATER: Issue = { message: "the schema answers later: a document is read and changed at once" };

/** What a schema makes of a value, at once. */
export function validate<T>(schema: StandardSchema<unknown, T>, value: unknown): Result<T> {
  const result = schema["~standard"].validate(value);
  if (!(result instanceof Promise)) return result;
  result.catch(() => undefined);
  return { issues: [LATER] };
}

/** An issue in one line: where, and what. */
export function inLine({ message, path = [] }: Issue): string {
  const steps = path.map((step) => (typeof step === "object" ? step.key : step));
  return steps.length === 0
    ? message
    : `${JSON.stringify(steps.map((step) => (typeof step === "number" ? step : String(step))))}: ${message}`;
}
