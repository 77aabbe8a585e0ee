import { ArrowLeft } from "lucide-react";
import type { ReactNode } from "react";

interface Props {
  readonly title: string;
  readonly onBack: () => void;
  readonly children: ReactNode;
}

/** One way to begin, with the way back. */
export function Step({ title, onBack, children }: Props) {
  return (
    <main className="alone step">
      <header>
        <button type="button" className="icon" aria-label="Back" onClick={onBack}>
          <ArrowLeft aria-hidden />
        </button>
        <h1>{title}</h1>
      </header>
      {children}
    </main>
  );
}
