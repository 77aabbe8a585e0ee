import { Fragment, type ReactNode } from "react";

/** An address of the web: until white space, without the sentence's own end. */
const LINK = /\bhttps?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}']/gu;
/** A few emoji alone are shown large. */
const ONLY_EMOJI =
  /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\uFE0F|\u200D\p{Extended_Pictographic})*\s*){1,4}$/u;

interface Props {
  readonly text: string;
  /** What is searched for, in lower case; empty if nothing is. */
  readonly marked: string;
}

/** A message's text, with links, and marks where it fits a search. */
export function Text({ text, marked }: Props) {
  const parts: ReactNode[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    parts.push(<Fragment key={from}>{withMarks(text.slice(from, match.index), marked)}</Fragment>);
    parts.push(
      <a key={`link-${match.index}`} href={match[0]} target="_blank" rel="noreferrer noopener" tabIndex={-1}>
        {withMarks(match[0], marked)}
      </a>,
    );
    from = match.index + match[0].length;
  }
  parts.push(<Fragment key={from}>{withMarks(text.slice(from), marked)}</Fragment>);
  return <p className={ONLY_EMOJI.test(text) ? "words large" : "words"}>{parts}</p>;
}

function withMarks(text: string, marked: string): ReactNode {
  const lower = text.toLowerCase();
  // Some letters change their length with their case: then places don't agree.
  if (!marked || lower.length !== text.length || !lower.includes(marked)) return text;
  const parts: ReactNode[] = [];
  let from = 0;
  for (let at = lower.indexOf(marked); at >= 0; at = lower.indexOf(marked, from)) {
    parts.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + marked.length)}</mark>);
    from = at + marked.length;
  }
  return [...parts, text.slice(from)];
}
