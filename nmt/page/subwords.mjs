/** Subword pieces by SentencePiece (Kudo and Richardson 2018), as nmt/text/subwords.py, and the words of each piece. */

import { bytesFromBase85 } from "./arrays.mjs";
import {
  capitals,
  fromCapitals,
  isCapitals,
  recasedBeginning,
  truecasedBeginning,
} from "./casing.mjs";
import { CharacterMap } from "./charsmap.mjs";
import { SYMBOL_NAME, copiedSpans } from "./copied.mjs";
import { withFinalMarks } from "./marks.mjs";
import { KnownWords } from "./names.mjs";
import { doubled, isQuoted, quotedSpans, withMarks } from "./quotations.mjs";
import { DAYS, ORDINAL, ordinalEnding, ordinalWord } from "./numerals.mjs";
import { NUMBERS, SLOTS, fill, findSlots, symbolSlots } from "./slots.mjs";
import { without } from "./typography.mjs";
import { rarelyCapitalized, sentenceCase, usualCase } from "./usual_case.mjs";
import { normalize, overlapping, spansOf, splitWords } from "./words.mjs";

export const PADDING = 0;
export const UNKNOWN = 1;
export const START = 2;
export const END = 3;
/** How SentencePiece writes a space. */
export const SPACE = "▁";
/** Pieces of a single word, at most; only strings that are no words have as many. */
const LONGEST_WORD = 16;
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;
/** Marks a vocabulary of truecased text, in which a word stands apart from an opening mark before it. */
const TRUECASED = "<truecased>";
/** Stands before the pieces that occur in source sentences alone. */
const SOURCE_ONLY = "<source-only>";
const OPENING = /[¿¡]$/;
/** Points after which the network writes one too many: `U.S.` */
const POINTS = /(?:\p{Lu}\.\p{Lu}|UU)\.$/u;
const AFTER_OPENING = /(?<=[¿¡])(?=\P{White_Space})/gu;
/** How much less likely than the least likely piece a character without any is. */
const UNKNOWN_PENALTY = 10;

/**
 * A sentence as pieces, each with its place in the text: {text, ids, spans, words, wordsOfPiece, capitals, copied, slots,
 * symbols, lowered, quotations}.
 * `capitals` says whether the text is in capitals; the pieces are then those of its usual form. `copied` are the places
 * of what is copied, not translated; it has no pieces. `slots` has the place that each placeholder stands for,
 * `symbols` what is read as something else, [{start, end, character}], `lowered` where capitalized words
 * are read in lower case, `quotations` what is written for the placeholders of quoted words: at first these words, then
 * their translation.
 */
function encoding(text, ids, spans, { shouted = false, copied = [], slots = new Map(), symbols = [], lowered = [], quotations = new Map() } = {}) {
  const words = splitWords(text);
  const copiedWords = overlapping(copied, words);
  const translated = words.map((_, word) => word).filter((word) => !copiedWords.some(([start, stop]) => start <= word && word < stop));
  const wordsOfPiece = overlapping(spans, words).map(([start, stop]) => {
    const own = translated.filter((word) => start <= word && word < stop);
    return own.length > 0 ? own : [translated.find((word) => word >= start) ?? translated.at(-1)].filter((word) => word !== undefined);
  });
  return { text, ids, spans, words, wordsOfPiece, capitals: shouted, copied, slots, symbols, lowered, quotations };
}

/** A source with the placeholders that `target`, its translation, lacks among what is copied. */
export function withLostSlots(source, target) {
  const isWord = ([slot, span]) => NUMBERS.includes(slot) && /^[\p{L} -]+$/u.test(source.text.slice(...span));
  const lost = [...source.slots].filter((one) => !target.slots.has(one[0]) && !isWord(one)).map(([, span]) => span);
  return lost.length === 0 ? source : { ...source, copied: [...source.copied, ...lost].toSorted(([a], [b]) => a - b) };
}

