import type { Messages } from "@rejoinder/react";
import { ChevronDown, ChevronUp, X } from "lucide-react";
import { useEffect, useId } from "react";

import { useSession } from "../session.tsx";
import { count } from "../words.ts";
import type { Search } from "./useSearch.ts";

interface Props {
  readonly search: Search;
  readonly window: Messages;
  /** Brings a message into view. */
  readonly onShow: (key: string) => void;
}

/** Searches the messages that are loaded, and loads more of them. */
export function SearchBar({ search, window, onShow }: Props) {
  const { attempt } = useSession();
  const id = useId();
  const { current, found, at, move } = search;
  useEffect(() => {
    if (current !== undefined) onShow(current);
  }, [current, onShow]);
  const isNone = found.length === 0;
  return (
    <search className="search">
      <label htmlFor={id} className="hidden">
        Search in loaded messages
      </label>
      <input
        id={id}
        type="search"
        placeholder="Search in loaded messages"
        value={search.text}
        onChange={(event) => search.setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") move(event.shiftKey ? 1 : -1);
          else if (event.key === "Escape") search.toggle();
          else return;
          event.preventDefault();
        }}
        autoFocus
      />
      <output>
        {search.marked ? (isNone ? "None" : `${at + 1} of ${found.length}`) : count(window.messages.length, "message")}
      </output>
      <button type="button" className="icon" aria-label="Older match" disabled={isNone} onClick={() => move(-1)}>
        <ChevronUp aria-hidden />
      </button>
      <button type="button" className="icon" aria-label="Newer match" disabled={isNone} onClick={() => move(1)}>
        <ChevronDown aria-hidden />
      </button>
      {window.hasOlder && (
        <button
          type="button"
          className="quiet"
          disabled={window.isLoading}
          onClick={() => void attempt(window.loadOlder())}
        >
          Load older
        </button>
      )}
      <button type="button" className="icon" aria-label="Close the search" onClick={search.toggle}>
        <X aria-hidden />
      </button>
    </search>
  );
}
