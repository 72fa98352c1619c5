/** Word and punctuation tokens, as nmt/text/words.py: the unit of every alignment and matrix. */

/** Inside brackets, the characters of a word. */
export const WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`;
const MARK = `[^${WORD}\\p{White_Space}]`;
const PART = `(?!_)[${WORD}]+(?<!_)`;
const WORD_PATTERN = new RegExp(`${PART}(?:['’]${PART})*|_|${MARK}(?:\\p{M}|\\u200d${MARK})*`, "gu");

/** The text in Unicode's composed form (NFC), which all positions refer to. */
export function normalize(text) {
  return text.normalize("NFC");
}

/** The tokens of `text`, after NFC normalization: [{text, start, end}], positions in UTF-16 units. */
export function splitWords(text) {
  return Array.from(normalize(text).matchAll(WORD_PATTERN), (match) => ({
    text: match[0],
    start: match.index,
    end: match.index + match[0].length,
  }));
}

/**
 * For each span [start, end] the words that it overlaps, as [first, one past last]; the words follow each other.
 * An empty range begins at the word that the span leads to.
 */
export function overlapping(spans, words) {
  return spans.map(([start, end]) => [
    firstWhere(words, (word) => word.end > start),
    firstWhere(words, (word) => word.start >= end),
  ]);
}

/** The first position whose element passes a test that all later ones pass too (bisection). */
function firstWhere(sorted, test) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(sorted[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The places of all matches in the text, [[first, one past last]]. */
export function spansOf(pattern, text) {
  return Array.from(text.matchAll(pattern), (match) => [match.index, match.index + match[0].length]);
}
