/** Quoted words, which get a placeholder and are translated by themselves, as nmt/text/quotations.py. */

import { CODE, PLAIN } from "./typography.mjs";
import { spansOf } from "./words.mjs";

const QUOTED = /(?<![\p{L}\p{M}\p{N}"])"(?=\p{L})[^".!?;:]{2,80}(?<=[\p{L}\p{M}\p{N}])(?=[.,]?"(?![\p{L}\p{M}\p{N}]))/gu;
const SINGLE = /(?<![^\s(])'(?=[\p{L}¿¡])((?:[^']|(?<=\p{L})'(?=\p{L})){2,200})(?<=[\p{L}\p{M}\p{N}.,!?])'(?![\p{L}\p{M}\p{N}])/gu;
const CLOSED = /^[.,]?(["'])/;

/** Words between two quotation marks, outside code, that are no name and at most a statement. */
export function quotedSpans(text, known) {
  const code = spansOf(CODE, text);
  const found = spansOf(QUOTED, text).map(([start, end]) => [start + 1, end])
    .filter(([place]) => !code.some(([start, end]) => start <= place && place < end));
  if (found.length === 0) return found;
  const names = new Set([...known.names(text)].map(String));
  return found.filter((span) => !names.has(String(span)));
}

/** A text with double quotation marks for single ones, which the network hardly knows. */
export function doubled(text) {
  return text.replace(SINGLE, '"$1"');
}

/** Whether the span stands between two quotation marks, a point or comma aside. */
export function isQuoted(text, [start, end]) {
  const [before, ...after] = [start - 1, end, end + 1].map((place) => PLAIN.get(text[place]) ?? text.charAt(place));
  return CLOSED.exec(after.join(""))?.[1] === before;
}

/** The words that fill a placeholder between `before` and `after` in a translation, with the quotation mark that it lacks. */
export function withMarks(words, before, after) {
  return (before.endsWith('"') ? "" : '"') + words + (CLOSED.test(after) ? "" : '"');
}
