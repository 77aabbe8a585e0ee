import type { Message } from "@rejoinder/client";
import { useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";

/** What is searched for in the loaded messages, and where it was found. */
export interface Search {
  readonly isOpen: boolean;
  readonly toggle: () => void;
  readonly text: string;
  readonly setText: (text: string) => void;
  /** Keys of the messages that fit, oldest first. */
  readonly found: readonly string[];
  /** Which of them is shown; -1 if none. */
  readonly at: number;
  /** Shows the one so many further; older ones are before it. */
  readonly move: (by: number) => void;
  /** The key of the one that is shown. */
  readonly current: string | undefined;
  /** What to mark in the messages; empty if nothing. */
  readonly marked: string;
}

/** Searches loaded messages, without keeping the typing waiting. */
export function useSearch(messages: readonly Message[]): Search {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const words = useDeferredValue(isOpen ? text.trim().toLowerCase() : "");
  const found = useMemo(() => {
    if (!words) return [];
    const fits = (message: Message) => !message.deleted && message.text.toLowerCase().includes(words);
    return messages.filter(fits).map((message) => message.key);
  }, [messages, words]);
  // Unless one was chosen, the newest is shown.
  const kept = chosen === null ? -1 : found.indexOf(chosen);
  const at = kept >= 0 ? kept : found.length - 1;
  const move = useCallback(
    (by: number) => {
      const next = found[(at + by + found.length) % found.length];
      if (next !== undefined) setChosen(next);
    },
    [found, at],
  );
  const toggle = useCallback(() => setOpen((open) => !open), []);
  useEffect(() => setChosen(null), [words]);
  return { isOpen, toggle, text, setText, found, at, move, current: found[at], marked: words };
}
