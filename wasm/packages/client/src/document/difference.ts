/** What one text differs in from another. */

/** What changed from one text to another: one stretch, which splits no character. */
export function difference(old: string, now: string): { index: number; deleted: number; inserted: string } {
  const least = Math.min(old.length, now.length);
  let index = 0;
  while (index < least && old[index] === now[index]) index += 1;
  if (isHigh(old, index - 1)) index -= 1;
  let end = 0;
  while (end < least - index && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  if (end > 0 && isLow(old, old.length - end)) end -= 1;
  return { index, deleted: old.length - index - end, inserted: now.slice(index, now.length - end) };
}

function isHigh(text: string, index: number): boolean {
  return /[\uD800-\uDBFF]/.test(text[index] ?? "");
}

function isLow(text: string, index: number): boolean {
  return /[\uDC00-\uDFFF]/.test(text[index] ?? "");
}
