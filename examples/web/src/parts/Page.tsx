import { ArrowLeft } from "lucide-react";
import type { ReactNode } from "react";

import { href, type Route } from "../route.ts";

interface Props {
  readonly title: string;
  readonly back: Route;
  readonly children: ReactNode;
}

/** A page beside the list. */
export function Page({ title, back, children }: Props) {
  return (
    <main className="page">
      <header>
        <a className="icon back" href={href(back)} aria-label="Back">
          <ArrowLeft aria-hidden />
        </a>
        <h1>{title}</h1>
      </header>
      <div className="page-body">{children}</div>
    </main>
  );
}
