import type { Conversation, ConversationInfo, Message } from "@rejoinder/client";
import type { Messages } from "@rejoinder/react";
import { defaultRangeExtractor, useVirtualizer, type Range } from "@tanstack/react-virtual";
import { ArrowDown } from "lucide-react";
import {
  useCallback,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type Ref,
} from "react";

import { useMe } from "../session.tsx";
import { MessageRow } from "./MessageRow.tsx";
import { Places } from "./places.ts";
import { useNewArrivals } from "./useNewArrivals.ts";
import { useReading } from "./useReading.ts";
import type { Search } from "./useSearch.ts";

/** Older messages are asked for when so few are left above. */
const AHEAD = 25;
/** A guess at a message's height, until it is measured. */
const HEIGHT_PX = 58;
/** So near the end counts as at the end. */
const END_PX = 80;

/** What others may ask of the list. */
export interface MessageListHandle {
  /** Brings a message into view. */
  readonly show: (key: string) => void;
  /** Puts the focus on the newest message. */
  readonly focusLast: () => void;
  /** Puts the focus back on the message that had it last. */
  readonly focusAgain: () => void;
}

interface Props {
  readonly ref: Ref<MessageListHandle>;
  readonly conversation: Conversation;
  readonly info: ConversationInfo;
  readonly window: Messages;
  readonly search: Search;
  readonly onAct: (message: Message, at: DOMRect) => void;
  readonly onReply: (message: Message) => void;
}

/** The messages: only those in view are in the page, however many are loaded. */
export function MessageList({ ref, conversation, info, window, search, onAct, onReply }: Props) {
  const { messages, hasOlder, isLoading, isFirstLoad, loadOlder } = window;
  const me = useMe();
  const box = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<string | null>(null);
  const wantsFocus = useRef(false);
  const places = useMemo(() => new Places(messages), [messages]);
  const lastKey = messages.at(-1)?.key ?? null;
  const activeKey = active !== null && places.of(active) >= 0 ? active : lastKey;
  const activeIndex = places.of(activeKey);
  const firstUnread = useFirstUnread(info, window, me);

  const virtualizer = useVirtualizer({
    count: messages.length,
    getScrollElement: () => box.current,
    estimateSize: () => HEIGHT_PX,
    getItemKey: useCallback((index: number) => messages[index]?.key ?? index, [messages]),
    // What has the focus stays in the page, or the focus would be lost.
    rangeExtractor: useCallback(
      (range: Range) => {
        const shown = defaultRangeExtractor(range);
        const isOutside = activeIndex >= 0 && activeIndex < range.count && !shown.includes(activeIndex);
        return isOutside ? [...shown, activeIndex].sort((one, other) => one - other) : shown;
      },
      [activeIndex],
    ),
    overscan: 6,
    paddingStart: 12,
    paddingEnd: 12,
    anchorTo: "end",
    followOnAppend: true,
    scrollEndThreshold: END_PX,
    useFlushSync: false,
  });
  const items = virtualizer.getVirtualItems();

  const unreadIndex = places.of(firstUnread);
  const isPlaced = useStartingPoint(virtualizer, isFirstLoad, messages.length, unreadIndex);
  const firstShown = items[0]?.index ?? Number.POSITIVE_INFINITY;
  useEffect(() => {
    if (isPlaced && hasOlder && !isLoading && firstShown < AHEAD) void loadOlder().catch(() => undefined);
  }, [isPlaced, hasOlder, isLoading, firstShown, loadOlder]);

  const { isAtEnd, newer } = useReading({ box, conversation, info, messages, me, endPx: END_PX });
  const heard = useNewArrivals(messages, isFirstLoad);

  const focusOn = useCallback(
    (key: string | null) => {
      const index = places.of(key);
      if (index < 0) return;
      setActive(key);
      virtualizer.scrollToIndex(index, { align: "auto" });
      // What is not in the page yet gets the focus as soon as it is.
      wantsFocus.current = !focusRow(box.current, key);
    },
    [places, virtualizer],
  );
  useEffect(() => {
    if (wantsFocus.current) wantsFocus.current = !focusRow(box.current, activeKey);
  });
  const show = useCallback(
    (key: string) => {
      const index = places.of(key);
      if (index >= 0) virtualizer.scrollToIndex(index, { align: "center" });
    },
    [places, virtualizer],
  );
  useImperativeHandle(ref, () => ({ show, focusLast: () => focusOn(lastKey), focusAgain: () => focusOn(activeKey) }), [
    show,
    focusOn,
    lastKey,
    activeKey,
  ]);

  const move = (event: KeyboardEvent) => {
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -messages.length, End: messages.length }[
      event.key
    ];
    if (step === undefined || !(event.target as HTMLElement).matches(".messages, .message")) return;
    event.preventDefault();
    const next = Math.min(Math.max(activeIndex + step, 0), messages.length - 1);
    focusOn(messages[next]?.key ?? null);
  };
  const isGroup = info.members.length > 2;
  return (
    <div className="messages-frame">
      <div
        ref={box}
        className="messages"
        // A feed without articles is none.
        role={messages.length > 0 ? "feed" : "region"}
        aria-label="Messages"
        aria-busy={isLoading || isFirstLoad}
        tabIndex={messages.length === 0 ? 0 : -1}
        onKeyDown={move}
      >
        <div className="messages-all" style={{ height: virtualizer.getTotalSize() }}>
          {items.map((item) => {
            const message = messages[item.index];
            if (!message) return null;
            return (
              <div
                key={item.key}
                ref={virtualizer.measureElement}
                data-index={item.index}
                className="place"
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <MessageRow
                  message={message}
                  previous={messages[item.index - 1]}
                  quoted={places.message(message.replyTo)}
                  info={info}
                  isGroup={isGroup}
                  isActive={message.key === activeKey}
                  isFirstUnread={message.key === firstUnread}
                  isFound={message.key === search.current}
                  marked={search.marked}
                  // Until the first one is here, nobody knows which of how many this is.
                  position={hasOlder ? undefined : item.index + 1}
                  total={hasOlder ? undefined : messages.length}
                  onAct={onAct}
                  onReply={onReply}
                  onFocus={setActive}
                  onShow={show}
                />
              </div>
            );
          })}
        </div>
        {!isFirstLoad && messages.length === 0 && (
          <p className="empty">Nothing was written here yet. Only members can read what will be.</p>
        )}
      </div>
      {!isAtEnd && (
        <button
          type="button"
          className="to-end"
          aria-label={newer > 0 ? `To the newest, ${newer} new` : "To the newest"}
          onClick={() => virtualizer.scrollToEnd()}
        >
          <ArrowDown aria-hidden />
          {newer > 0 && <span className="badge">{newer}</span>}
        </button>
      )}
      <p className="hidden" aria-live="polite">
        {heard}
      </p>
    </div>
  );
}