export class Subwords {
  /**
   * @param model what `nmt.page.bundle.subwords_data` tells of a SentencePiece model
   * @param names what `KnownWords` is made of, if names and numbers become placeholders
   */
  constructor(model, { knownWords, numberWords, titles, readings, nameLists }) {
    this.known = knownWords && new KnownWords(knownWords, numberWords, titles, readings, nameLists);
    this.model = model;
    this.spelling = model.pieces;
    /** The ids of placeholders. */
    this.slotIds = this.spelling.flatMap((piece, id) => (SLOTS.includes(piece) ? [id] : []));
    /** Whether first words are read in their likelier casing. */
    this.truecased = this.spelling.includes(TRUECASED);
    this.types = bytesFromBase85(model.types);
    this.scores = new Float32Array(bytesFromBase85(model.scores).buffer);
    this.characterMap = new CharacterMap(bytesFromBase85(model.charsmap));
    this.ids = new Map();
    this.bytes = new Map();
    this.longest = 0;
    this.spelling.forEach((piece, id) => {
      if (this.types[id] === BYTE) this.bytes.set(Number.parseInt(piece.slice(3, 5), 16), id);
      if (this.types[id] === USER_DEFINED) this.ids.set(piece, id);
      if (this.types[id] !== NORMAL) return;
      this.ids.set(piece, id);
      this.longest = Math.max(this.longest, [...piece].length);
    });
    this.unknownScore = this.unknownScoreBelow(this.ids);
  }

  /** The same vocabulary for translations, which have no pieces of sources alone. */
  get target() {
    const last = this.spelling.indexOf(SOURCE_ONLY);
    if (last < 0) return this;
    const ids = new Map([...this.ids].filter(([, id]) => id < last));
    return Object.assign(Object.create(this), { ids, unknownScore: this.unknownScoreBelow(ids) });
  }

  unknownScoreBelow(ids) {
    let lowest = Infinity;
    for (const id of ids.values()) if (this.types[id] === NORMAL) lowest = Math.min(lowest, this.scores[id]);
    return Math.fround(lowest - UNKNOWN_PENALTY);
  }

  /**
   * One sentence as pieces with their places in the text; without `known` words it has no placeholders, with `apart`
   * quoted words have one too.
   */
  encode(given, known = this.known, apart = false) {
    const text = storable(normalize(given));
    const { read, places, ...rest } = this.prepared(text, known, apart);
    const { ids, spans } = this.segmented(read);
    const moved = spans.map(([start, end]) => [places[start][0], end > start ? places[end - 1][1] : places[start][0]]);
    return encoding(text, ids, moved, rest);
  }

  /**
   * What the network reads of a text: typographic variants are unified, what is copied is left out, a sentence in
   * capitals is read in its usual form, and names, numbers and, with `apart`, quoted words are placeholders.
   * @returns {read, places, shouted, copied, slots, symbols, lowered, quotations}, `places` for each UTF-16 unit of `read`, and its
   *     end, its span in the text
   */
  prepared(text, known, apart) {
    const all = without(text, []);
    const readings = known?.readings ?? [];
    const typed = symbolSlots(all.plain, readings);
    const numbers = Boolean(known) && !all.plain.split(/\s+/).some((word) => known.words.has(word));
    const copied = copiedSpans(all.plain, numbers, apart)
      .filter(([place]) => !typed.some(({ start, end }) => start <= place && place < end))
      .map(([start, end]) => [all.places[start], all.places[end - 1] + 1]);
    const { plain, places } = without(text, copied);
    const shouted = isCapitals(plain);
    const score = (form) => this.score(form);
    const names = shouted && known ? spansOf(new RegExp(SYMBOL_NAME, "gu"), plain) : [];
    const usualWords = () => (known ? usualCase(sentenceCase(plain, known), known) : plain);
    const cased = shouted ? fromCapitals(plain, score, (name) => known?.isUnknown(name), names) : usualWords();
    const reread = symbolSlots(cased, readings);
    const { filled: unmarked, spans: origins } = fill(cased, reread);
    const unshouted = known && apart ? doubled(unmarked) : unmarked;
    const quoted = known && apart ? quotedSpans(unshouted, known) : [];
    const found = known ? findSlots(unshouted, known, quoted) : [];
    const kept = found.map(({ start, end }) => [start, end]);
    const lowered = known && this.truecased && !shouted ? rarelyCapitalized(unshouted, known, kept, score) : [];
    const letters = unshouted.split("");
    for (const [start, end] of lowered) letters.splice(start, end - start, ...unshouted.slice(start, end).toLowerCase());
    const usual = this.truecased ? truecasedBeginning(letters.join(""), kept, score) : unshouted;
    const spaces = this.truecased ? [...usual.matchAll(AFTER_OPENING)].map(({ index }) => ({ start: index, end: index, character: " " })) : [];
    const { filled, spans } = fill(usual, [...found, ...spaces].toSorted((a, b) => a.start - b.start || a.end - b.end));
    const ends = [...origins, [cased.length, cased.length]];
    const inPlain = ([start, end]) => [ends[start][0], end > start ? ends[end - 1][1] : ends[start][0]];
    const shown = ([start, end]) => [places[start], end > start ? places[end - 1] + 1 : places[start]];
    const inText = (span) => shown(inPlain(span));
    const symbols = reread.map(({ start, end, character }) => {
      const [first, last] = shown([start, end]);
      return { start: first, end: last, character };
    });
    const slots = new Map(found.toReversed().map(({ start, end, character }) => [character, inText([start, end])]));
    const starts = new Set(quoted.filter((span) => known.knowAny(unshouted.slice(...span))).map(([start]) => start)); // the others are another language's
    const quotations = new Map(found.filter(({ start }) => starts.has(start)).map(({ character }) => [character, text.slice(...slots.get(character))]));
    return { read: filled, places: [...spans, [usual.length, usual.length]].map(inText), shouted, copied, slots, symbols, lowered: lowered.map(inText), quotations };
  }

