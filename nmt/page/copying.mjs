/** Put what was copied from a source back into its translation, as nmt/copying.py. */

import { isAside } from "./copied.mjs";
import { sorted } from "./links.mjs";
import { AFTER_WORDS, INVISIBLE } from "./typography.mjs";
import { WORD, overlapping, splitWords } from "./words.mjs";

const FIRST_OF_WORD = new RegExp(`^(?!_)[${WORD}]`, "u");
const LAST_OF_WORD = new RegExp(`[${WORD}](?<!_)$`, "u");
/** Marks that stand without a space after what is inserted. */
const CLOSING = ".,;:!?…)]}»”";
/** Marks without a space after them. */
const OPENING = "([{¿¡«“";

/** What is written between alternatives, as `OR` of nmt/text/symbols.py. */
const OR = ["or", "o", "u", ","];

/** The texts of a sentence's words, with the reading of a symbol in its place. */
export function wordsAsRead({ words, symbols }) {
  const readings = new Map(symbols.map((symbol) => [wordAt(words, symbol), symbol.character.trim()]));
  return words.map(({ text }, number) => readings.get(number) || text);
}

function wordAt(words, { start }) {
  return words.findIndex(({ end }) => end > start);
}

/** The links, with each word of a name or number that is filled in as it was typed linked to itself alone. */
export function slotLinks(links, source, target) {
  let result = links;
  for (const [slot, span] of target.slots) {
    const typed = source.slots.get(slot);
    if (source.text.slice(...typed) !== target.text.slice(...span)) continue;
    const [[first]] = overlapping([typed], source.words);
    const [[start, stop]] = overlapping([span], target.words);
    const others = result.filter(([, word]) => word < start || word >= stop);
    result = [...others, ...Array.from({ length: stop - start }, (_, word) => [first + word, start + word])];
  }
  return sorted(result);
}

/**
 * The text of a translation with `/` again for a conjunction or comma that is linked to one and stands between translations
 * of words on both sides of it: `tea/coffee`.
 */
export function withStrokes({ text, words }, source, links) {
  const isStroke = ({ start, end, character }) => OR.includes(character.trim()) && source.text.slice(start, end).includes("/");
  const strokes = new Map(source.symbols.filter(isStroke)
    .map((symbol) => [wordAt(source.words, symbol), source.text.slice(symbol.start, symbol.end)]));
  const written = new Map();
  for (const [own, target] of links) {
    if (!strokes.has(own) || !OR.includes(words[target].text.toLowerCase())) continue;
    const [before] = links.filter((link) => link[1] < target).toSorted((one, other) => other[1] - one[1] || one[0] - other[0]);
    const [after] = links.filter((link) => link[1] > target).toSorted((one, other) => one[1] - other[1] || one[0] - other[0]);
    if (!(before && after && before[0] < own && own < after[0])) continue;
    written.set(target, strokes.get(own));
    strokes.delete(own);
  }
  let [result, done] = ["", 0];
  for (const target of [...written.keys()].toSorted((one, other) => one - other)) {
    result += text.slice(done, words[target].start).trimEnd() + written.get(target);
    done = words[target].end + (text[words[target].end] === " " ? 1 : 0);
  }
  return result + text.slice(done);
}

/**
 * The text of a translation with what `source` has copied inserted, each of its words' new number, and the links with those
 * of what was copied: {text, now, links}.
 *
 * It stands after the last target word linked to a source word before it, and after the target words there that are linked
 * to earlier source words alone; brackets and tags stand around what is linked to their content. What begins or ends the
 * source begins or ends the translation, and so does what no link places.
 * @param links [[source word, target word]] of the translation without it
 */
export function withCopied(text, source, links) {
  const words = splitWords(text);
  if (source.copied.length === 0) return { text, now: words.map((_, number) => number), links };
  const { text: whole, moved, copies } = inserted(text, insertions(text, words, source, links));
  const places = new Map(splitWords(whole).map(({ start }, number) => [start, number]));
  const now = words.map(({ start }) => places.get(moved[start]));
  const copied = new Set(copies.map(([own]) => own));
  const left = links.filter(([own]) => !copied.has(own)).map(([own, target]) => [own, now[target]]);
  return { text: whole, now, links: sorted([...left, ...copies.map(([own, start]) => [own, places.get(start)])]) };
}

