import { useStatus } from "@rejoinder/react";

import { useNow } from "../parts/useNow.ts";
import { ago, count } from "../words.ts";

/** Whether what is shown is all there is, and since when. */
export function SyncStatus() {
  const { connected, upToDate, lastConfirmedMs, waiting } = useStatus();
  const now = useNow();
  const state = !connected ? "away" : upToDate && waiting === 0 ? "well" : "busy";
  return (
    <p className={`sync ${state}`} data-testid="sync">
      <span className="dot" aria-hidden />
      {words()}
    </p>
  );

  function words(): string {
    const confirmed = lastConfirmedMs === null ? "not confirmed yet" : `last confirmed ${ago(lastConfirmedMs, now)}`;
    if (!connected) return waiting > 0 ? `Offline · ${count(waiting, "change")} waiting` : `Offline · ${confirmed}`;
    if (waiting > 0) return `Sending ${count(waiting, "change")}…`;
    return upToDate ? `Up to date · ${confirmed}` : "Catching up…";
  }
}