  /** The log-probability of a word's pieces. */
  score(form) {
    const scoreOf = (id) => (this.types[id] === BYTE ? this.unknownScore : this.scores[id]);
    return this.segmented(form).ids.reduce((sum, id) => sum + scoreOf(id), 0);
  }

  /** The piece ids of a word, lower-cased and on its own, at least one; a bare space before it is left out. */
  wordPieces(word) {
    const { ids } = this.segmented(without(storable(normalize(word.toLowerCase())), []).plain);
    const own = ids.length > 1 && this.spelling[ids[0]] === SPACE ? ids.slice(1) : ids;
    return own.length > 0 ? own.slice(0, LONGEST_WORD) : [UNKNOWN];
  }

  /** A text as the model cuts it: piece ids, and the place of each in the text. */
  segmented(text) {
    const { characters, origins } = this.normalized(text);
    const segments = this.model.type === "bpe" ? this.bpe(characters) : this.unigram(characters);
    const ids = [];
    const spans = [];
    for (const { id, start, end } of segments) {
      if (id !== UNKNOWN) {
        ids.push(id);
        spans.push([origins[start], origins[end]]);
        continue;
      }
      // An unknown character is spelled out in bytes; the last of them holds its place.
      const bytes = new TextEncoder().encode(characters.slice(start, end).join(""));
      bytes.forEach((byte, place) => {
        ids.push(this.bytes.get(byte));
        spans.push([origins[start], place === bytes.length - 1 ? origins[end] : origins[start]]);
      });
    }
    return { ids, spans };
  }

  /** The text as the model's own normalization has it: `characters`, and for each (and the end) where it is from. */
  normalized(text) {
    const bytes = new TextEncoder().encode(text);
    const places = placesOfBytes(text, bytes.length);
    const characters = [];
    const origins = [];
    let byte = 0;
    for (let next = this.prefix(text, bytes, places, byte); next?.text === " "; next = this.prefix(text, bytes, places, byte)) {
      byte += next.length;
    }
    if (byte === bytes.length) return { characters, origins: [places[byte]] };
    characters.push(SPACE);
    origins.push(places[byte]);
    let afterSpace = true;
    while (byte < bytes.length) {
      const next = this.prefix(text, bytes, places, byte);
      const added = afterSpace ? next.text.replace(/^ +/, "") : next.text;
      for (const character of added) {
        characters.push(character === " " ? SPACE : character);
        origins.push(places[byte]);
      }
      if (added) afterSpace = added.endsWith(" ");
      byte += next.length;
    }
    let end = places[byte];
    while (characters.at(-1) === SPACE) {
      characters.pop();
      end = origins.pop();
    }
    return { characters, origins: [...origins, end] };
  }

