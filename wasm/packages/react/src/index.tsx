"use client";
/**
 * React hooks for `@rejoinder/client`, all of which are used below a {@link RejoinderProvider}.
 *
 * ```tsx
 * const client = await Rejoinder.open({ relay: "wss://relay.example" });
 * root.render(<RejoinderProvider client={client}><App /></RejoinderProvider>);
 * ```
 */
export { RejoinderProvider, useRejoinder } from "./provider.js";
export {
  useConversation,
  useConversations,
  useDevices,
  useHistory,
  useLive,
  useLoaded,
  useSetting,
  useStatus,
  useTyping,
} from "./live.js";
export { useDocument, useDocumentAt, usePresence, useUndo } from "./documents.js";
export type { DocumentOptions, UsedDocument } from "./documents.js";
export { useMessages } from "./messages.js";
export type { Messages } from "./messages.js";
