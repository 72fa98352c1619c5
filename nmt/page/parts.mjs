/** A text in sentences, which are translated one by one, as nmt/text/parts.py. */

import { spansOf } from "./words.mjs";

/** Words after whose full stop a sentence goes on, without that stop. */
const ABBREVIATIONS = {
  en: "Mr Mrs Ms Dr Prof St Sr Jr Gen Col Capt Lt Sgt Rev Hon Mt Ave No Nos Fig vs e.g i.e cf approx vol p pp Ph.D U.S U.K",
  es: "Sr Sra Sres Srta Dr Dra D Dña Prof Profa Ud Uds Vd Vds Lic Ing Gral Cap Av Avda pág págs núm núms art vol ej p EE UU s c",
};

/** What ends before a bar, `Size: M | Color: red`. */
const BAR = /\S\s+(?=\|\s)/gu;

/**
 * Where the sentences of a text end, by the rules of Unicode (UAX 29), and cells between bars; but what ends in an abbreviation, an initial or a
 * single line's end, and what is followed by a small letter, goes on. Nothing ends within `kept` spans.
 */
export function sentenceEnds(text, language, kept = []) {
  const known = new Set((ABBREVIATIONS[language] ?? "").split(" ").map((word) => word.toLowerCase()));
  const segments = [...new Intl.Segmenter(language, { granularity: "sentence" }).segment(text)];
  const bars = new Set(spansOf(BAR, text).map(([, end]) => end));
  return [...new Set([...segments.map(({ index, segment }) => index + segment.length), ...bars])]
    .toSorted((one, other) => one - other)
    .filter((end) => end === text.length || !(
      kept.some(([start, stop]) => start < end && end < stop) || /^[ºª]/.test(text.slice(end))
      || (!bars.has(end) && goesOn(text.slice(0, end), text.slice(end), known))
    ));
}

function goesOn(before, after, known) {
  if (/^[^\p{L}\p{N}]*\p{Ll}/u.test(after)) return true;
  if (/[^\p{STerm}.\s"'”»)\]]\s*$/u.test(before)) return !/\n\r*\n$/.test(before);
  const [, word] = before.match(/([\p{L}.]+)\.\s*$/u) ?? [];
  return word !== undefined && (known.has(word.toLowerCase()) || /^\p{Lu}$/u.test(word));
}

function* occurrences(text, part) {
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) yield [at, at + part.length];
}

/** Every sentence of a text that has pieces: [{text, start, encoding}]; one with all of a text that is one sentence. */
export function sentences(subwords, { text, copied, slots, symbols }, language) {
  const held = new Set([...slots.values()].map((span) => text.slice(...span)));
  const read = symbols.map(({ start, end }) => [start, Math.min(end + 2, text.length)]); // with the space after `Ud.`
  const names = [...held].flatMap((part) => [...occurrences(text, part)]);
  const ends = sentenceEnds(text, language, [...copied, ...read, ...names]);
  const parts = [];
  let first = 0;
  for (const end of ends) {
    const given = text.slice(first, end);
    let [start, sentence] = [first + given.length - given.trimStart().length, given.trim()];
    let encoding = subwords.encode(sentence, undefined, true);
    if (encoding.ids.length === 0 && encoding.copied.length > 0) {
      // An emoji after the full stop belongs to the sentence before it.
      if (parts.length === 0) continue;
      start = parts.pop().start;
      sentence = text.slice(start, end).trim();
      encoding = subwords.encode(sentence, undefined, true);
    }
    if (encoding.ids.length > 0) parts.push({ text: sentence, start, encoding });
    first = end;
  }
  return parts;
}
