/**
 * Words in their usual casing, as nmt/text/casing.py. `score` is the log-probability of a word's pieces in a vocabulary; no
 * function moves a letter.
 */

import { MARKS } from "./typography.mjs";
import { overlapping, splitWords } from "./words.mjs";

/** The first word of a text, unless it has capitals inside. */
const FIRST_WORD = /^[^\p{L}\p{N}]*(\p{L}[\p{Ll}\p{M}]*(?:'\p{Ll}+)*)(?![\p{L}\p{M}\p{N}]|'\p{Ll})/u;
/** What stands between the capitalized words of one name. */
const JOINING = new Set(["", "of", "of the", "de", "del", "de la", "de los", "de las"]);
/** What no name has: `I Love You` is none. */
const PRONOUNS = new Set(["I", "You", "Me", "He", "She", "It", "We", "They", "Te", "Se", "Nos", "Lo", "La", "Yo"]);
const WORDLESS = /^[^\p{L}\p{N}]*$/u;

/** Whether a text of four letters or more is typed in capitals throughout. */
export function isCapitals(text) {
  const letters = [...text].filter((letter) => letter.toUpperCase() !== letter.toLowerCase());
  return letters.length >= 4 && !letters.some((letter) => /\p{Lowercase}/u.test(letter));
}

/** The text in capitals, letter for letter, so that positions stay. */
export function capitals(text) {
  return Array.from(text, (letter) => (letter.toUpperCase().length === letter.length ? letter.toUpperCase() : letter)).join("");
}

/**
 * The usual form of a sentence in capitals: each word outside the spans `kept` in its likeliest casing, the first one and
 * names capitalized.
 */
export function fromCapitals(text, score, isName, kept) {
  let [usual, first] = [text, true];
  for (const { text: word, start, end } of splitWords(text)) {
    if (within(start, kept)) continue;
    const [initial] = word;
    const lower = word.toLowerCase();
    const capital = initial.toUpperCase() + lower.slice(initial.length);
    const forms = isName(capital) ? [capital] : [capital, word, ...(first ? [] : [lower])];
    const scored = forms.filter((form) => form.length === word.length).map((form) => [form, score(form)]);
    const [best] = scored.length > 0 ? scored.reduce((one, other) => (other[1] > one[1] ? other : one)) : [word];
    usual = usual.slice(0, start) + best + usual.slice(end);
    first &&= !/\p{L}/u.test(word);
  }
  return usual;
}

/** The text with its first word in its likelier casing, unless it is within the spans `kept`. */
export function truecasedBeginning(text, kept, score) {
  const first = firstWord(text);
  if (!first || within(first.start, kept)) return text;
  const lower = first.word.toLowerCase();
  const capital = capitalized(lower);
  return begun(text, first, score(capital) > score(lower) ? capital : lower);
}

/**
 * The translation of `words` without the full stop that it has as a sentence, and without the capital unless the words have
 * one that is not their own, or stand as speech after a comma or colon. `before` is the text before them.
 */
export function asFragment(words, translation, score, before = "") {
  const text = translation.replace(/\.+$/, "");
  const speech = /^[\p{Lu}\p{Lt}]/u.test(words) && /[,:][ "']*$/.test(before);
  return speech || truecasedBeginning(words, [], score) !== words ? text : truecasedBeginning(text, [], score);
}

/** Capitalize the first word of `text`, the truecased translation of `source`: see `recased_beginning` in Python. */
export function recasedBeginning(source, text, kept, known) {
  const [first, typed] = [firstWord(text), firstWord(source)];
  if (!first || within(first.start, kept)) return text;
  const own = typed && known && !known.has(typed.word.toLowerCase()) && WORDLESS.test(source.slice(typed.end));
  const stays = !MARKS.includes(text.at(-1)) && (!typed || own || /^\p{Ll}/u.test(typed.word));
  return stays ? text : begun(text, first, capitalized(first.word));
}

/**
 * The text of a translation into `language` with the capitals of names of several words: see `with_capitals` in
 * nmt/recasing.py.
 * @param links [[source word, target word]]; @param small the words that a name has in lower case
 */
export function withCapitals({ text, words }, source, links, language, small) {
  if (source.lowered.length === 0 || links.length === 0) return text;
  const lowered = new Set(overlapping(source.lowered, source.words).flatMap(([start, stop]) => Array.from({ length: stop - start }, (_, i) => start + i)));
  const least = language === "en" ? 1 : 2;
  const names = namesOf(source).filter((name) => name.filter((word) => lowered.has(word)).length >= least);
  let result = text;
  words.toReversed().forEach(({ text: word, start, end }, place) => {
    const linked = links.filter((link) => link[1] === words.length - 1 - place).map(([own]) => own);
    const isOfName = linked.length > 0 && names.some((name) => linked.every((own) => name[0] <= own && own <= name.at(-1)));
    if (isOfName && !small.has(word)) result = result.slice(0, start) + capitalized(word) + result.slice(end);
  });
  return result;
}

/** The capitalized words that follow each other, the first word of the sentence aside, two or more. */
function namesOf({ words }) {
  const first = words.findIndex(({ text }) => /^\p{L}/u.test(text));
  const names = [];
  words.forEach(({ text }, number) => {
    if (number <= first || !/^\p{Uppercase}/u.test(text)) return;
    const between = words.slice((names.at(-1)?.at(-1) ?? -1) + 1, number).map((word) => word.text).join(" ");
    if (names.length > 0 && JOINING.has(between)) names.at(-1).push(number);
    else names.push([number]);
  });
  return names.filter((name) => name.length > 1 && !name.some((number) => PRONOUNS.has(words[number].text)));
}

/** The first word of a text and its place, or null. */
function firstWord(text) {
  const match = text.match(FIRST_WORD);
  return match && { word: match[1], start: match[0].length - match[1].length, end: match[0].length };
}

function capitalized(word) {
  const [first, ...rest] = word;
  return first.toUpperCase() + rest.join("");
}

function within(place, spans) {
  return spans.some(([start, end]) => start <= place && place < end);
}

/** The text with another first word of the same length; the text itself where the length is another. */
function begun(text, { start, end }, word) {
  return word.length === end - start ? text.slice(0, start) + word + text.slice(end) : text;
}