  /** What the normalization makes of the text's next bytes: the longest rule's, or else one character unchanged. */
  prefix(text, bytes, places, byte) {
    if (byte === bytes.length) return null;
    const rule = this.characterMap.longest(bytes, byte);
    if (rule) return rule;
    const lead = bytes[byte];
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return { length, text: text.slice(places[byte], places[byte + length]) };
  }

  /** The likeliest segmentation under a unigram model (Kudo 2018, section 3.1), by Viterbi's algorithm. */
  unigram(characters) {
    const best = new Float32Array(characters.length + 1);
    const starts = new Int32Array(characters.length + 1).fill(-1);
    const ids = new Int32Array(characters.length + 1);
    const offer = (start, end, id, score) => {
      const candidate = Math.fround(score + best[start]);
      if (starts[end] !== -1 && candidate <= best[end]) return;
      [best[end], starts[end], ids[end]] = [candidate, start, id];
    };
    for (let start = 0; start < characters.length; start += 1) {
      let single = false;
      let piece = "";
      for (let end = start + 1; end <= Math.min(characters.length, start + this.longest); end += 1) {
        piece += characters[end - 1];
        const id = this.ids.get(piece);
        if (id === undefined) continue;
        offer(start, end, id, this.scores[id]);
        single ||= end === start + 1;
      }
      if (!single) offer(start, start + 1, UNKNOWN, this.unknownScore);
    }
    const segments = [];
    for (let end = characters.length; end > 0; end = starts[end]) segments.push({ id: ids[end], start: starts[end], end });
    return segments.toReversed();
  }

  /** Byte-pair encoding (Sennrich et al. 2016): the neighbours that make the best piece are joined, leftmost first. */
  bpe(characters) {
    const symbols = characters.map((text, start) => ({ text, start, end: start + 1 }));
    const scoreOf = (left) => {
      const id = left + 1 < symbols.length ? this.ids.get(symbols[left].text + symbols[left + 1].text) : undefined;
      return id === undefined ? -Infinity : this.scores[id];
    };
    const scores = symbols.map((_, left) => scoreOf(left));
    for (;;) {
      let left = -1;
      scores.forEach((score, place) => {
        if (score > (left < 0 ? -Infinity : scores[left])) left = place;
      });
      if (left < 0) break;
      const [first, second] = symbols.slice(left, left + 2);
      symbols.splice(left, 2, { text: first.text + second.text, start: first.start, end: second.end });
      scores.splice(left, 1);
      scores[left] = scoreOf(left);
      if (left > 0) scores[left - 1] = scoreOf(left - 1);
    }
    return symbols.map(({ text, start, end }) => ({ id: this.ids.get(text) ?? UNKNOWN, start, end }));
  }

