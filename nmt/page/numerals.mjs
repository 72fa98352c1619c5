/** English ordinals, as nmt/text/numerals.py. */

import { WORD } from "./words.mjs";

/** The ending of an English ordinal, `st` for 21, as the network writes it after a placeholder. */
export const ORDINAL = /^(?:st|nd|rd|th)(?![\p{L}\p{M}])/u;
export function ordinalEnding(digits) {
  return digits.at(-2) === "1" ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[digits.at(-1)] ?? "th");
}

const IRREGULAR = { one: "first", two: "second", three: "third", five: "fifth", eight: "eighth", nine: "ninth", twelve: "twelfth" };
/** The English ordinal of a number word: `twelfth` for `twelve`. */
export function ordinalWord(word) {
  const [, tens, last] = word.match(/^(.*-)?([^-]*)$/);
  return (tens ?? "") + (IRREGULAR[last] ?? (last.endsWith("y") ? `${last.slice(0, -1)}ieth` : `${last}th`));
}

/** English ordinals, which are numbers in a date: `the third of May`. */
export const DAYS = new Map((
  "second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth " +
  "seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth twenty-fifth " +
  "twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
).split(" ").map((word, number) => [word, String(number + 2)]));
const MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December";
export const DAY = new RegExp(`(?<![${WORD}\\-])(?:${[...DAYS.keys()].join("|")})(?= of (?:${MONTHS})(?![${WORD}]))`, "gu");
