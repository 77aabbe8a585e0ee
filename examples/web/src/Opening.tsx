import { Rejoinder, type Rejoinder as Client } from "@rejoinder/client";
import { RejoinderProvider } from "@rejoinder/react";
import { useCallback, useEffect, useState } from "react";

import { App } from "./App.tsx";
import { Logo } from "./parts/Logo.tsx";
import { SessionProvider } from "./session.tsx";
import { failure } from "./words.ts";

type Opened = { readonly client: Client } | { readonly error: unknown } | null;

/** Once a page: two would only share one store with each other. */
let opening: Promise<Client> | undefined;

function open(): Promise<Client> {
  const relay = invited();
  opening ??= Rejoinder.open(relay === null ? {} : { relay });
  return opening;
}

/** The relay that serves the page, with the token of a link that somebody was invited by; else null. */
function invited(): string | null {
  const token = new URLSearchParams(location.search).get("token");
  return token && `${location.origin}/?token=${encodeURIComponent(token)}`;
}

/** Opens the store, then shows the app. */
export function Opening() {
  const [opened, setOpened] = useState<Opened>(null);
  const start = useCallback(() => {
    setOpened(null);
    open().then(
      (client) => setOpened({ client }),
      (error: unknown) => {
        opening = undefined;
        setOpened({ error });
      },
    );
  }, []);
  useEffect(start, [start]);
  if (!opened) return <Waiting />;
  if ("error" in opened) return <Refused error={opened.error} again={start} />;
  return (
    <RejoinderProvider client={opened.client}>
      <SessionProvider>
        <App />
      </SessionProvider>
    </RejoinderProvider>
  );
}

function Waiting() {
  return (
    <main className="alone" aria-busy="true">
      <Logo />
      <p className="opening">Opening…</p>
    </main>
  );
}

function Refused({ error, again }: { readonly error: unknown; readonly again: () => void }) {
  return (
    <main className="alone">
      <Logo />
      <h1>Rejoinder can't open here</h1>
      <p role="alert">{failure(error)}</p>
      <button type="button" className="primary" onClick={again}>
        Try again
      </button>
    </main>
  );
}
