import type { Message } from "@rejoinder/client";
import { useEffect, useRef, useState } from "react";

/** What a screen reader is to say: the newest message of somebody else, once it comes. */
export function useNewArrivals(messages: readonly Message[], isFirstLoad: boolean): string {
  const [heard, setHeard] = useState("");
  const last = useRef<string | null>(null);
  const newest = messages.at(-1);
  useEffect(() => {
    if (isFirstLoad) return;
    const before = last.current;
    last.current = newest?.key ?? "";
    if (before === null || !newest || before === newest.key || newest.mine) return;
    setHeard(`${newest.authorName || newest.authorAddress || "Somebody"}: ${newest.text}`);
  }, [newest, isFirstLoad]);
  return heard;
}
