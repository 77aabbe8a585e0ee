import { useRejoinder, useStatus } from "@rejoinder/react";
import { useState } from "react";

import { Field, Toggle } from "../parts/Field.tsx";
import { Page } from "../parts/Page.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { Avatar } from "../parts/Avatar.tsx";
import { canNotify, useNotifications, useTheme, type Theme } from "../preferences.ts";
import { href } from "../route.ts";
import { useSession } from "../session.tsx";
import { setAway, useIsAway } from "../useAway.ts";
import { failure } from "../words.ts";
import { Invite } from "./Invite.tsx";
import { Shortcuts } from "./Shortcuts.tsx";

const STORAGE = {
  opfs: "in this browser’s file store",
  indexeddb: "in this browser’s database",
  memory: "nowhere: it is gone when the last tab closes",
} as const;

/** What can be set, and what there is to know. */
export function Settings() {
  const status = useStatus();
  return (
    <Page title="Settings" back={{ page: "list" }}>
      <section className="card me">
        <Avatar name={status.name || status.address || "?"} seed={status.account ?? ""} isLarge />
        <div className="who">
          <strong>{status.name}</strong>
          <span>{status.address}</span>
        </div>
      </section>
      <Name name={status.name} />
      <Appearance />
      <Notices />
      <Sync />
      <section className="card">
        <h2>Devices and recovery</h2>
        <p>
          <a href={href({ page: "devices" })}>Link or remove devices, log out, draw a new recovery code</a>
        </p>
      </section>
      <Invite />
      <Shortcuts />
    </Page>
  );
}

function Name({ name }: { readonly name: string }) {
  const client = useRejoinder();
  const [text, setText] = useState<string | null>(null);
  const { isBusy, error, run } = useBusy(failure);
  const typed = text ?? name;
  const save = () =>
    run(async () => {
      await client.account.setName(typed.trim());
      setText(null);
    });
  return (
    <form
      className="stack card"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <Field
        label="Your name"
        hint="What others call you, on all your devices."
        value={typed}
        onChange={(event) => setText(event.target.value)}
        maxLength={64}
        autoComplete="name"
      />
      <Problem text={error} />
      {text !== null && text.trim() !== name && (
        <button type="submit" className="primary" disabled={isBusy || !text.trim()}>
          Save the name
        </button>
      )}
    </form>
  );
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "As the system has it"],
  ["light", "Light"],
  ["dark", "Dark"],
];

function Appearance() {
  const [theme, setTheme] = useTheme();
  return (
    <section className="card">
      <fieldset>
        <legend>Appearance on this device</legend>
        {THEMES.map(([value, label]) => (
          <label key={value} className="check">
            <input type="radio" name="theme" checked={theme === value} onChange={() => setTheme(value)} />
            {label}
          </label>
        ))}
      </fieldset>
    </section>
  );
}

function Notices() {
  const { say } = useSession();
  const [isOn, setOn] = useNotifications();
  const change = async (on: boolean) => {
    if (!(await setOn(on))) say("The browser does not allow notifications for this page.");
  };
  return (
    <section className="card" aria-labelledby="notices">
      <h2 id="notices">Notifications</h2>
      <Toggle
        label="Announce new messages on this device"
        hint={
          canNotify()
            ? "While Rejoinder is open in the background. Muted conversations stay silent."
            : "This browser has none."
        }
        isOn={isOn}
        isDisabled={!canNotify()}
        onChange={change}
      />
    </section>
  );
}

function Sync() {
  const client = useRejoinder();
  const { attempt, say } = useSession();
  const { storage } = useStatus();
  const isAway = useIsAway();
  const [isAsking, setAsking] = useState(false);
  const persist = async () => {
    setAsking(true);
    const isKept = await client.persist().catch(() => false);
    setAsking(false);
    if (!isKept) say("The browser makes no promise. Installing Rejoinder as an app often helps.");
  };
  return (
    <section className="card" aria-labelledby="sync">
      <h2 id="sync">Connection and storage</h2>
      <Toggle
        label="Stay offline"
        hint="What you write waits on this device until you are back."
        isOn={isAway}
        onChange={(away) => attempt(setAway(client, away))}
      />
      <p className="fact">
        Everything is kept {STORAGE[storage.kind]}
        {storage.persisted ? ", and the browser promised not to clear it." : "."}
      </p>
      {!storage.persisted && storage.kind !== "memory" && (
        <button type="button" className="quiet" disabled={isAsking} onClick={() => void persist()}>
          Ask the browser to keep it
        </button>
      )}
    </section>
  );
}
