/**
 * Conversations, documents and settings in step on all of a person's devices.
 *
 * Begin with {@link Rejoinder}`.open()`.
 */
export { Rejoinder } from "./rejoinder.js";
export { RejoinderError } from "./error.js";
export { EditError } from "./document/error.js";
export { values } from "./document/edit.js";
export { SharedCounter, SharedText } from "./document/kinds.js";
export type {
  Account,
  AccountId,
  Comparison,
  Contact,
  Contacts,
  Conversation,
  ConversationId,
  ConversationInfo,
  Conversations,
  Device,
  DeviceId,
  DeviceRole,
  Devices,
  DocumentChange,
  DocumentConflict,
  DocumentEdit,
  DocumentInfo,
  DocumentList,
  DocumentValue,
  ErrorKind,
  Events,
  HistoryProgress,
  Invite,
  Json,
  LastMessage,
  LinkOffer,
  LinkRequest,
  Live,
  Member,
  MemberRole,
  Message,
  MessageId,
  MessageList,
  MessagePage,
  MessageStatus,
  NewAccount,
  OpenOptions,
  Path,
  Peer,
  Person,
  Presence,
  Problem,
  RejoinderOpener,
  Settings,
  SharedDocument,
  Status,
  StorageKind,
  StorageStatus,
  Unreadable,
  Vouched,
  Whose,
} from "./types.js";
