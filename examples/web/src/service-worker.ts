/// <reference lib="webworker" />
/**
 * Keeps the app's files on the device, so that it opens without a connection, and opens the page
 * when a notification is clicked. It never sees a message: those go from worker to relay.
 *
 * A new build is a new list of files, hence a new cache. It takes over when the page says so, or when
 * the last tab of the old one is closed: a page never runs with files of two builds.
 */
declare const self: ServiceWorkerGlobalScope;

/** Put in by the build. */
const FILES = JSON.parse("__FILES__") as string[];
const PREFIX = "rejoinder-files-";
const SHELL = "/index.html";

/** A short name for this list of files. */
async function cacheName(): Promise<string> {
  const bytes = new TextEncoder().encode(FILES.join("\n"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return PREFIX + Array.from(digest.slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function install(): Promise<void> {
  const cache = await caches.open(await cacheName());
  // Hashed names never change their content; all others are asked for anew.
  const request = (file: string) => new Request(file, { cache: file.startsWith("/assets/") ? "default" : "no-cache" });
  await cache.addAll(FILES.map(request));
}

async function clean(): Promise<void> {
  const current = await cacheName();
  const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== current);
  await Promise.all(others.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(await cacheName());
  const kept = await cache.match(request.mode === "navigate" ? SHELL : request);
  return kept ?? fetch(request);
}

function isOurs(request: Request): boolean {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return false;
  return request.mode === "navigate" ? url.pathname === "/" : FILES.includes(url.pathname);
}

async function show(path: string): Promise<void> {
  const tabs = await self.clients.matchAll({ type: "window" });
  const tab = tabs[0];
  if (!tab) return void (await self.clients.openWindow(`/${path}`));
  await tab.focus();
  tab.postMessage({ show: path });
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(clean()));
self.addEventListener("fetch", (event) => {
  if (isOurs(event.request)) event.respondWith(answer(event.request));
});
self.addEventListener("message", (event) => {
  if (event.data === "take-over") void self.skipWaiting();
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const path: unknown = event.notification.data;
  event.waitUntil(show(typeof path === "string" ? path : ""));
});
