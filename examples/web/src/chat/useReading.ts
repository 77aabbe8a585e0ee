import type { Conversation, ConversationInfo, Message } from "@rejoinder/client";
import { useEffect, useRef, useState, type RefObject } from "react";

interface Options {
  readonly box: RefObject<HTMLElement | null>;
  readonly conversation: Conversation;
  readonly info: ConversationInfo;
  readonly messages: readonly Message[];
  readonly me: string | null;
  readonly endPx: number;
}

interface Reading {
  readonly isAtEnd: boolean;
  /** Messages of others that came since the end was left. */
  readonly newer: number;
}

/** Marks as read what was seen: the end in view, in a window that somebody looks at. */
export function useReading({ box, conversation, info, messages, me, endPx }: Options): Reading {
  const [isAtEnd, setAtEnd] = useState(true);
  const [seen, setSeen] = useState<string | null>(null);
  const isLooking = useIsLooking();
  const marked = useRef<string | null>(null);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => setAtEnd(element.scrollHeight - element.scrollTop - element.clientHeight < endPx);
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
  }, [box, endPx]);

  const newest = messages.findLast((message) => message.id !== null && message.author !== me);
  const isReading = isAtEnd && isLooking && !info.pending && info.active;
  const { unread } = info;
  useEffect(() => {
    if (!isReading || !newest?.id) return;
    setSeen(newest.key);
    if (unread === 0 || marked.current === newest.id) return;
    const { id } = newest;
    marked.current = id;
    conversation.markRead(id).catch(() => {
      marked.current = null;
    });
  }, [isReading, newest, unread, conversation]);

  const from = isAtEnd || seen === null ? -1 : messages.findLastIndex((message) => message.key === seen);
  const newer = from < 0 ? 0 : messages.slice(from + 1).filter((message) => message.author !== me).length;
  return { isAtEnd, newer };
}

function useIsLooking(): boolean {
  const [isLooking, setLooking] = useState(() => !document.hidden && document.hasFocus());
  useEffect(() => {
    const look = () => setLooking(!document.hidden && document.hasFocus());
    const kinds = ["focus", "blur", "visibilitychange"] as const;
    for (const kind of kinds) addEventListener(kind, look, true);
    return () => {
      for (const kind of kinds) removeEventListener(kind, look, true);
    };
  }, []);
  return isLooking;
}
