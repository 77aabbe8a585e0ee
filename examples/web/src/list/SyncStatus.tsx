import { useStatus } from "@rejoinder/react";

import { useLasting } from "../parts/useLasting.ts";
import { useNow } from "../parts/useNow.ts";
import { ago, count } from "../words.ts";

/** What is sent within this time is not worth a word. */
const PATIENCE_MS = 500;

/** Whether what is shown is all there is, and since when. */
export function SyncStatus() {
  const { connected, upToDate, lastConfirmedMs, waiting, withheld } = useStatus();
  const now = useNow();
  const isSending = useLasting(connected && waiting > 0, PATIENCE_MS);
  const isBusy = !upToDate || isSending;
  const state = !connected ? "away" : isBusy ? "busy" : "well";
  return (
    <p className={`sync ${state}`} data-testid="sync">
      <span className="dot" aria-hidden />
      {words()}
    </p>
  );

  function words(): string {
    const confirmed = lastConfirmedMs === null ? "not confirmed yet" : `last confirmed ${ago(lastConfirmedMs, now)}`;
    if (!connected) return waiting > 0 ? `Offline · ${count(waiting, "change")} waiting` : `Offline · ${confirmed}`;
    if (!isBusy) return `Up to date · ${confirmed}`;
    if (withheld > 0) return "Not up to date · the relay keeps something back";
    return isSending ? `Sending ${count(waiting, "change")}…` : "Catching up…";
  }
}
