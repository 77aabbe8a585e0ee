/**
 * Documents with types and schemas, changed by drafts: `@rejoinder/client/typed`. An entry of its own, so
 * that whoever does without does not load it.
 */
export { SchemaError, typed } from "./document.js";
export type { TypedDocument, TypedOptions } from "./document.js";
export { difference } from "../document/difference.js";
export type { Migration } from "./migration.js";
export type { Draft } from "./record.js";
export type { Issue, Output, StandardSchema } from "./schema.js";
export { undoHistory } from "./undo.js";
export type { UndoHistory } from "./undo.js";
export { followText } from "./text.js";
export type { TextDelta } from "./text.js";
