interface Props {
  /** Whose, or of what: the first letters are shown. */
  readonly name: string;
  /** Chooses the colour: the same for ever. */
  readonly seed: string;
  readonly isLarge?: boolean;
}

const COLOURS = 8;

/** A coloured disc with initials. The name stands beside it, so it is not read aloud. */
export function Avatar({ name, seed, isLarge }: Props) {
  return (
    <span className={`avatar hue-${colourOf(seed)}${isLarge ? " large" : ""}`} aria-hidden>
      {initials(name)}
    </span>
  );
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const first = words.map((word) => Array.from(word).find((letter) => /[\p{L}\p{N}]/u.test(letter)) ?? "");
  const letters = first.filter(Boolean);
  return (letters.length > 1 ? `${letters[0]}${letters[1]}` : (letters[0] ?? "·")).toUpperCase();
}

/** One of the colours, by the text. */
export function colourOf(seed: string): number {
  let sum = 0;
  for (const letter of seed) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 4093;
  return sum % COLOURS;
}
