import type { ConversationInfo, Message } from "@rejoinder/client";
import { useConversations, useRejoinder } from "@rejoinder/react";
import { useEffect, useRef } from "react";

import { wantsNotifications } from "./preferences.ts";
import { href, type Route } from "./route.ts";
import { useSession } from "./session.tsx";
import { nameOf, titleOf } from "./words.ts";

/** Tells of what happens elsewhere: the number in the title, notifications, people not added. */
export function useAnnouncements(route: Route): void {
  const client = useRejoinder();
  const { say } = useSession();
  const list = useConversations();
  const unread = (list ?? []).filter((info) => !info.muted && !info.archived);
  const total = unread.reduce((sum, info) => sum + info.unread, 0);
  useEffect(() => {
    document.title = total > 0 ? `(${total}) Rejoinder` : "Rejoinder";
    if ("setAppBadge" in navigator) void navigator.setAppBadge(total).catch(() => undefined);
  }, [total]);

  const shown = route.page === "chat" ? route.conversation : null;
  useEffect(() => {
    void client.conversations.foreground(shown).catch(() => undefined);
  }, [client, shown]);

  const newest = useRef(list);
  useEffect(() => {
    newest.current = list;
  });
  useEffect(() => {
    const infoOf = (id: string) => newest.current?.find((info) => info.id === id);
    const stops = [
      client.on("message", ({ conversation, items }) => {
        const info = infoOf(conversation);
        const last = items.at(-1);
        if (info && last) void notify(info, last, client.status.current.account);
      }),
      client.on("notAdded", ({ address, kind }) => {
        say(kind === "not_found" ? `Nobody has the address ${address}.` : `${address} could not be added (${kind}).`);
      }),
      client.on("rejected", ({ error }) => say(`A change could not be made: ${error.message}`)),
      client.on("evidence", ({ what }) => {
        say(`The relay shows different histories to different devices: ${what}. Ask whoever runs it.`);
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }, [client, say]);
}

/** A notice by the system, unless somebody is looking, it is muted, or it is old news. */
async function notify(info: ConversationInfo, message: Message, me: string | null): Promise<void> {
  const isNews = !message.mine && !message.deleted && info.last?.id === message.id;
  if (!isNews || info.muted || !document.hidden || !wantsNotifications()) return;
  const author = info.members.find((member) => member.account === message.author);
  const registration = await navigator.serviceWorker?.getRegistration();
  const path = href({ page: "chat", conversation: info.id });
  const options = { body: `${nameOf(author)}: ${message.text}`, tag: info.id, icon: "/icon-192.png", data: path };
  await registration?.showNotification(titleOf(info, me), options).catch(() => undefined);
}
