import { startTransition, useId, useOptimistic, type InputHTMLAttributes, type ReactNode } from "react";

interface Props extends InputHTMLAttributes<HTMLInputElement> {
  readonly label: string;
  readonly hint?: ReactNode;
}

/** A line to type in, with its label and what helps to fill it. */
export function Field({ label, hint, ...input }: Props) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input id={id} aria-describedby={hint ? `${id}-hint` : undefined} {...input} />
      {hint && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface ToggleProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly isOn: boolean;
  readonly isDisabled?: boolean;
  /** Sets it. Until a promise is kept, what was asked for is shown; if it fails, `isOn` again. */
  readonly onChange: (isOn: boolean) => Promise<unknown> | void;
}

/** On or off, at once. */
export function Toggle({ label, hint, isOn, isDisabled = false, onChange }: ToggleProps) {
  const id = useId();
  const [shown, show] = useOptimistic(isOn);
  const change = (wanted: boolean) =>
    startTransition(async () => {
      show(wanted);
      await onChange(wanted);
    });
  return (
    <div className="toggle">
      <div>
        <label htmlFor={id}>{label}</label>
        {hint && (
          <p className="hint" id={`${id}-hint`}>
            {hint}
          </p>
        )}
      </div>
      <input
        id={id}
        type="checkbox"
        role="switch"
        checked={shown}
        disabled={isDisabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => change(event.target.checked)}
      />
    </div>
  );
}
