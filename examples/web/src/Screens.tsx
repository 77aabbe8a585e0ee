import { useEffect } from "react";

import { Banners } from "./Banners.tsx";
import { Chat } from "./chat/Chat.tsx";
import { Info } from "./chat/Info.tsx";
import { Devices } from "./devices/Devices.tsx";
import { ConversationList } from "./list/ConversationList.tsx";
import { NewConversation } from "./list/NewConversation.tsx";
import { go, useRoute, type Route } from "./route.ts";
import { Settings } from "./settings/Settings.tsx";
import { useAnnouncements } from "./useAnnouncements.ts";
import { useSafetyMarks } from "./useSafety.ts";

/** The list beside what was chosen in it; on narrow screens one of the two. */
export function Main({ onEnd }: { readonly onEnd?: () => void }) {
  const route = useRoute();
  useAnnouncements(route);
  useSafetyMarks();
  useEscape(route);
  return (
    <div className={`main ${route.page === "list" ? "at-list" : "at-page"}`}>
      <Banners {...(onEnd && { onEnd })} />
      <div className="columns">
        <ConversationList route={route} />
        <Page route={route} />
      </div>
    </div>
  );
}

function Page({ route }: { readonly route: Route }) {
  switch (route.page) {
    case "chat":
      return <Chat key={route.conversation} id={route.conversation} />;
    case "info":
      return <Info key={route.conversation} id={route.conversation} />;
    case "new":
      return <NewConversation />;
    case "devices":
      return <Devices />;
    case "settings":
      return <Settings />;
    case "list":
      return (
        <main className="page nothing">
          <p>Choose a conversation, or begin a new one.</p>
        </main>
      );
  }
}

/** Escape leads one step back, unless something nearer took it. */
function useEscape(route: Route): void {
  useEffect(() => {
    const back = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
      if (route.page === "info") go({ page: "chat", conversation: route.conversation });
      else if (route.page !== "list") go({ page: "list" });
    };
    addEventListener("keydown", back);
    return () => removeEventListener("keydown", back);
  }, [route]);
}
