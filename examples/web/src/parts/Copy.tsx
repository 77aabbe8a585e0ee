import { Check, Copy as CopyIcon } from "lucide-react";
import { useEffect, useState } from "react";

import { useSession } from "../session.tsx";

const SHOWN_MS = 2500;

/** Copies a text. */
export function Copy({ text, label }: { readonly text: string; readonly label: string }) {
  const { say } = useSession();
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      say("This browser did not let the page copy. Select the text instead.");
    }
  };
  return (
    <button type="button" className="quiet" onClick={() => void copy()}>
      {isCopied ? <Check aria-hidden /> : <CopyIcon aria-hidden />}
      {isCopied ? "Copied" : label}
    </button>
  );
}
