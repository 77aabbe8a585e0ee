import { useEffect } from "react";

import { go, parse } from "./route.ts";
import { useSession } from "./session.tsx";

/** Files of this app on the device, so that it opens offline; a new build when there is one. */
export function useUpdate(): void {
  const { ask } = useSession();
  useEffect(() => {
    if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
    const stop = new AbortController();
    const { signal } = stop;
    const offer = async (worker: ServiceWorker) => {
      const yes = await ask({
        title: "A new version is here",
        text: "It takes over now, or when you next open Rejoinder.",
        yes: "Reload now",
      });
      if (!yes || signal.aborted) return;
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { signal, once: true });
      worker.postMessage("take-over");
    };
    navigator.serviceWorker.addEventListener(
      "message",
      (event: MessageEvent<{ show?: unknown }>) => {
        if (typeof event.data?.show === "string") go(parse(event.data.show));
      },
      { signal },
    );
    void register(offer, signal);
    return () => stop.abort();
  }, [ask]);
}

async function register(offer: (worker: ServiceWorker) => Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    const registration = await navigator.serviceWorker.register("/service-worker.js");
    // The first one has nothing to take over from.
    if (registration.waiting && navigator.serviceWorker.controller) void offer(registration.waiting);
    registration.addEventListener(
      "updatefound",
      () => {
        const worker = registration.installing;
        worker?.addEventListener("statechange", () => {
          const isUpdate = worker.state === "installed" && navigator.serviceWorker.controller;
          if (isUpdate && !signal.aborted) void offer(worker);
        });
      },
      { signal },
    );
  } catch (error) {
    // Private windows have none: the app works, it just doesn't open offline.
    console.info("no service worker:", error);
  }
}
