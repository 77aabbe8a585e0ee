import type { ConversationInfo, Message } from "@rejoinder/client";
import { CornerUpLeft, Ellipsis } from "lucide-react";
import { memo, type KeyboardEvent } from "react";

import { Avatar, colourOf } from "../parts/Avatar.tsx";
import { Ticks } from "../parts/Ticks.tsx";
import { count, dateTime, day, isSameDay, nameOf, time } from "../words.ts";
import { Text } from "./Text.tsx";

/** Messages of one author within this time stand together. */
const TOGETHER_MS = 5 * 60 * 1000;

interface Props {
  readonly message: Message;
  readonly previous: Message | undefined;
  /** What it answers, if that is loaded. */
  readonly quoted: Message | undefined;
  readonly info: ConversationInfo;
  readonly isGroup: boolean;
  /** Whether Tab leads to it. */
  readonly isActive: boolean;
  readonly isFirstUnread: boolean;
  readonly isFound: boolean;
  readonly marked: string;
  /** Which of all it is, from 1; undefined while that isn't known, as `total` is. */
  readonly position: number | undefined;
  readonly total: number | undefined;
  readonly onAct: (message: Message, at: DOMRect) => void;
  readonly onReply: (message: Message) => void;
  readonly onFocus: (key: string) => void;
  readonly onShow: (key: string) => void;
}

/** One message, with what stands above it: the day, the mark of what is new, the author. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { message, previous, isFirstUnread } = props;
  const isNewDay = !previous || !isSameDay(previous.atMs, message.atMs);
  const isBegin =
    isNewDay || isFirstUnread || previous.author !== message.author || message.atMs - previous.atMs > TOGETHER_MS;
  return (
    <>
      {isNewDay && (
        <p className="day">
          <time dateTime={new Date(message.atMs).toISOString().slice(0, 10)}>{day(message.atMs, Date.now())}</time>
        </p>
      )}
      {isFirstUnread && <p className="new-mark">New messages</p>}
      <Bubble {...props} isBegin={isBegin} />
    </>
  );
});

function Bubble(props: Props & { readonly isBegin: boolean }) {
  const { message, quoted, info, isGroup, isActive, isFound, marked, isBegin, onAct, onReply, onFocus } = props;
  const author = authorOf(message, info);
  const showsAuthor = isGroup && !message.mine;
  const act = (element: Element) => {
    const beside = element.matches(".message") ? element.querySelector(".bubble") : element;
    onAct(message, (beside ?? element).getBoundingClientRect());
  };
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") act(event.currentTarget);
    else if (event.key === "r" && message.id) onReply(message);
    else return;
    event.preventDefault();
  };
  return (
    <article
      className={`message${message.mine ? " mine" : ""}${isBegin ? " begin" : ""}${isFound ? " found" : ""}`}
      data-key={message.key}
      aria-posinset={props.position}
      aria-setsize={props.total}
      aria-label={`${message.mine ? "You" : author}, ${time(message.atMs)}`}
      tabIndex={isActive ? 0 : -1}
      onKeyDown={onKeyDown}
      onFocus={() => onFocus(message.key)}
      onContextMenu={(event) => {
        if (getSelection()?.isCollapsed === false) return;
        event.preventDefault();
        act(event.currentTarget);
      }}
    >
      {showsAuthor && (isBegin ? <Avatar name={author} seed={message.author} /> : <span className="avatar-space" />)}
      <div className="bubble-column">
        <div className={`bubble${message.deleted ? " deleted" : ""}`}>
          {showsAuthor && isBegin && <p className={`author ink-${colourOf(message.author)}`}>{author}</p>}
          {message.replyTo !== null && <Quote quoted={quoted} info={info} onShow={props.onShow} />}
          <Body message={message} marked={marked} />
          <span className="meta">
            {message.edited && !message.deleted && "edited · "}
            <time dateTime={new Date(message.atMs).toISOString()} title={dateTime(message.atMs)}>
              {time(message.atMs)}
            </time>
            {message.mine && <Ticks status={message.status} />}
          </span>
        </div>
        <Reactions message={message} info={info} onOpen={act} />
      </div>
      {message.id !== null && (
        <button
          type="button"
          className="icon act"
          aria-label="Actions for this message"
          tabIndex={isActive ? 0 : -1}
          onClick={(event) => act(event.currentTarget)}
        >
          <Ellipsis aria-hidden />
        </button>
      )}
    </article>
  );
}

function Body({ message, marked }: { readonly message: Message; readonly marked: string }) {
  if (message.deleted) return <p className="words">This message was deleted</p>;
  if (message.needsUpdate) return <p className="words">This message needs a newer version of Rejoinder</p>;
  return <Text text={message.text} marked={marked} />;
}

interface QuoteProps {
  readonly quoted: Message | undefined;
  readonly info: ConversationInfo;
  readonly onShow: (key: string) => void;
}

function Quote({ quoted, info, onShow }: QuoteProps) {
  if (!quoted) {
    return (
      <p className="quote">
        <CornerUpLeft aria-hidden /> An earlier message
      </p>
    );
  }
  return (
    <button type="button" className="quote" tabIndex={-1} onClick={() => onShow(quoted.key)}>
      <strong>{quoted.mine ? "You" : authorOf(quoted, info)}</strong>
      <span>{quoted.deleted ? "deleted" : quoted.text}</span>
    </button>
  );
}

interface ReactionsProps {
  readonly message: Message;
  readonly info: ConversationInfo;
  readonly onOpen: (element: Element) => void;
}

function Reactions({ message, info, onOpen }: ReactionsProps) {
  const entries = Object.entries(message.reactions);
  if (entries.length === 0) return null;
  const names = new Map<string, string[]>();
  for (const [account, emoji] of entries) {
    const member = info.members.find((one) => one.account === account);
    names.set(emoji, [...(names.get(emoji) ?? []), nameOf(member)]);
  }
  return (
    <ul className="reactions" aria-label={count(entries.length, "reaction")}>
      {[...names].map(([emoji, who]) => (
        <li key={emoji}>
          <button
            type="button"
            tabIndex={-1}
            title={who.join(", ")}
            aria-label={`${emoji} from ${who.join(", ")}`}
            onClick={(event) => onOpen(event.currentTarget)}
          >
            {emoji}
            {who.length > 1 && <span>{who.length}</span>}
          </button>
        </li>
      ))}
    </ul>
  );
}

function authorOf(message: Message, info: ConversationInfo): string {
  const member = info.members.find((one) => one.account === message.author);
  return member ? nameOf(member) : message.authorName || message.authorAddress || "Somebody";
}
