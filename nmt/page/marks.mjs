/** Final marks of a translation, as nmt/text/marks.py. */

const FINAL = /(?<![.!?…:,])[.!?…:,]*$/u;
const WORD = /[\p{L}\p{M}\p{N}]$/u;
const ABBREVIATION = /(?:(?<![\p{L}\p{M}\p{N}])\p{L}|UU|etc)$/u;
const REPLACED = { ".": [""], ":": ["", ".", ","], "...": ["", "."], "…": ["", "."] };

/** `text`, a translation of `source`, with the final marks that the source ends in. */
export function withFinalMarks(source, text) {
  const whole = source.trimEnd();
  const [[own], [written]] = [whole.match(FINAL), text.match(FINAL)];
  const words = text.slice(0, text.length - written.length);
  if (!WORD.test(words)) return text;
  if (!own) return written === "." && WORD.test(whole) && !ABBREVIATION.test(words) ? words : text;
  const several = /^[!?]$/.test(written) && [...own].every((mark) => mark === written);
  return several || REPLACED[own]?.includes(written) ? words + own : text;
}
