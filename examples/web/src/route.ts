/** Where in the app one is, kept in the address after `#`, so that back, forward and links work. */
import { useSyncExternalStore } from "react";
import type { ConversationId } from "@rejoinder/client";

/** A place in the app. */
export type Route =
  | { readonly page: "list" }
  | { readonly page: "chat"; readonly conversation: ConversationId }
  | { readonly page: "info"; readonly conversation: ConversationId }
  | { readonly page: "new" }
  | { readonly page: "devices" }
  | { readonly page: "settings" };

/** The address of a place. */
export function href(route: Route): string {
  switch (route.page) {
    case "list":
      return "#/";
    case "chat":
      return `#/c/${encodeURIComponent(route.conversation)}`;
    case "info":
      return `#/c/${encodeURIComponent(route.conversation)}/info`;
    default:
      return `#/${route.page}`;
  }
}

/** The place that an address names; the list for one that names nothing. */
export function parse(hash: string): Route {
  const [first = "", second = "", third = ""] = hash.replace(/^#\/?/, "").split("/");
  if (first === "c" && second) {
    const conversation = decoded(second);
    return { page: third === "info" ? "info" : "chat", conversation };
  }
  if (first === "new" || first === "devices" || first === "settings") return { page: first };
  return { page: "list" };
}

/** Goes to a place. `replace` leaves no trace in the history. */
export function go(route: Route, options?: { readonly replace?: boolean }): void {
  const target = href(route);
  if (target === (location.hash || "#/")) return;
  if (options?.replace) {
    history.replaceState(null, "", target);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = target;
  }
}

/** Where one is. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(follow, () => location.hash);
  return parse(hash);
}

function follow(changed: () => void): () => void {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}

/** An address that somebody mangled names nothing; it must not throw. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
