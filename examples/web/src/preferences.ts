/** What is chosen for this browser alone, and therefore kept in it. */
import { useSyncExternalStore } from "react";

/** Light, dark, or as the system has it. */
export type Theme = "system" | "light" | "dark";

const THEME = "rejoinder.theme";
const NOTIFY = "rejoinder.notify";
const listeners = new Set<() => void>();

function follow(changed: () => void): () => void {
  listeners.add(changed);
  addEventListener("storage", changed);
  return () => {
    listeners.delete(changed);
    removeEventListener("storage", changed);
  };
}

function keep(key: string, value: string): void {
  localStorage.setItem(key, value);
  for (const listener of listeners) listener();
}

function chosenTheme(): Theme {
  const kept = localStorage.getItem(THEME);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** The theme and what changes it. */
export function useTheme(): readonly [Theme, (theme: Theme) => void] {
  return [useSyncExternalStore(follow, chosenTheme), setTheme];
}

function setTheme(theme: Theme): void {
  keep(THEME, theme);
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

/** Whether new messages are to be announced by the system. */
export function wantsNotifications(): boolean {
  return localStorage.getItem(NOTIFY) === "yes";
}

/** Whether new messages are announced, and what changes it (asking for permission). */
export function useNotifications(): readonly [boolean, (on: boolean) => Promise<boolean>] {
  const isOn = useSyncExternalStore(follow, () => wantsNotifications() && isPermitted());
  return [isOn, setNotifications];
}

/** Whether this browser announces anything at all. */
export function canNotify(): boolean {
  return "Notification" in globalThis;
}

function isPermitted(): boolean {
  return canNotify() && Notification.permission === "granted";
}

/** False if the user, or the browser, refuses. */
async function setNotifications(on: boolean): Promise<boolean> {
  const isRefused = on && (!canNotify() || (await Notification.requestPermission()) !== "granted");
  keep(NOTIFY, on && !isRefused ? "yes" : "no");
  return !isRefused;
}