  /** Piece ids as text, each piece with its place in it, as a translation of `source`: see `prepared`. */
  decodeWithSpans(ids, source = null) {
    const typed = (slot) => (source?.slots.has(slot) ? source.text.slice(...source.slots.get(slot)) : "");
    const day = (slot) => (NUMBERS.includes(slot) ? DAYS.get(typed(slot).toLowerCase()) : undefined);
    const held = (slot) => source?.quotations.get(slot) || day(slot) || (this.known?.translated(typed(slot)) ?? typed(slot));
    const bare = this.surfaces(ids);
    const surfaces = bare.map((surface) => (surface && SLOTS.includes(surface) ? held(surface) : surface));
    this.pieces(ids).forEach((piece, number) => {
      if (!source?.slots.has(piece) || !isQuoted(source.text, source.slots.get(piece))) return;
      surfaces[number] = withMarks(surfaces[number], bare.slice(0, number).join(""), bare.slice(number + 1).join(""));
    });
    this.pieces(ids).forEach((piece, number) => {
      const point = SLOTS.includes(piece) && !NUMBERS.includes(piece) && held(piece).endsWith(".");
      if (point && surfaces[number + 1]?.startsWith(".")) surfaces[number + 1] = surfaces[number + 1].slice(1);
      const counted = NUMBERS.includes(piece) ? held(piece) : "";
      const isWord = /^[\p{L}-]+$/u.test(counted);
      const [first, next = ""] = surfaces.slice(number + 1);
      if (!(isWord || /^\p{Nd}+$/u.test(counted)) || !ORDINAL.test(first + next)) return;
      const ending = isWord ? "" : ordinalEnding(counted);
      if (isWord) surfaces[number] = ordinalWord(counted);
      surfaces[number + 1] = ending.slice(0, first.length) + first.slice(2);
      if (first.length === 1) surfaces[number + 2] = ending.slice(1) + next.slice(1);
    });
    const raw = surfaces.join("");
    const text = normalize(raw);
    const place = (end) => (text === raw ? end : normalize(raw.slice(0, end)).length);
    let end = 0;
    let spans = surfaces.map((surface) => {
      const start = end;
      end += surface.length;
      return [place(start), place(end)];
    });
    const shouted = source?.capitals ?? false;
    const written = this.pieces(ids).map((piece, number) => [piece, spans[number]]);
    const slots = new Map(written.filter(([piece]) => source?.slots.has(piece)));
    const verbatim = [...slots].filter(([slot]) => held(slot) === typed(slot)).map(([, span]) => span);
    if (!source) return encoding(text, ids, spans, { shouted, slots });
    const { plain } = without(source.text, source.copied);
    let ended = text;
    if ([...slots.values()].every((span) => span[1] < text.length)) { // a name may end in a point
      ended = withFinalMarks(plain, text);
      const [last, most] = [spans.findLastIndex(([start]) => start < text.length), ended.length];
      spans = spans.map(([start, stop], number) => [Math.min(start, most), number === last ? most : Math.min(stop, most)]);
    }
    const cased = this.truecased ? recasedBeginning(plain, ended, verbatim, this.known?.words) : ended;
    return encoding(shouted ? capitals(ended) : cased, ids, spans, { shouted, slots });
  }

  /** What each piece writes; of a character in bytes the last one writes it. */
  surfaces(ids) {
    const surfaces = [];
    let bytes = [];
    let started = false;
    for (const id of ids) {
      if (this.types[id] === BYTE) {
        bytes.push(Number.parseInt(this.spelling[id].slice(3, 5), 16));
        continue;
      }
      const spelledOut = surfacesOfBytes(bytes);
      bytes = [];
      surfaces.push(...spelledOut);
      started ||= spelledOut.some((surface) => surface !== "");
      let piece = this.types[id] === CONTROL ? "" : id === UNKNOWN ? " ⁇ " : this.spelling[id];
      if (!started && piece.startsWith(SPACE)) piece = piece.slice(SPACE.length);
      const surface = piece.replaceAll(SPACE, " ");
      const before = surfaces.slice(-8).join("");
      surfaces.push(OPENING.test(before) ? surface.replace(/^ /, "") : POINTS.test(before) ? surface.replace(/^\.+/, "") : surface);
      started ||= piece !== "";
    }
    return [...surfaces, ...surfacesOfBytes(bytes)];
  }

  /** The pieces' own spelling, `SPACE` for a space. */
  pieces(ids) {
    return ids.map((id) => this.spelling[id]);
  }
}

/** A lone surrogate has no UTF-8 form. */
function storable(text) {
  return text.replace(/\p{Surrogate}/gu, "?");
}

/** For each byte of UTF-8, and the end, the position in the text of the character that it belongs to. */
function placesOfBytes(text, length) {
  const places = new Uint32Array(length + 1);
  let [byte, place] = [0, 0];
  for (const character of text) {
    const code = character.codePointAt(0);
    const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    places.fill(place, byte, byte + bytes);
    byte += bytes;
    place += character.length;
  }
  places[byte] = place;
  return places;
}

/** The last byte of each character writes it, the others write nothing; a byte of none writes U+FFFD. */
function surfacesOfBytes(bytes) {
  const surfaces = [];
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let start = 0; start < bytes.length; ) {
    const lead = bytes[start];
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    let text = null;
    if (start + length <= bytes.length) {
      try {
        text = strict.decode(Uint8Array.from(bytes.slice(start, start + length)));
      } catch {
        text = null;
      }
    }
    const taken = text === null ? 1 : length;
    for (let byte = 1; byte < taken; byte += 1) surfaces.push("");
    surfaces.push(text ?? "\ufffd");
    start += taken;
  }
  return surfaces;
}
