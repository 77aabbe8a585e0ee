import { CircleAlert } from "lucide-react";

/** Why something did not work; read aloud at once. */
export function Problem({ text }: { readonly text: string | null }) {
  return (
    <div role="alert">
      {text && (
        <p className="problem">
          <CircleAlert aria-hidden />
          {text}
        </p>
      )}
    </div>
  );
}