/** Puts the focus on a message, if it is in the page. */
function focusRow(box: HTMLElement | null, key: string | null): boolean {
  const row = key === null ? null : box?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  row?.focus({ preventScroll: true });
  return row !== null && row !== undefined;
}

/** The first message that was unread when the conversation was opened: there the mark is. */
function useFirstUnread(info: ConversationInfo, window: Messages, me: string | null): string | null {
  const [unread] = useState(info.unread);
  const [found, setFound] = useState<string | null>(null);
  const { messages, isFirstLoad } = window;
  useEffect(() => {
    if (isFirstLoad || unread === 0 || found !== null) return;
    let left = unread;
    const first = messages.findLast((message) => message.author !== me && !message.deleted && --left === 0);
    if (first) setFound(first.key);
  }, [isFirstLoad, unread, found, messages, me]);
  return found;
}

interface Scrolling {
  scrollToEnd(): void;
  scrollToIndex(index: number, options: { align: "center" }): void;
}

/** Where reading begins: at the first unread message, else at the end. Gives whether it has begun. */
function useStartingPoint(list: Scrolling, isFirstLoad: boolean, count: number, firstUnread: number): boolean {
  const [isPlaced, setPlaced] = useState(false);
  const isReady = !isFirstLoad && count > 0;
  useLayoutEffect(() => {
    if (!isReady) return;
    list.scrollToEnd();
    // Only after that frame it is known what is in view, and so what to load.
    const frame = requestAnimationFrame(() => setPlaced(true));
    return () => cancelAnimationFrame(frame);
  }, [list, isReady]);
  const isMoved = useRef(false);
  useLayoutEffect(() => {
    if (isMoved.current || firstUnread < 0 || count - firstUnread < 8) return;
    isMoved.current = true;
    list.scrollToIndex(firstUnread, { align: "center" });
  }, [list, firstUnread, count]);
  return isPlaced;
}
