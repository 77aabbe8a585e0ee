import type { Device } from "@rejoinder/client";
import { useDevices, useRejoinder, useStatus } from "@rejoinder/react";
import { LogOut, MonitorSmartphone, Plus, Star } from "lucide-react";
import { useState } from "react";

import { logOut } from "../logOut.ts";
import { Page } from "../parts/Page.tsx";
import { useNow } from "../parts/useNow.ts";
import { useSession } from "../session.tsx";
import { ago, dateTime, deviceName, quoted } from "../words.ts";
import { LinkOther } from "./LinkOther.tsx";
import { NewCode } from "./NewCode.tsx";

/** The own account's devices. */
export function Devices() {
  const devices = useDevices();
  const { role } = useStatus();
  const [isLinking, setLinking] = useState(false);
  const [isNewCode, setNewCode] = useState(false);
  const isPrimary = role === "primary";
  const here = devices?.filter((device) => !device.revoked);
  const ended = devices?.filter((device) => device.revoked) ?? [];
  return (
    <Page title="Devices" back={{ page: "list" }}>
      <p>
        All of them show the same, and each writes on its own.{" "}
        {isPrimary
          ? "This is the first device: it links and removes the others."
          : "Your first device links and removes the others."}
      </p>
      {isPrimary && (
        <button type="button" className="primary wide" onClick={() => setLinking(true)}>
          <Plus aria-hidden /> Link a device
        </button>
      )}
      <section className="card" aria-label="Devices of your account" aria-busy={devices === undefined}>
        <ul className="devices">
          {here?.map((device) => (
            <Row key={device.id} device={device} isPrimary={isPrimary} />
          ))}
        </ul>
      </section>
      {isPrimary && (
        <section className="card">
          <h2>Recovery code</h2>
          <p>
            Brings your account back if you lose all devices. If you lost it, or somebody saw it, draw a new one: the
            one before counts no more.
          </p>
          <button type="button" className="quiet" onClick={() => setNewCode(true)}>
            New recovery code
          </button>
        </section>
      )}
      {ended.length > 0 && (
        <section className="card" aria-labelledby="ended">
          <h2 id="ended">Removed</h2>
          <ul className="devices">
            {ended.map((device) => (
              <li key={device.id} className="device ended">
                <MonitorSmartphone aria-hidden />
                <div className="who">
                  <strong>{deviceName(device)}</strong>
                  <span>Removed</span>
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
      {isLinking && <LinkOther onClose={() => setLinking(false)} />}
      {isNewCode && <NewCode onClose={() => setNewCode(false)} />}
    </Page>
  );
}

function Row({ device, isPrimary }: { readonly device: Device; readonly isPrimary: boolean }) {
  const client = useRejoinder();
  const { ask, attempt } = useSession();
  const now = useNow();
  const name = deviceName(device);
  const facts = [
    device.role === "primary" ? "first device" : null,
    device.linkedMs === null ? null : `linked ${dateTime(device.linkedMs)}`,
    device.current || device.lastSeenMs === null ? null : `last seen ${ago(device.lastSeenMs, now)}`,
    device.dormancy === null ? null : "not used for weeks: remove it if you don't have it any more",
  ];
  const remove = async () => {
    const text =
      "It is closed at once and reads nothing more. What it wrote so far stays; what it has not sent yet is lost.";
    const isSure = await ask({ title: `Remove ${quoted(name)}?`, text, yes: "Remove", isDangerous: true });
    if (isSure) await attempt(client.devices.revoke(device.id));
  };
  const leave = async () => {
    const text = "Everything is erased from this browser. Your other devices keep theirs.";
    const isSure = await ask({ title: "Log this device out?", text, yes: "Log out", isDangerous: true });
    if (isSure) await attempt(logOut(client, device.id));
  };
  const pass = async () => {
    const text = `From then on ${quoted(name)} links and removes devices, and this one does not.`;
    const isSure = await ask({ title: `Make ${quoted(name)} the first device?`, text, yes: "Make it the first" });
    if (isSure) await attempt(client.devices.makePrimary(device.id));
  };
  return (
    <li className="device">
      <MonitorSmartphone aria-hidden />
      <div className="who">
        <strong>{device.current ? `${name} (this one)` : name}</strong>
        <span>{facts.filter(Boolean).join(" · ")}</span>
      </div>
      <div className="acts">
        {isPrimary && !device.current && (
          <button type="button" className="quiet" onClick={() => void pass()}>
            <Star aria-hidden /> Make it the first
          </button>
        )}
        {isPrimary && !device.current && (
          <button type="button" className="danger quiet" onClick={() => void remove()}>
            Remove
          </button>
        )}
        {device.current && (
          <button type="button" className="danger quiet" onClick={() => void leave()}>
            <LogOut aria-hidden /> Log out
          </button>
        )}
      </div>
    </li>
  );
}
