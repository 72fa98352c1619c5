/**
 * Words in the casing that the training corpus has, as nmt/text/usual_case.py; no function moves a letter.
 * `known` are `KnownWords`.
 */

import { WHOLE_WORD, begins } from "./names.mjs";
import { MARKS } from "./typography.mjs";
import { WORD, spansOf } from "./words.mjs";

/** How much likelier a word must be in lower case to be read so, in nats. */
const MARGIN = 2;
const CAPITALIZED = new RegExp(String.raw`(?<![${WORD}'\-])\p{Lu}[\p{Ll}\p{M}]+(?![${WORD}\-]|'\p{L}{2})`, "gu");
const TITLE = /^\p{Lu}[\p{Ll}\p{M}]*(?:['-]\p{L}[\p{Ll}\p{M}]*)*$/u;
const ONE_CASE = new RegExp(
  String.raw`(?<![${WORD}'\-])(?:(?<!\.)\p{Lu}{3,}(?![${WORD}'\-])|\p{Ll}{2,}(?![${WORD}\-]|'(?!s(?![${WORD}'\-]))))`,
  "gu",
);
/** After which a word in lower case may be a name. */
const CALLED = new RegExp(String.raw`(?<![${WORD}])(?:my name is|i'm called|me llamo|se llama) `, "giu");
/** The first word of a place's name, as people type it: `new york`. */
const FIRST_PART = new RegExp(String.raw`(?<![${WORD}'\-])(?:new|nueva|san|santa|los|las) (?=\p{Lu})`, "gu");
const BEGINNING = /^[^\p{L}\p{N}]*$/u;

/**
 * A title or heading whose words are all capitalized, small ones aside, in lower case after the first word but for what
 * is known capitalized and a person's surname.
 */
export function sentenceCase(text, known) {
  const spans = spansOf(WHOLE_WORD, text);
  const words = spans.map((span) => text.slice(...span));
  const great = words.filter((word) => !known.small.has(word));
  if (great.length < 2 || MARKS.includes(text.trimEnd().at(-1) ?? "") || !great.every((word) => TITLE.test(word))) return text;
  let result = text;
  words.slice(1).forEach((word, number) => {
    const [before, lower] = [words[number], word.toLowerCase()];
    const listed = known.people.get(before.toLowerCase()) === before;
    const person = listed || (words.length === 2 && !isCommon(before, known));
    if (person || known.words.has(word) || !known.words.has(lower) || known.common.get(lower) === word) return;
    const [start, end] = spans[number + 1];
    result = result.slice(0, start) + lower + result.slice(end);
  });
  return result;
}

/** The capitalized words within a sentence that are read in lower case: see `rarely_capitalized` in Python. */
export function rarelyCapitalized(text, known, kept, score) {
  const spans = spansOf(CAPITALIZED, text);
  const together = new Set(spans.slice(1).flatMap((other, place) =>
    (known.areTogether(text.slice(spans[place][0], other[1])) ? [spans[place], other] : [])));
  return spans.filter((span) => {
    const word = text.slice(...span);
    const lower = word.toLowerCase();
    const free = !together.has(span) && !kept.some(([start, end]) => start <= span[0] && span[0] < end);
    return free && known.words.has(lower) && lower.length === word.length && !begins(text, span[0]) && score(lower) > score(word) + MARGIN;
  });
}

function isCommon(word, known) {
  return known.words.has(word.toLowerCase()) && !known.given.has(word) && !known.titleNames.has(word);
}

/**
 * The text with words in capitals that are known in lower case alone, and words in lower case that are known with a
 * capital alone, common names, or given names after `my name is`, in their usual case.
 */
export function usualCase(text, known) {
  const called = new Set([...text.matchAll(CALLED)].map((match) => match.index + match[0].length));
  const usual = text.replace(ONE_CASE, (word, ...match) => {
    const [place] = match.slice(-2);
    const lower = word.toLowerCase();
    const [first, ...rest] = lower;
    const capital = first.toUpperCase() + rest.join("");
    const size = [...word].length;
    if (word === lower && known.given.has(capital) && called.has(place)) return capital;
    if (known.words.has(word) || [...lower].length !== size || [...capital].length !== size) return word;
    if (word === lower) return known.words.has(capital) ? capital : (known.common.get(word) ?? word);
    if (!known.words.has(lower)) return known.words.has(capital) || known.people.get(lower) === capital ? capital : word;
    return BEGINNING.test(text.slice(0, place)) ? capital : lower;
  });
  return usual.replace(FIRST_PART, (part, place) => {
    const next = place + part.length;
    return text[next] === usual[next] ? part : part[0].toUpperCase() + part.slice(1);
  });
}