function insertions(text, targets, source, links) {
  const [first, last, newest] = [new Map(), new Map(), new Map()];
  const covered = overlapping(source.copied, source.words);
  const copiedWords = new Set(covered.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i)));
  for (const [own, target] of links.filter(([word]) => !copiedWords.has(word))) {
    first.set(own, Math.min(target, first.get(own) ?? target));
    last.set(own, Math.max(target, last.get(own) ?? target));
    newest.set(target, Math.max(own, newest.get(target) ?? own));
  }
  const free = source.words.map((_, word) => word).filter((word) => !copiedWords.has(word));
  const partners = partnersOf(source);
  let latest = 0;
  const found = source.copied.map(([start, end], number) => {
    const [own, stop] = covered[number];
    const before = free.filter((word) => word < own && last.has(word));
    const partner = partners.has(number) ? covered[partners.get(number)] : null;
    const opens = partner !== null && partner[0] >= stop;
    const inside = partner === null ? [] : opens
      ? free.filter((word) => stop <= word && word < partner[0] && first.has(word))
      : before.filter((word) => word >= partner[1]);
    const behind = free.filter((word) => word >= stop);
    let edge = last.get(before.at(-1));
    while ((newest.get(edge + 1) ?? own) < own) edge += 1;
    let place = targets[edge]?.end ?? text.length;
    if (!free.some((word) => word < own)) place = 0;
    // Final marks stand behind it here too.
    else if (behind.every((word) => isMark(source.words[word]))) {
      place = (behind.length > 0 && targets.findLast((word) => !isMark(word))?.end) || text.length;
    } else if (inside.length > 0 && opens) place = targets[Math.min(...inside.map((word) => first.get(word)))].start;
    else if (inside.length > 0) place = targets[Math.max(...inside.map((word) => last.get(word)))].end;
    const copied = source.text.slice(start, end);
    if (CLOSING.includes(copied[0])) place = Math.max(place, latest);
    latest = place;
    const [left, right] = neighbours(source.text, start, end);
    return { place, copied, first: own, left, right };
  });
  return found.toSorted((a, b) => a.place - b.place);
}

function isMark(word) {
  return AFTER_WORDS.includes(word.text);
}

/** The characters that people see before and after a span; empty for spaces. */
function neighbours(text, start, end) {
  const seen = (place) => text.charAt(place).replace(INVISIBLE, "");
  let [before, after] = [start - 1, end];
  while (before >= 0 && !seen(before)) before -= 1;
  while (after < text.length && !seen(after)) after += 1;
  return [seen(before).trim(), seen(after).trim()];
}

/** For each opening bracket or tag among the copied spans its closing one, and the reverse. */
function partnersOf({ text, copied }) {
  const [partners, opened] = [new Map(), []];
  copied.forEach(([start, end], number) => {
    const [before, after] = neighbours(text, start, end);
    if (isAside(text, [start, end])) return;
    if (after && !before) opened.push(number);
    else if (before && opened.length > 0) {
      partners.set(number, opened.pop());
      partners.set(partners.get(number), number);
    }
  });
  return partners;
}

/** The text with the insertions, where each of its characters is now, and for each copied word its source word and place. */
function inserted(text, all) {
  let [result, done] = ["", 0];
  const [moved, copies] = [[], []];
  const upTo = (place) => {
    for (let i = done; i < place; i += 1) moved.push(result.length + i - done);
    result += text.slice(done, place);
    done = Math.max(done, place);
  };
  for (const { place, copied, first, left, right } of all) {
    const isWord = FIRST_OF_WORD.test(copied);
    const marked = right !== "" && !LAST_OF_WORD.test(copied);
    upTo(place);
    if (marked && /^\s/.test(text.slice(done))) {
      // The space belongs before it, or nowhere.
      moved.push(result.length);
      done += 1;
      if (left === "" || isWord) result += " ";
    }
    // A word is apart but from a bracket that is copied with it.
    const bracketed = left !== "" && left === result.at(-1) && OPENING.includes(left);
    const gluedLeft = isWord ? bracketed : CLOSING.includes(copied) || fit(left, result.slice(-1));
    if (result && !gluedLeft && !/\s$/.test(result)) result += " ";
    splitWords(copied).forEach(({ start }, number) => copies.push([first + number, result.length + start]));
    result += copied;
    if (/^\s/.test(text.slice(done)) && text[done + 1] && CLOSING.includes(text[done + 1])) {
      moved.push(result.length);
      done += 1;
    }
    const after = text[done] ?? "";
    const gluedRight = OPENING.includes(copied.at(-1)) || (marked && fit(right, after));
    if (after && !(gluedRight && !/^\p{M}/u.test(after)) && !/\s/.test(after) && !CLOSING.includes(after)) result += " ";
  }
  upTo(text.length);
  return { text: result, moved, copies };
}

/** Whether what follows the character `source` without a space follows `target` so: no word takes a mark's place. */
function fit(source, target) {
  return source !== "" && (FIRST_OF_WORD.test(source) || !FIRST_OF_WORD.test(target));
}
