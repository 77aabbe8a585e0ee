import { useRejoinder, useStatus } from "@rejoinder/react";
import { CloudOff, HardDrive, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";

import { Moved } from "./Moved.tsx";
import { useNow } from "./parts/useNow.ts";
import { href } from "./route.ts";
import { useSession } from "./session.tsx";
import { setAway, useIsAway } from "./useAway.ts";
import { ago, count, troubleOf } from "./words.ts";

/** What concerns the whole app, above everything else. */
export function Banners({ onEnd }: { readonly onEnd?: () => void }) {
  const { problem, storage, connected, nameless } = useStatus();
  const trouble = problem && troubleOf(problem);
  return (
    <div className="banners">
      {onEnd && (
        <Banner icon={<TriangleAlert aria-hidden />} kind="warning">
          This device was removed from the account. Nothing new arrives or is sent.
          <button type="button" onClick={onEnd}>
            Close
          </button>
        </Banner>
      )}
      {!onEnd && !connected && <Offline />}
      {!onEnd && trouble && (
        <Banner icon={<TriangleAlert aria-hidden />} kind="warning">
          {trouble}
          {problem.kind === "other_relay" && problem.relay !== null && <AcceptRelay relay={problem.relay} />}
        </Banner>
      )}
      {!onEnd && <Moved />}
      {!onEnd && nameless && (
        <Banner icon={<TriangleAlert aria-hidden />} kind="warning">
          Others can’t see your name: it was lost with your devices.
          <a href={href({ page: "settings" })}>Give it again</a>
        </Banner>
      )}
      {storage.failed && (
        <Banner icon={<HardDrive aria-hidden />} kind="warning">
          This browser can't write to its storage. What you write now is tried again; free some disk space.
        </Banner>
      )}
      {storage.kind === "memory" && (
        <Banner icon={<HardDrive aria-hidden />} kind="warning">
          This browser keeps nothing: the account is gone from it when you close the last tab.
        </Banner>
      )}
    </div>
  );
}

function Offline() {
  const client = useRejoinder();
  const { attempt } = useSession();
  const { waiting, lastConfirmedMs } = useStatus();
  const isAway = useIsAway();
  const now = useNow();
  return (
    <Banner icon={<CloudOff aria-hidden />} kind="offline">
      <span>
        <strong>{isAway ? "You are offline by choice." : "No connection."}</strong>{" "}
        {waiting > 0
          ? `${count(waiting, "change")} ${waiting === 1 ? "waits" : "wait"} to be sent.`
          : "What you write is sent later."}{" "}
        {lastConfirmedMs !== null && `Last confirmed ${ago(lastConfirmedMs, now)}.`}
      </span>
      {isAway && (
        <button type="button" onClick={() => void attempt(setAway(client, false))}>
          Connect
        </button>
      )}
    </Banner>
  );
}

function AcceptRelay({ relay }: { readonly relay: string }) {
  const client = useRejoinder();
  const { attempt } = useSession();
  return (
    <button type="button" onClick={() => void attempt(client.acceptRelay(relay))}>
      Go on with it
    </button>
  );
}

interface Props {
  readonly icon: ReactNode;
  readonly kind: "offline" | "warning";
  readonly children: ReactNode;
}

function Banner({ icon, kind, children }: Props) {
  return (
    <div className={`banner ${kind}`} role="status">
      {icon}
      {children}
    </div>
  );
}
