/** Put what was copied from a source back into its translation, as nmt/copying.py. */

import { sorted } from "./links.mjs";
import { INVISIBLE } from "./typography.mjs";
import { WORD, overlapping, splitWords } from "./words.mjs";

const FIRST_OF_WORD = new RegExp(`^[${WORD}]`, "u");
const LAST_OF_WORD = new RegExp(`[${WORD}]$`, "u");
/** Marks that stand without a space after what is inserted. */
const CLOSING = ".,;:!?…)]}»”";

/** Conjunctions, as `OR` of nmt/text/symbols.py. */
const OR = ["or", "o", "u"];

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

/** The text of a translation with `/` again for a conjunction that is linked to one: `tea/coffee`. */
export function withStrokes({ text, words }, source, links) {
  const strokes = new Map(source.symbols.filter(({ character }) => OR.includes(character.trim()))
    .map((symbol) => [wordAt(source.words, symbol), source.text.slice(symbol.start, symbol.end)]));
  const written = new Map(links.filter(([own, target]) => strokes.has(own) && OR.includes(words[target].text.toLowerCase()))
    .map(([own, target]) => [target, strokes.get(own)]));
  let [result, done] = ["", 0];
  for (const target of [...written.keys()].toSorted((a, b) => a - b)) {
    result += text.slice(done, words[target].start).trimEnd() + written.get(target);
    done = words[target].end + 1; // with the space behind it
  }
  return result + text.slice(done);
}

/**
 * The text of a translation with what `source` has copied inserted, each of its words' new number, and the links with those
 * of what was copied: {text, now, links}.
 *
 * It stands after the last target word linked to a source word before it; what begins or ends the source begins or ends the
 * translation, and so does what no link places.
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
  const last = new Map();
  for (const [own, target] of links) last.set(own, Math.max(target, last.get(own) ?? -1));
  const covered = overlapping(source.copied, source.words);
  const copiedWords = new Set(covered.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i)));
  const free = source.words.map((_, word) => word).filter((word) => !copiedWords.has(word));
  let latest = 0;
  const found = source.copied.map(([start, end], number) => {
    const [first, stop] = covered[number];
    const before = free.filter((word) => word < first && last.has(word));
    let place = targets[last.get(before.at(-1))]?.end;
    if (!free.some((word) => word < first)) place = 0;
    else if (!free.some((word) => word >= stop) || before.length === 0) place = text.length;
    const copied = source.text.slice(start, end);
    if (CLOSING.includes(copied[0])) place = Math.max(place, latest);
    latest = place;
    const [left, right] = [source.text.slice(0, start), source.text.slice(end)].map((s) => s.replace(INVISIBLE, ""));
    const joinedLeft = !(FIRST_OF_WORD.test(copied) || /\s$/.test(left));
    const joinedRight = !(LAST_OF_WORD.test(copied) || /^\s/.test(right));
    return { place, copied, first, joinedLeft, joinedRight };
  });
  return found.toSorted((a, b) => a.place - b.place);
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
  for (const { place, copied, first, joinedLeft, joinedRight } of all) {
    upTo(place);
    if (joinedRight && /^\s/.test(text.slice(done))) {
      // The space belongs before it, or nowhere.
      moved.push(result.length);
      done += 1;
      if (!joinedLeft) result += " ";
    }
    if (result && !joinedLeft && !/\s$/.test(result)) result += " ";
    splitWords(copied).forEach(({ start }, number) => copies.push([first + number, result.length + start]));
    result += copied;
    if (/^\s/.test(text.slice(done)) && text[done + 1] && CLOSING.includes(text[done + 1])) {
      moved.push(result.length);
      done += 1;
    }
    const after = text[done];
    const joined = joinedRight && !/^\p{M}/u.test(after ?? "");
    if (after && !joined && !/\s/.test(after) && !CLOSING.includes(after)) result += " ";
  }
  upTo(text.length);
  return { text: result, moved, copies };
}
