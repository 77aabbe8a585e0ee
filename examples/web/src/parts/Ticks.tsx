import type { MessageStatus } from "@rejoinder/client";

const WORDS: Record<MessageStatus, string> = {
  sending: "Being saved",
  local: "Only on this device",
  stored: "Sent",
  delivered: "Delivered",
  read: "Read",
};

/** How far an own message has come. */
export function Ticks({ status }: { readonly status: MessageStatus }) {
  return (
    <span className={`ticks ${status}`} role="img" aria-label={WORDS[status]} title={WORDS[status]}>
      <svg viewBox="0 0 20 12" aria-hidden>
        {status === "sending" || status === "local" ? <Clock /> : <path d="M2 6.5 5.5 10 12 2.5" />}
        {(status === "delivered" || status === "read") && <path d="M9 9 10 10 16.5 2.5" />}
      </svg>
    </span>
  );
}

function Clock() {
  return <path d="M10 1.5a4.5 4.5 0 1 0 .01 0zM10 3.8V6l1.6 1.2" />;
}
