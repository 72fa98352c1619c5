/** Quoted words, which get a placeholder and are translated by themselves, as nmt/text/quotations.py. */

import { PLAIN } from "./typography.mjs";
import { spansOf } from "./words.mjs";

const QUOTED = /(?<![\p{L}\p{M}\p{N}"])"(?=\p{L})(?<words>[^".!?;:]{2,80})(?<=[\p{L}\p{M}\p{N}])"(?![\p{L}\p{M}\p{N}])/gu;

/** Words between two quotation marks, without a mark that ends a clause, that are no name. */
export function quotedSpans(text, known) {
  const found = spansOf(QUOTED, text).map(([start, end]) => [start + 1, end - 1]);
  if (found.length === 0) return found;
  const names = new Set([...known.names(text)].map(String));
  return found.filter((span) => !names.has(String(span)));
}

/** Whether the span stands between two quotation marks. */
export function isQuoted(text, [start, end]) {
  return [text[start - 1], text[end]].every((mark) => (PLAIN.get(mark) ?? mark) === '"');
}

/** The translation of `words` without the full stop, and the capital, that it has as a sentence. */
export function asQuoted(words, translation) {
  const text = translation.replace(/\.+$/, "");
  return /^\p{Ll}/u.test(words) && /^.\p{Ll}/u.test(text) ? text[0].toLowerCase() + text.slice(1) : text;
}

/** The words that fill a placeholder between `before` and `after` in a translation, with the quotation mark that it lacks. */
export function withMarks(words, before, after) {
  return (before.endsWith('"') ? "" : '"') + words + (/^[.,]?"/.test(after) ? "" : '"');
}
