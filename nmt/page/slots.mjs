/** Placeholders for names, quoted words and numbers, as nmt/text/slots.py. */

import { PHONE, SYMBOL_NAME, UNIT } from "./copied.mjs";
import { withoutParts } from "./names.mjs";
import { DAY } from "./numerals.mjs";
import { WORD, spansOf } from "./words.mjs";

const NAMES = "\ue000\ue001\ue002\ue003";
export const NUMBERS = "\ue004\ue005\ue006\ue007";
export const SLOTS = NAMES + NUMBERS;
// What (?=(?<a>...))\k<a> matches is not given back.
const BEFORE = String.raw`(?<![${WORD}]|(?<!\p{L})[.,])`;
const NUMBER = new RegExp(
  String.raw`${PHONE}|${BEFORE}(?:2[2-9]|[3-9]\p{Nd}|\p{Nd}{3})º(?![${WORD}])|${BEFORE}\p{Nd}*[\u00bc-\u00be\u2150-\u215e]|` +
    String.raw`%(?:\p{Nd}\$)?d(?![${WORD}])|${BEFORE}\p{Nd}[\p{Nd},]*(?=(?:st|nd|rd|th)(?![${WORD}])|\.?[ºª](?![${WORD}]))|` +
    String.raw`${BEFORE}[+\-]?(?:(?:US)?\p{Sc} ?)?[+\-]?(?:\p{L}+-)?\p{L}*\p{Nd}(?=(?<a>[${WORD}]*))\k<a>` +
    String.raw`(?:[.,:\/\-]\p{Nd}(?=(?<b>[${WORD}]*))\k<b>)*(?: \p{Nd}[\p{Nd}.,:\/\-]*\p{Nd}(?![${WORD}]))*` +
    String.raw`(?<!\p{Nd}(?:st|nd|rd|th|[ºª]))` +
    String.raw`(?: ?(?:\p{Sc}(?!\p{Nd})|[°º](?: ?[CF](?![${WORD}]))|°|${UNIT})|(?<=\p{Nd}\p{L}+)/[hls](?![${WORD}]))?`,
  "gu",
);
const SYMBOL_NAMES = new RegExp(SYMBOL_NAME, "gu");
const TOKEN = /[\p{L}\p{M}]+(?:-\p{L}+)*/gu;
/** Words of a number below a hundred: `treinta y cinco`. */
const MOST_WORDS = 3;
/** Between the parts of one name: `Leonardo da Zork`, but not `NATO de Zork`. */
const BETWEEN = /^ (?:(?:al|bin|da|de|del|della|der|di|dos|du|ibn|la|van|von) )*$/;
const ACRONYM = /\p{Lu}\p{Lu}$/u;

function overlap([start, end], [first, last]) {
  return start < last && first < end;
}

/** The slots of `text` in order, [{start, end, character}]: its names, of one word or several, numbers, and `quoted` words. */
export function findSlots(text, known, quoted = []) {
  let names = [];
  const spans = withoutParts(known.foreignWords(text), known.names(text)).toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  for (const [start, end] of spans) {
    const last = names.at(-1);
    if (last && start < last[1]) continue;
    const joined = last && BETWEEN.test(text.slice(last[1], start)) && (start === last[1] + 1 || !ACRONYM.test(text.slice(0, last[1])));
    if (joined) last[1] = end;
    else names.push([start, end]);
  }
  if (quoted.length > 0) names = withoutParts(names, quoted).toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  const numbers = spansOf(NUMBER, text).filter((one) => !known.words.has(text.slice(...one)) && !names.some((other) => overlap(one, other)));
  const free = numberWordSpans(text, known.numberWords).filter((one) => ![...names, ...numbers].some((other) => overlap(one, other)));
  const counted = [...numbers, ...free].toSorted((a, b) => a[0] - b[0]);
  const slots = [...numbered(text, names, NAMES), ...numbered(text, counted, NUMBERS)];
  return slots.toSorted((a, b) => a.start - b.start || a.end - b.end);
}

/** The place of each number in words, as long as can be, and of each English day of a month. */
function numberWordSpans(text, words) {
  if (words.size === 0) return [];
  const tokens = spansOf(TOKEN, text);
  const found = spansOf(DAY, text);
  let done = 0;
  tokens.forEach(([start, end], number) => {
    const isNumber = (last) => words.has(text.slice(start, last).toLowerCase());
    if (start < done || !isNumber(end)) return;
    const longer = tokens.slice(number + 1, number + MOST_WORDS).map(([, last]) => last);
    done = longer.findLast(isNumber) ?? end;
    found.push([start, done]);
  });
  return found;
}

/** A slot for each of the spans; equal texts share one, and when all are taken, what follows stays as it is. */
function numbered(text, spans, characters) {
  const taken = new Map();
  const slots = [];
  for (const [start, end] of spans) {
    const own = text.slice(start, end);
    if (!taken.has(own) && taken.size < characters.length) taken.set(own, characters[taken.size]);
    if (taken.has(own)) slots.push({ start, end, character: taken.get(own) });
  }
  return slots;
}

/** Where `readings` match outside names, by a pattern each, and what is read there; the first at a place counts. */
export function symbolSlots(text, readings) {
  const [found, taken] = [[], new Uint8Array(text.length)];
  for (const [start, end] of spansOf(SYMBOL_NAMES, text)) taken.fill(1, start, end);
  for (const [pattern, character] of readings) {
    for (const [start, end] of spansOf(pattern, text)) {
      if (taken.subarray(start, end).includes(1)) continue;
      taken.fill(1, start, end);
      found.push({ start, end, character });
    }
  }
  return found.toSorted((a, b) => a.start - b.start);
}

/** `text` with each slot's characters in place of what it stands for, and for each of its units its span in `text`. */
export function fill(text, slots) {
  let [result, done] = ["", 0];
  const spans = [];
  const upTo = (place) => {
    for (let unit = done; unit < place; unit += 1) spans.push([unit, unit + 1]);
    result += text.slice(done, place);
  };
  for (const { start, end, character } of slots) {
    upTo(start);
    result += character;
    const own = character.trimEnd().length; // a space behind it leads to what follows
    for (let unit = 0; unit < character.length; unit += 1) spans.push([unit < own ? start : end, end]);
    done = end;
  }
  upTo(text.length);
  return { filled: result, spans };
}
