const KEYS: readonly (readonly [string, string])[] = [
  ["Enter", "Send; on a message: what one can do with it"],
  ["Shift + Enter", "New line"],
  ["↑", "From an empty line to the messages; from message to message"],
  ["R", "On a message: reply to it"],
  ["Esc", "One step back"],
];

/** What the keyboard does. */
export function Shortcuts() {
  return (
    <section className="card" aria-labelledby="keys">
      <h2 id="keys">Keyboard</h2>
      <dl className="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
