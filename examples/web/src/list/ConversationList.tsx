import type { ConversationInfo } from "@rejoinder/client";
import { useConversations, useStatus } from "@rejoinder/react";
import { Archive, MonitorSmartphone, Plus, Search, Settings as Gear } from "lucide-react";
import { useId, useMemo, useRef, useState, type KeyboardEvent } from "react";

import { useIsNarrow } from "../parts/useIsNarrow.ts";
import { go, href, type Route } from "../route.ts";
import { useMe } from "../session.tsx";
import { count, titleOf } from "../words.ts";
import { ConversationRow } from "./ConversationRow.tsx";
import { SyncStatus } from "./SyncStatus.tsx";

/** All conversations, and the way to everything else. */
export function ConversationList({ route }: { readonly route: Route }) {
  const { name } = useStatus();
  const [filter, setFilter] = useState("");
  const [isArchive, setArchive] = useState(false);
  const groups = useGroups(filter, isArchive);
  const chosen = "conversation" in route ? route.conversation : null;
  // Alone on a narrow screen, the list is the main thing on it.
  const isAlone = useIsNarrow() && route.page === "list";
  const Root = isAlone ? "main" : "div";
  return (
    <Root className="list">
      <nav aria-label="Conversations">
        <header>
          <h1>{isArchive ? "Archive" : "Rejoinder"}</h1>
          <a className="icon" href={href({ page: "devices" })} aria-label="Devices" title="Devices">
            <MonitorSmartphone aria-hidden />
          </a>
          <a className="icon" href={href({ page: "settings" })} aria-label="Settings" title={`Settings of ${name}`}>
            <Gear aria-hidden />
          </a>
          <a
            className="icon strong"
            href={href({ page: "new" })}
            aria-label="New conversation"
            title="New conversation"
          >
            <Plus aria-hidden />
          </a>
        </header>
        <Filter text={filter} onChange={setFilter} />
        <Rows groups={groups} chosen={chosen} isFiltered={filter !== ""} isArchive={isArchive} />
        {(groups.archived > 0 || isArchive) && (
          <button type="button" className="archive quiet" onClick={() => setArchive(!isArchive)}>
            <Archive aria-hidden />
            {isArchive ? "Back to conversations" : `Archive (${groups.archived})`}
          </button>
        )}
        <SyncStatus />
      </nav>
    </Root>
  );
}

function Filter({ text, onChange }: { readonly text: string; readonly onChange: (text: string) => void }) {
  const id = useId();
  return (
    <div className="filter">
      <Search aria-hidden />
      <label htmlFor={id} className="hidden">
        Find a conversation
      </label>
      <input
        id={id}
        type="search"
        placeholder="Find a conversation"
        value={text}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}

interface Groups {
  readonly isLoading: boolean;
  readonly pending: readonly ConversationInfo[];
  readonly rows: readonly ConversationInfo[];
  readonly archived: number;
}

/** Invitations first, then what is pinned, then the newest. */
function useGroups(filter: string, isArchive: boolean): Groups {
  const list = useConversations();
  const me = useMe();
  return useMemo(() => {
    const words = filter.toLowerCase().trim();
    const fits = (info: ConversationInfo) =>
      !words ||
      titleOf(info, me).toLowerCase().includes(words) ||
      info.members.some((member) => `${member.name} ${member.address ?? ""}`.toLowerCase().includes(words));
    const all = (list ?? []).filter(fits);
    const rows = all.filter((info) => !info.pending && info.archived === isArchive);
    return {
      isLoading: list === undefined,
      pending: isArchive ? [] : all.filter((info) => info.pending),
      rows: [...rows.filter((info) => info.pinned), ...rows.filter((info) => !info.pinned)],
      archived: (list ?? []).filter((info) => info.archived && !info.pending).length,
    };
  }, [list, filter, isArchive, me]);
}

interface RowsProps {
  readonly groups: Groups;
  readonly chosen: string | null;
  readonly isFiltered: boolean;
  readonly isArchive: boolean;
}

function Rows({ groups, chosen, isFiltered, isArchive }: RowsProps) {
  const { isLoading, pending, rows } = groups;
  const box = useRef<HTMLDivElement>(null);
  if (isLoading) return <div className="rows" aria-busy="true" />;
  const isEmpty = pending.length + rows.length === 0;
  return (
    <div className="rows" ref={box} onKeyDown={(event) => move(event, box.current)}>
      {pending.length > 0 && (
        <section aria-label="Invitations">
          <h2>{count(pending.length, "invitation")}</h2>
          <ul>
            {pending.map((info) => (
              <ConversationRow key={info.id} info={info} isChosen={info.id === chosen} />
            ))}
          </ul>
        </section>
      )}
      {rows.length > 0 && (
        <ul aria-label={isArchive ? "Archived conversations" : "Conversations"}>
          {rows.map((info) => (
            <ConversationRow key={info.id} info={info} isChosen={info.id === chosen} />
          ))}
        </ul>
      )}
      {isEmpty && <Empty isFiltered={isFiltered} isArchive={isArchive} />}
    </div>
  );
}

function Empty({ isFiltered, isArchive }: { readonly isFiltered: boolean; readonly isArchive: boolean }) {
  if (isFiltered) return <p className="empty">Nothing fits.</p>;
  if (isArchive) return <p className="empty">The archive is empty.</p>;
  return (
    <div className="empty">
      <p>No conversations yet.</p>
      <button type="button" className="primary" onClick={() => go({ page: "new" })}>
        Begin one
      </button>
    </div>
  );
}

/** Up and down lead from row to row. */
function move(event: KeyboardEvent, box: HTMLElement | null): void {
  if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || !box) return;
  const rows = [...box.querySelectorAll<HTMLElement>("a.row")];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at + (event.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
